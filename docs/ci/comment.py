"""Post the gate's comment on a pull request, or update the one that is there: found by its first line.

Everything comes from the environment, as GitHub sets it: GITHUB_API_URL, GITHUB_REPOSITORY, GH_TOKEN, PULL (the
number), COMMENT (the file). Needs nothing but Python. A comment that cannot be posted, for instance because a fork's
token may only read, is a warning: the gate decides about the job, not the comment.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

MARK = "<!-- bakeoff-gate -->"
LONGEST = 65_000
"""GitHub refuses more than 65,536 characters."""
PAGE, MOST_PAGES = 100, 100
CUT = "\n\n... cut here; the rest is in the summary of the job and in the report.\n"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The token goes to the API and nowhere else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def call(method: str, url: str, body: dict[str, str] | None = None) -> Any:
    """Call the API; return what it said."""
    request = urllib.request.Request(  # noqa: S310 - the address is the runner's own
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "accept": "application/vnd.github+json",
            "authorization": f"Bearer {os.environ['GH_TOKEN']}",
            "content-type": "application/json",
            "user-agent": "bakeoff-gate",
            "x-github-api-version": "2022-11-28",
        },
    )
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=30) as answer:
        return json.load(answer)


def own_comment(comments: str) -> str:
    """Return the id of the comment that is there, or nothing."""
    for page in range(1, MOST_PAGES + 1):
        found = call("GET", f"{comments}?per_page={PAGE}&page={page}")
        for comment in found:
            if (comment.get("body") or "").startswith(MARK):
                return str(comment["id"])
        if len(found) < PAGE:
            break
    return ""


def main() -> None:
    """Post or update."""
    text = Path(os.environ["COMMENT"]).read_text(encoding="utf-8")
    if len(text) > LONGEST:
        text = text[: LONGEST - len(CUT)] + CUT
    api = os.environ.get("GITHUB_API_URL") or "https://api.github.com"
    issues = f"{api}/repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    comments = f"{issues}/{int(os.environ['PULL'])}/comments"
    try:
        there = own_comment(comments)
        method, url = ("PATCH", f"{issues}/comments/{there}") if there else ("POST", comments)
        call(method, url, {"body": text})
    except urllib.error.HTTPError as error:
        why = f"{error.code} {error.reason}"
    except (OSError, ValueError) as error:
        why = str(error)
    else:
        sys.stdout.write(f"{'updated' if there else 'posted'} the comment\n")
        return
    why = " ".join(why.split())
    sys.stdout.write(f"::warning title=Bakeoff::the comment could not be posted: {why}; see the summary of the job\n")


if __name__ == "__main__":
    main()
