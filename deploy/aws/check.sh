#!/usr/bin/env bash
# Checks deploy/aws: format, validity, checkov, and cloudsplaining over the filled-in policies.
# Needs no account. Usage: deploy/aws/check.sh [directory of the scanners] [directory of Python]
# REQUIRE_TERRAFORM=1: fail where Terraform or the provider is absent.
set -euo pipefail
tools="$(cd "${1:-.tools/bin}" && pwd)"
python="$(cd "${2:-.venv/bin}" && pwd)/python"
cd "$(dirname "$0")/../.."
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

not_checked() {
  echo "NOT CHECKED: deploy/aws was not validated by Terraform: $1" >&2
  if [ "${REQUIRE_TERRAFORM:-0}" = 1 ]; then
    exit 1
  fi
}

if ! command -v terraform >/dev/null; then
  not_checked "there is no terraform on the PATH"
else
  terraform fmt -check -diff deploy/aws 2>&1
  mkdir "$scratch/aws"
  cp -R deploy/aws/*.tf deploy/aws/*.json deploy/aws/*.tftpl deploy/aws/policies "$scratch/aws"
  if "$python" -m deploy.aws_provider >"$scratch/terraformrc"; then
    export TF_CLI_CONFIG_FILE="$scratch/terraformrc"
  fi
  if CHECKPOINT_DISABLE=1 terraform -chdir="$scratch/aws" init -backend=false -input=false -no-color >"$scratch/init" 2>&1; then
    terraform -chdir="$scratch/aws" validate -no-color
  else
    not_checked "the provider is neither in a mirror nor can it be downloaded: $(grep -m 1 Error: "$scratch/init")"
  fi
fi

"$tools/checkov" --directory deploy/aws --framework terraform --compact --quiet --skip-download
"$python" -m deploy.policies "$scratch/policies" --bucket shop-recommender --region us-east-1 --account 123456789012 >/dev/null
rm "$scratch/policies/lifecycle.json" "$scratch/policies/bucket.json" "$scratch/policies/notices.json" # not of IAM's identities
for policy in "$scratch"/policies/*.json; do
  "$tools/cloudsplaining" scan-policy-file --input-file "$policy" --exclusions-file deploy/aws/exclusions.yaml >"$scratch/found" 2>&1 || echo "cloudsplaining ended with status $?" >>"$scratch/found"
  # It ends with status 0 after findings too; these words are its only sign of none.
  if [ "$(cat "$scratch/found")" != "There were no results found." ]; then
    echo "cloudsplaining: $(basename "$policy")" >&2
    cat "$scratch/found" >&2
    exit 1
  fi
done
echo "cloudsplaining: no issue in $(find "$scratch/policies" -name '*.json' | wc -l) policies, but for those of deploy/aws/exclusions.yaml"
