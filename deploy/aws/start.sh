#!/usr/bin/env bash
# Starts the release that lies here: settings and secrets into .env, the containers, the timers. Runs as root on the
# machine of deploy/aws. Usage: deploy/aws/start.sh NAME
set -euo pipefail
name="$1"
cd "$(dirname "$0")/../.."
python3 -m deploy.machine_env "$name" .env
install --mode 0644 deploy/aws/units/* /etc/systemd/system/
systemctl daemon-reload
systemctl enable --now recommender-backup.timer recommender-watch.timer
IMAGE_REVISION="$(git rev-parse HEAD)"
export IMAGE_REVISION
docker compose up --build --detach --remove-orphans --wait
docker image prune --force
