#!/usr/bin/env bash
# Install what code_style, code_security and code_types use for JavaScript, for the tests of those.
# Without node and npm these tests are skipped with a reason, so this never fails the build.
set -euo pipefail
cd "$(dirname "$0")/../tests/evaluators/javascript"
[ node_modules/.package-lock.json -nt package-lock.json ] && exit 0
command -v npm >/dev/null 2>&1 || { echo "npm is not here: tests of tools for JavaScript will be skipped" >&2; exit 0; }
npm ci --silent --ignore-scripts --no-audit --no-fund || {
  rm -rf node_modules
  echo "the npm packages cannot be installed here: tests of tools for JavaScript will be skipped" >&2
}
