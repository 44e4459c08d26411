"""A gate as Markdown: the comment on a pull request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.regression._result import GateResult, ItemChange

__all__ = ["COMMENT_MARK", "markdown_summary"]

COMMENT_MARK = "<!-- bakeoff-gate -->"
"""First line of the comment, by which it is found again and updated."""

_SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "infrastructure": "⚠️"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~@&$])")
_MAX_ITEMS = 10


def markdown_summary(result: GateResult, *, report_url: str | None = None) -> str:
    """Return the decision with its intervals, fit for one comment on a pull request.

    Text that comes from data or models is escaped: it cannot become markup, a link or a mention.

    Args:
        result: The decision.
        report_url: Where the HTML report is, if anywhere.
    """
    lines = [
        COMMENT_MARK,
        f"### {_SIGNS[result.outcome]} Bakeoff gate: {result.outcome} ({_text(result.experiment)})",
        "",
        _text(result.headline),
        "",
    ]
    if result.is_simulated:
        lines += ["> Simulated models answered: these numbers say nothing about a real model.", ""]
    several = len({rule.variant for rule in result.rules}) > 1
    lines += ["| | rule | " + ("variant | " if several else "") + "what was found |"]
    lines += ["|---|---|" + ("---|" if several else "") + "---|"]
    for rule in result.rules:
        variant = f" {_text(rule.variant)} |" if several else ""
        lines.append(f"| {_SIGNS[rule.outcome]} | {_text(rule.rule)} |{variant} {_text(rule.because)} |")
    lines += [""]
    warnings = list(dict.fromkeys(warning for rule in result.rules for warning in rule.warnings))
    lines += [f"- {_text(note)}" for note in [*result.notes, *warnings]]
    if result.notes or warnings:
        lines += [""]
    lines += _changed_items(result)
    where = f"run `{_code(result.run_id)}`"
    if result.baseline_run:
        where += f" against `{_code(result.baseline)}` (run `{_code(result.baseline_run)}`)"
    if report_url:
        where += f" · [report]({report_url})"
    lines += [f"<sub>{where}. {_text(result.statement)}</sub>"]
    return "\n".join(lines) + "\n"


def _changed_items(result: GateResult) -> list[str]:
    regressed = [change for change in result.items if change.change == "regressed"]
    improved = [change for change in result.items if change.change == "improved"]
    if not regressed and not improved:
        return []
    lines = [
        "<details>",
        f"<summary>{len(regressed)} items did worse than in the baseline, {len(improved)} better</summary>",
        "",
        *(_item_line(change) for change in regressed[:_MAX_ITEMS]),
    ]
    if len(regressed) > _MAX_ITEMS:
        lines.append(f"- and {len(regressed) - _MAX_ITEMS} more: `bakeoff gate {_code(result.run_id)} --json`")
    return [*lines, "", "Single items flip by chance; only the rules above decide.", "", "</details>", ""]


def _item_line(change: ItemChange) -> str:
    sentinel = " (sentinel)" if change.is_sentinel else ""
    return f"- {_text(change.item)}{sentinel}, {_text(change.variant)}: {change.then:.4g} then, {change.now:.4g} now"


def _text(text: str) -> str:
    """Escape for Markdown and HTML, on one line."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return _SPECIAL.sub(r"\\\1", flat).replace("://", ":\u200b//")


def _code(text: str) -> str:
    return " ".join(text.replace("`", "'").split())
