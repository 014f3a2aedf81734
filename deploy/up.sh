#!/usr/bin/env bash
# `make up`: builds what changed, starts the service, and waits until it answers. If it does not
# come up, the last line says why. COMPOSE is the command of either version of Compose.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

read -ra compose <<<"${COMPOSE:-docker compose}"
readonly patience_s=120

fail() {
  printf 'make up: %s\n' "$1" >&2
  exit 1
}

last_words() {
  "${compose[@]}" logs --no-color --tail 1 "$1" 2>/dev/null | tail -n 1 | sed 's/^[^|]*| *//'
}

state() {
  docker inspect --format '{{.State.Health.Status}} {{.State.Status}} {{.RestartCount}}' "$1"
}

"${compose[@]}" build seed inference

if ! told=$("${compose[@]}" up --detach inference 2>&1); then
  case $told in
    *'already allocated'* | *'address already in use'*)
      fail 'the port is taken. Stop what uses it, or set LENTIGO_PORT to another.' ;;
  esac
  # If the volume could not be seeded, the seed's one line says why.
  seed=$("${compose[@]}" ps --all --quiet seed)
  if [ -n "$seed" ] && [ "$(docker inspect --format '{{.State.ExitCode}}' "$seed")" != 0 ]; then
    fail "$(last_words seed)"
  fi
  fail "$(printf '%s' "$told" | tail -n 1)"
fi

container=$("${compose[@]}" ps --quiet inference)
for ((waited = 0; waited < patience_s * 2; waited++)); do
  case $(state "$container") in
    healthy*) exec "${compose[@]}" ps ;;
    *restarting* | *exited* | *' '[1-9]*) fail "$(last_words inference)" ;;
  esac
  sleep 0.5
done
fail "not ready after ${patience_s} s: $(docker inspect \
  --format '{{with index .State.Health.Log 0}}{{.Output}}{{end}}' "$container" | tail -n 1)"
