"""Render docs/calibration.md and its pictures from the rows of the calibration battery."""

from __future__ import annotations

import csv
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Row = dict[str, Any]
ROOT = Path(__file__).parents[1]
PROSE = Path(__file__).parent / "calibration"


class Claim(NamedTuple):
    claim: str
    how: str
    known_bad: str


def render_page(stored: dict[str, Any], images: Path) -> str:
    rows: list[Row] = stored["rows"]
    checks = sorted({row["check"] for row in rows}, key=_order)
    claims = read_claims()
    (images / "error-rates.svg").write_text(
        _dots(rows, is_error_rate, 0.0, 0.45, 0.05, "how often a wrong claim is made"), encoding="utf-8"
    )
    (images / "coverage.svg").write_text(
        _dots(rows, is_coverage, 0.6, 1.0, 0.95, "how often the interval covers"), encoding="utf-8"
    )
    (images / "p-values.svg").write_text(_quantiles(rows), encoding="utf-8")
    failed = [row for row in rows if not row["passed"]]
    versions = ", ".join(f"{name} {number}" for name, number in stored["versions"].items())
    status = (
        f"{len(rows)} measurements in {len(checks)} checks. "
        f"{f'**{len(failed)} are outside their limits.**' if failed else 'All are within their limits.'} "
        f"Measured on {stored['date']} with Python {stored['python']}, {versions}; "
        f"{sum(stored['seconds'].values()) / 60:.0f} CPU minutes."
    )
    details = [_detail(check, claims[check], [row for row in rows if row["check"] == check]) for check in checks]
    page = (PROSE / "page.md").read_text(encoding="utf-8")
    for name, text in {
        "status": status,
        "summary": _summary(rows, checks, claims),
        "details": "\n\n".join(details),
    }.items():
        page = page.replace(f"{{{name}}}", text)
    return page


def read_claims() -> dict[str, Claim]:
    """Claim, how it was measured, and the known-bad method that has to fail, by check."""
    with (PROSE / "claims.csv").open(encoding="utf-8", newline="") as file:
        return {row["check"]: Claim(row["claim"], row["how"], row["known_bad"]) for row in csv.DictReader(file)}


def _order(check: str) -> tuple[int, str]:
    number = re.match(r"C(\d+)(.*)", check)
    assert number is not None
    return int(number[1]), number[2]


def is_error_rate(row: Row) -> bool:
    words = (
        "type I",
        "P(ever",
        "FDR",
        "FWER",
        "P(any",
        "P(a best",
        "false equivalence",
        "false alarms on",
        "any false",
    )
    return row["property"].startswith(words) or "false verdict" in row["property"]


def is_coverage(row: Row) -> bool:
    return row["property"].startswith("coverage") or "coverage of" in row["property"]


def _number(value: float | None, row: Row) -> str:
    if value is None:
        return ""
    if ("%" in row["limit"] or "points" in row["limit"]) and "within" not in row["limit"]:
        return f"{100 * value:.2f}%" if abs(value) < 0.0995 else f"{100 * value:.1f}%"
    return f"{value:,.4g}"


def _range(values: Iterable[float | None], row: Row) -> str:
    present = sorted({value for value in values if value is not None})
    if not present:
        return ""
    low, high = _number(present[0], row), _number(present[-1], row)
    return low if low == high else f"{low} to {high}"


