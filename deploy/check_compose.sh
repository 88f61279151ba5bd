#!/usr/bin/env bash
# Checks docker-compose.yaml and its overlays (deploy/compose/*.yaml): against the compose specification, and by Docker's
# own reading where there is a client with compose. Neither needs a network or a Docker daemon.
# Usage: deploy/check_compose.sh [directory of check-jsonschema]
set -euo pipefail
tools="$(cd "${1:-.venv/bin}" && pwd)"
cd "$(dirname "$0")/.."
shopt -s nullglob
overlays=(deploy/compose/*.yaml)
"$tools/check-jsonschema" --builtin-schema vendor.compose-spec docker-compose.yaml
if ! docker compose version >/dev/null 2>&1; then
  echo "docker compose is not installed here: docker-compose.yaml is checked by the schema only, NOT CHECKED: ${overlays[*]}"
  exit 0
fi
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
"$tools/python" -m deploy.make_env "$scratch/env" >/dev/null
printf '%s\n' GRAFANA_PASSWORD=none AWS_DEFAULT_REGION=eu-west-1 AWS_LOG_GROUP=recommender RECOMMENDER_ROOT=s3://bucket/shop >>"$scratch/env"
docker compose --file docker-compose.yaml --env-file "$scratch/env" config --quiet
echo "docker compose reads docker-compose.yaml without complaint"
for overlay in "${overlays[@]}"; do
  docker compose --file docker-compose.yaml --file "$overlay" --env-file "$scratch/env" config >"$scratch/merged.yaml"
  # What is merged has no tags of Compose left, so the schema can judge it.
  "$tools/check-jsonschema" --builtin-schema vendor.compose-spec "$scratch/merged.yaml"
  echo "docker compose reads docker-compose.yaml with $overlay without complaint"
done
