#!/usr/bin/env bash
# Bring in uv without touching the system: its own small environment under .tools/.
set -euo pipefail
python=$1 version=$2
if "$python" -m venv .tools 2>/dev/null && [ -x .tools/bin/pip ]; then
  .tools/bin/pip install --quiet --disable-pip-version-check "uv==$version"
elif "$python" -m pip --version >/dev/null 2>&1; then
  rm -rf .tools
  "$python" -m pip install --quiet --disable-pip-version-check --target .tools "uv==$version"
else
  echo "make: neither uv nor a working '$python -m venv' or '$python -m pip' was found." >&2
  echo "      Install uv (https://docs.astral.sh/uv/), or on Debian: apt-get install python3-venv" >&2
  exit 1
fi