def _summary(rows: list[Row], checks: list[str], claims: dict[str, Claim]) -> str:
    lines = [
        "| check | claim | what | cells | measured | limit | known-bad | holds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for check in checks:
        groups: dict[str, list[Row]] = {}
        for row in rows:
            if row["check"] == check:
                key = re.sub(r"`\w+`", "each metric", row["property"])
                groups.setdefault(key, []).append(row)
        for i, (name, group) in enumerate(groups.items()):
            limits = list(dict.fromkeys(row["limit"] for row in group))
            limit = "; ".join(limits) if len(limits) < 3 else f"{limits[0]} … {limits[-1]}"
            first = f"[{check}](#{check.lower()}) | {claims[check].claim}" if i == 0 else "|"
            holds = "yes" if all(row["passed"] for row in group) else "**no**"
            measured = _range([row["measured"] for row in group], group[0])
            bad = _range([row["known_bad"] for row in group], group[0])
            lines.append(f"| {first} | {name} | {len(group)} | {measured} | {limit} | {bad} | {holds} |")
    return "\n".join(lines)


def _seeds(module: str) -> str:
    text = (ROOT / "tests/stats/calibration" / module).read_text(encoding="utf-8")
    found = re.findall(r"(?:default_rng\(|seed=|first_seed: int = |rng=)([\d_]+(?: \+ \w+)?)", text)
    return ", ".join(dict.fromkeys(seed.replace("_", "") for seed in found)) or "none needed"


def _detail(check: str, known: Claim, rows: list[Row]) -> str:
    claim, how, bad = known
    modules = sorted({row["module"] for row in rows})
    sources = "; ".join(
        f"[{module}](../tests/stats/calibration/{module}), seeds {_seeds(module)}" for module in modules
    )
    against = f" Known-bad method: {bad}." if bad else ""
    lines = [
        f"### {check}",
        "",
        f"{claim}. Measured by {how}.{against} Source: {sources}.",
        "",
        f"<details><summary>{len(rows)} measurements</summary>",
        "",
        "| property | cell | measured | limit | known-bad | holds |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['property']} | {row['cell']} | {_number(row['measured'], row)} | {row['limit']} | "
        f"{_number(row['known_bad'], row)} | {'yes' if row['passed'] else '**no**'} |"
        for row in rows
    ]
    return "\n".join([*lines, "", "</details>"])


def _dots(rows: list[Row], wanted: Any, low: float, high: float, promise: float, title: str) -> str:
    lines: dict[str, list[Row]] = {}
    for row in rows:
        if wanted(row):
            label = re.sub(r"`\w+`", "each metric", row["property"])
            lines.setdefault(f"{row['check']}  {label}", []).append(row)
    left, width, step, top = 380, 480, 19, 44
    height = top + step * len(lines) + 34

    def x(value: float) -> float:
        return left + width * (min(max(value, low), high) - low) / (high - low)

    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 40} {height}" '
            f'font-family="sans-serif" font-size="12" role="img"><rect width="100%" height="100%" fill="white"/>'
        ),
        f'<text x="{left}" y="20" font-size="14" fill="#222">{escape(title)}</text>',
        f'<line x1="{x(promise):.1f}" x2="{x(promise):.1f}" y1="{top - 12}" y2="{height - 30}" stroke="#444"/>',
    ]
    for tick in range(9 if low == 0 else 5):
        value = low + tick * (0.05 if low == 0 else 0.1)
        out.append(
            f'<text x="{x(value):.1f}" y="{height - 12}" text-anchor="middle" fill="#555">{100 * value:.0f}%</text>'
        )
    for i, (label, group) in enumerate(lines.items()):
        y = top + i * step
        out.append(f'<line x1="{left}" x2="{left + width}" y1="{y}" y2="{y}" stroke="#eee"/>')
        out.append(f'<text x="{left - 12}" y="{y + 4}" text-anchor="end" fill="#222">{escape(_short(label))}</text>')
        bad = dict.fromkeys(round(row["known_bad"], 3) for row in group if row["known_bad"] is not None)
        for value in bad:
            mark = "×" if low <= value <= high else ("◂" if value < low else "▸")
            out.append(
                f'<text x="{x(value):.1f}" y="{y + 5}" text-anchor="middle" font-size="15" fill="#c0392b">{mark}</text>'
            )
        out += [
            f'<circle cx="{x(value):.1f}" cy="{y}" r="3.4" fill="#1f6fb4" fill-opacity="0.75"/>'
            for value in dict.fromkeys(round(row["measured"], 3) for row in group)
        ]
    return "\n".join([*out, "</svg>"]) + "\n"


def _short(label: str) -> str:
    return label if len(label) <= 58 else label[:57] + "…"


def _quantiles(rows: list[Row]) -> str:
    curves = [row for row in rows if row.get("quantiles")]
    size, left, top = 300, 50, 24
    colours = ("#1f6fb4", "#2a9d5c", "#b8860b", "#7b52ab", "#c0392b", "#444444")
    out = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + size + 330} {top + size + 44}" '
            f'font-family="sans-serif" font-size="12" role="img"><rect width="100%" height="100%" fill="white"/>'
        ),
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="#999"/>',
        f'<line x1="{left}" y1="{top + size}" x2="{left + size}" y2="{top}" stroke="#999"/>',
        f'<text x="{left + size / 2}" y="{top + size + 32}" text-anchor="middle" fill="#222">uniform quantile</text>',
        (
            f'<text x="16" y="{top + size / 2}" text-anchor="middle" fill="#222" '
            f'transform="rotate(-90 16 {top + size / 2})">p-value</text>'
        ),
    ]
    for i, row in enumerate(curves):
        points = " ".join(
            f"{left + size * (k + 1) / 100:.1f},{top + size * (1 - p):.1f}" for k, p in enumerate(row["quantiles"])
        )
        metric = re.search(r"`(\w+)`", row["property"])
        repeats = re.search(r"items x (\d+)", row["cell"])
        count = repeats[1] if repeats else ""
        name = f"{metric[1] if metric else ''}, {count} answer{'' if count == '1' else 's'} an item"
        colour = colours[i % len(colours)]
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        out.append(f'<text x="{left + size + 20}" y="{top + 20 + 20 * i}" fill="{colour}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"
