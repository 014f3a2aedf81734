#!/usr/bin/env bash
# `make hospital`: starts service, gateway, an archive and a FHIR server in containers, stores three
# dermoscopic images that are made by code, and prints where their results are. COMPOSE is the command of either
# version of Compose, PYTHON one that has the gateway's tests' packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

read -ra compose <<<"${COMPOSE:-docker compose}"
compose+=(--profile hospital)
readonly archive="http://127.0.0.1:${LENTIGO_ORTHANC_PORT:-8042}"
readonly fhir="http://127.0.0.1:${LENTIGO_FHIR_PORT:-8103}"
readonly page="http://127.0.0.1:${LENTIGO_GATEWAY_PORT:-8010}/"
readonly patience_s=180 report=1.2.840.10008.5.1.4.1.1.88.34 picture=1.2.840.10008.5.1.4.1.1.7

fail() {
  printf 'make hospital: %s\n' "$1" >&2
  exit 1
}

within() { # waits for a command to succeed
  local what=$1
  shift
  for ((waited = 0; waited < patience_s * 2; waited++)); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.5
  done
  "${compose[@]}" logs --no-color --tail 5 gateway orthanc fhir >&2 || true
  fail "not within ${patience_s} s: $what"
}

instances() { # of a SOP class, as Orthanc's ids
  curl --fail --silent --data '{"Level":"Instance","Expand":true,"Query":{"SOPClassUID":"'"$1"'"}}' \
    "$archive/tools/find" | "${PYTHON:-python3}" -c 'import json, sys
for each in json.load(sys.stdin): print(each["ID"], each["MainDicomTags"]["SOPInstanceUID"])'
}

resources() { # of a type, by their ids
  curl --fail --silent "$fhir/$1?_count=100" | "${PYTHON:-python3}" -c 'import json, sys
for each in json.load(sys.stdin).get("entry", []): print(each["resource"]["id"])'
}

three_of_each() {
  [ "$(instances "$report" | wc -l)" -ge 3 ] && [ "$(instances "$picture" | wc -l)" -ge 3 ] &&
    [ "$(resources DiagnosticReport | wc -l)" -ge 3 ]
}

"${compose[@]}" build seed inference orthanc fhir gateway
"${compose[@]}" up --detach inference orthanc fhir gateway
within 'the archive answers' curl --fail --silent "$archive/system"
within 'the FHIR server answers' curl --fail --silent "$fhir/metadata"

images=$(mktemp -d)
trap 'rm -rf "$images"' EXIT
"${PYTHON:-python3}" -m benchmarks.synthetic.dicom "$images" --number 3
for image in "$images"/*.dcm; do
  curl --fail --silent --data-binary "@$image" "$archive/instances" >/dev/null
done
within 'three reports, pictures and DiagnosticReports are there' three_of_each

printf '\nResearch use only. Not a medical device.\n\nThe archive: %s/app/explorer.html\n' "$archive"
while read -r id _; do
  printf 'A report: %s/instances/%s/simplified-tags\n' "$archive" "$id"
done < <(instances "$report")
while read -r id _; do
  printf 'A picture: %s/instances/%s/preview\n' "$archive" "$id"
done < <(instances "$picture")
while read -r id; do
  printf 'As FHIR: %s/DiagnosticReport/%s\n' "$fhir" "$id"
done < <(resources DiagnosticReport)
printf 'Send more: storescu -R -xy -aec ORTHANC 127.0.0.1 %s FILE\n' "${LENTIGO_ORTHANC_DICOM_PORT:-4242}"
printf 'The work list: %s, or %s exec gateway lentigo-gateway status\n' "$page" "${compose[*]}"
