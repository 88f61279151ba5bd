#!/usr/bin/env bash
# Checks docker-compose.yaml: against the compose specification, and by Docker's own reading where there is a client
# with compose. Neither needs a network or a Docker daemon. Usage: deploy/check_compose.sh [directory of check-jsonschema]
set -euo pipefail
tools="$(cd "${1:-.venv/bin}" && pwd)"
cd "$(dirname "$0")/.."
"$tools/check-jsonschema" --builtin-schema vendor.compose-spec docker-compose.yaml
if ! docker compose version >/dev/null 2>&1; then
  echo "docker compose is not installed here: checked by the schema only"
  exit 0
fi
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
"$tools/python" -m deploy.make_env "$scratch/env" >/dev/null
docker compose --file docker-compose.yaml --env-file "$scratch/env" config --quiet
echo "docker compose reads docker-compose.yaml without complaint"
