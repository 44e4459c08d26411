#!/usr/bin/env bash
# Run an experiment and decide its gate, for any CI. Everything comes from the environment:
#   BAKEOFF_EXPERIMENT    experiment file
#   BAKEOFF_BASELINE      baseline file or name; empty: run the experiment of BAKEOFF_BASE_TREE, where that exists
#   BAKEOFF_INCONCLUSIVE  pass | fail | neutral
#   BAKEOFF_OUT           folder for comment.md, junit.xml, gate.json
# Exit code: that of the gate (0 pass, 1 fail, 2 wrong use, 3 inconclusive, 4 infrastructure), with 3 turned into 0
# unless BAKEOFF_INCONCLUSIVE is `fail`.
set -uo pipefail

out="${BAKEOFF_OUT:-bakeoff-out}"
store="${BAKEOFF_STORE:-.bakeoff}"
mkdir -p "$out" "$store"
export BAKEOFF_STORE
BAKEOFF_STORE="$(cd "$store" && pwd)"

emit() { if [ -n "${GITHUB_OUTPUT:-}" ]; then printf '%s=%s\n' "$1" "$2" >> "$GITHUB_OUTPUT"; fi; }

# Runs a file and prints the run's id. Its gate is decided below, once.
run() {
  local before new code
  before="$(ls -1 "$BAKEOFF_STORE/runs" 2>/dev/null | sort)"
  bakeoff run "$1" --quiet --no-gate >&2
  code=$?
  new="$(comm -13 <(printf '%s\n' "$before") <(ls -1 "$BAKEOFF_STORE/runs" 2>/dev/null | sort) | tail -n 1)"
  if [ -z "$new" ]; then return "$([ "$code" -ne 0 ] && echo "$code" || echo 4)"; fi
  printf '%s' "$new"
}

finish() {
  emit code "$1"
  emit outcome "$2"
  emit comment "$([ -s "$out/comment.md" ] && echo "$out/comment.md")"
  if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -s "$out/comment.md" ]; then cat "$out/comment.md" >> "$GITHUB_STEP_SUMMARY"; fi
  if [ "$1" -eq 3 ] && [ "${BAKEOFF_INCONCLUSIVE:-neutral}" != "fail" ]; then
    if [ "${BAKEOFF_INCONCLUSIVE:-neutral}" = "neutral" ]; then echo "the gate is inconclusive; the job passes" >&2; fi
    exit 0
  fi
  exit "$1"
}

broken() {  # $1: exit code, $2: what
  local word="error"
  if [ "$1" -eq 4 ]; then word="infrastructure"; fi
  printf '%s\n### ⚠️ Bakeoff gate: %s\n\n%s (exit code %s); see the log of the job.\n' \
    '<!-- bakeoff-gate -->' "$word" "$2" "$1" > "$out/comment.md"
  finish "$1" "$word"
}

against="${BAKEOFF_BASELINE:-}"
if [ -z "$against" ] && [ -n "${BAKEOFF_BASE_TREE:-}" ] && [ -f "${BAKEOFF_BASE_TREE}/${BAKEOFF_EXPERIMENT}" ]; then
  against="$(run "${BAKEOFF_BASE_TREE}/${BAKEOFF_EXPERIMENT}")" || broken $? "The base branch could not be run"
fi
if [ -n "$against" ] && [ -f "$against" ]; then against="$(cd "$(dirname "$against")" && pwd)/$(basename "$against")"; fi

head="$(run "$BAKEOFF_EXPERIMENT")" || broken $? "The experiment could not be run"
report="$BAKEOFF_STORE/runs/$head/report.html"
if [ -f "$report" ]; then emit report "$report"; fi

options=(--junit "$out/junit.xml" --markdown "$out/comment.md" --json-file "$out/gate.json")
if [ -n "$against" ]; then options+=(--against "$against"); fi
bakeoff gate "$head" "${options[@]}"
code=$?
case "$code" in
  0) finish 0 pass ;;
  1) finish 1 fail ;;
  3) finish 3 inconclusive ;;
  4) [ -s "$out/comment.md" ] && finish 4 infrastructure || broken 4 "The gate could not be decided" ;;
  *) broken "$code" "The gate could not be decided" ;;
esac
