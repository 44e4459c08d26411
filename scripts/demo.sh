#!/usr/bin/env bash
# The main job on a bundled data set with simulated models: plan, run, compare, report.
set -euo pipefail
bin=$(pwd)/.venv/bin
mkdir -p demo
cd demo
[ -e experiment.yaml ] || "$bin/bakeoff" init . --example triage
echo
echo "--- what it will take and what it can show: bakeoff plan demo/experiment.yaml"
"$bin/bakeoff" plan experiment.yaml --store .bakeoff
echo
echo "--- run it: bakeoff run demo/experiment.yaml"
"$bin/bakeoff" run experiment.yaml --store .bakeoff
echo
echo "Open the dashboard:  .venv/bin/bakeoff ui --store demo/.bakeoff"
