#!/usr/bin/env bash
# Post the gate's comment on a pull request, or update the one that is there: found by its first line.
set -euo pipefail
mark='<!-- bakeoff-gate -->'
repository="${GITHUB_REPOSITORY:?}"
found="$(gh api --paginate "repos/$repository/issues/${PULL:?}/comments" \
  --jq ".[] | select(.body | startswith(\"$mark\")) | .id" | head -n 1)"
if [ -n "$found" ]; then
  gh api --method PATCH "repos/$repository/issues/comments/$found" --field "body=@${COMMENT:?}" > /dev/null
else
  gh api --method POST "repos/$repository/issues/$PULL/comments" --field "body=@${COMMENT:?}" > /dev/null
fi
