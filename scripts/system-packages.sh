#!/usr/bin/env bash
# Install the two system packages that tests use: Chromium (dashboard) and bubblewrap (code sandbox).
# Without root or apt the tests that need them are skipped with a reason, so this never fails the build.
set -euo pipefail
missing=()
command -v chromium >/dev/null 2>&1 || [ -x /usr/bin/chromium ] || missing+=(chromium)
command -v bwrap >/dev/null 2>&1 || missing+=(bubblewrap)
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
  echo "system packages missing (${missing[*]}) and apt-get is not here: their tests will be skipped" >&2
  exit 0
fi
sudo=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null && sudo="sudo -n"
  [ -n "$sudo" ] || { echo "not root: install ${missing[*]} by hand, or their tests are skipped" >&2; exit 0; }
fi
log=$(mktemp)
if ! { $sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  echo "could not install ${missing[*]}: their tests will be skipped" >&2
fi
rm -f "$log"
