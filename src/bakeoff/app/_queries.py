"""What pages ask the store: DuckDB does the work, and only the rows that are seen leave it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bakeoff.errors import BakeoffError
from bakeoff.prompts import Prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments import LocalStore, Manifest

__all__ = ["ItemFilter", "ItemPage", "ItemRow", "Trial", "TrialScore", "item_page", "trials_of_item"]

Show = Literal["all", "differ", "failing", "errors", "improved", "regressed", "changed"]
Order = Literal["data", "hardest", "spread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Which items a page lists, and in which order."""

    metric: str
    show: Show = "all"
    order: Order = "data"
    search: str = ""
    candidate: str | None = None
    """With `baseline`: only these two variants count."""
    baseline: str | None = None
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRow:
    """One item over all variants."""

    item: int
    item_id: str
    values: dict[str, float | None]
    """Mean score by variant; `None` where there is none."""
    labels: dict[str, str | None]
    errors: dict[str, int]
    """Failed trials by variant."""
    glance: str
    """The beginning of the inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemPage:
    """Some rows of a longer list."""

    rows: tuple[ItemRow, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialScore:
    """One score with what the evaluator said."""

    metric: str
    value: float | None
    label: str | None
    kind: str | None
    reason: str | None
    error: str | None
    evaluator: str
    version: str
    escalated: str | None = None
    """Why a person should look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One answer, with all that is known about it."""

    variant: str
    item_id: str
    repeat: int
    ok: bool
    error_kind: str | None
    error: str | None
    output: str
    inputs: dict[str, Any]
    expected: str | None
    metadata: dict[str, Any]
    facts: dict[str, Any]
    scores: tuple[TrialScore, ...]
    messages: tuple[dict[str, Any], ...] = ()
    """The prompt as it was sent; rendered anew for runs that did not keep it."""
    prompt_is_kept: bool = False
    """Whether `messages` are those that were sent."""
    prompt_problem: str = ""
    tool_calls: str | None = None
    trace: tuple[dict[str, Any], ...] = field(default=())
    guards: tuple[dict[str, str], ...] = ()
    """What guards did: `guard`, `side`, `action`, `reason`."""


_PAGE = """
WITH chosen AS (
  SELECT item, item_id, variant, repeat, value, label FROM scores WHERE metric = $metric {both}
), means AS (
  SELECT item, any_value(item_id) AS item_id, variant, avg(value) AS value, any_value(label) AS label
  FROM chosen GROUP BY item, variant
), failed AS (
  SELECT item, any_value(item_id) AS item_id, count(*) AS errors FROM trials WHERE NOT ok {both} GROUP BY item
), known AS (
  SELECT item, item_id FROM means UNION SELECT item, item_id FROM failed
), folded AS (
  SELECT item, max(value) - min(value) AS spread, avg(value) AS mean, min(value) AS low, max(value) AS high,
         count(DISTINCT label) AS words,
         max(value) FILTER (variant = $candidate) - max(value) FILTER (variant = $baseline) AS gap
  FROM means GROUP BY item
), texts AS (
  SELECT item, count(DISTINCT output) AS outputs FROM trials WHERE repeat = 0 {both} GROUP BY item
)
SELECT k.item, k.item_id, count(*) OVER () AS total
FROM (SELECT item, any_value(item_id) AS item_id FROM known GROUP BY item) k
LEFT JOIN folded f USING (item) LEFT JOIN failed e USING (item) {texts}
WHERE {where} {search}
ORDER BY {order} LIMIT $limit OFFSET $offset
"""


def item_page(store: LocalStore, run_id: str, wanted: ItemFilter, *, limit: int, offset: int = 0) -> ItemPage:
    """Return one page of items with the mean score of every variant."""
    import duckdb

    with store.connect([run_id]) as connection:
        values: dict[str, object] = {
            "metric": wanted.metric, "limit": limit, "offset": offset, "candidate": wanted.candidate or "",
            "baseline": wanted.baseline or "",
        }  # fmt: skip
        both = "AND variant IN ($candidate, $baseline)" if wanted.candidate and wanted.baseline else ""
        search = ""
        if wanted.search:
            values["needle"] = wanted.search.lower()
            search = """AND (contains(lower(k.item_id), $needle)
              OR k.item_id IN (SELECT id FROM items WHERE contains(lower(inputs), $needle)
                               OR contains(lower(coalesce(expected, '')), $needle))
              OR k.item IN (SELECT item FROM trials WHERE contains(lower(coalesce(output, '')), $needle)))"""
        sql = _PAGE.format(
            both=both,
            where=_where(wanted),
            order=_order(wanted),
            search=search,
            texts="LEFT JOIN texts t USING (item)" if wanted.show == "changed" else "",
        )
        used = {name: value for name, value in values.items() if f"${name}" in sql}
        try:
            found = connection.execute(sql, used).fetchall()
            if not found:
                return ItemPage(rows=(), total=0)
            rows = _rows(connection, [row[0] for row in found], [row[1] for row in found], wanted.metric)
        except duckdb.CatalogException:  # no trial yet, or the data set is gone
            return ItemPage(rows=(), total=0)
    return ItemPage(rows=tuple(rows), total=found[0][2])


def _where(wanted: ItemFilter) -> str:
    ahead, behind = ("> 1e-12", "< -1e-12") if wanted.higher_is_better else ("< -1e-12", "> 1e-12")
    return {
        "all": "true",
        "differ": "(f.spread > 1e-12 OR f.words > 1)",
        "failing": "f.high < 0.5" if wanted.higher_is_better else "f.low > 0.5",
        "errors": "e.errors > 0",
        "improved": f"f.gap {ahead}",
        "regressed": f"f.gap {behind}",
        "changed": "t.outputs > 1",
    }[wanted.show]


def _order(wanted: ItemFilter) -> str:
    if wanted.order == "hardest":
        return f"f.mean {'ASC' if wanted.higher_is_better else 'DESC'} NULLS LAST, k.item"
    if wanted.order == "spread":
        return "f.spread DESC NULLS LAST, k.item"
    return "k.item"


def _rows(connection: Any, items: Sequence[int], ids: Sequence[str], metric: str) -> list[ItemRow]:
    import duckdb

    means = connection.execute(
        "SELECT item, variant, avg(value), any_value(label) FROM scores "
        "WHERE metric = ? AND item IN (SELECT unnest(?)) GROUP BY item, variant",
        [metric, list(items)],
    ).fetchall()
    failed = connection.execute(
        "SELECT item, variant, count(*) FROM trials WHERE NOT ok AND item IN (SELECT unnest(?)) GROUP BY item, variant",
        [list(items)],
    ).fetchall()
    glances: dict[str, str] = {}
    with contextlib.suppress(duckdb.CatalogException):  # the data set is gone
        glances = dict(
            connection.execute(
                "SELECT id, inputs[:600] FROM items WHERE id IN (SELECT unnest(?))", [list(ids)]
            ).fetchall()
        )
    values: dict[int, dict[str, float | None]] = {}
    labels: dict[int, dict[str, str | None]] = {}
    errors: dict[int, dict[str, int]] = {}
    for item, variant, value, label in means:
        values.setdefault(item, {})[variant] = value
        labels.setdefault(item, {})[variant] = label
    for item, variant, count in failed:
        errors.setdefault(item, {})[variant] = count
    return [
        ItemRow(
            item=item,
            item_id=item_id,
            values=values.get(item, {}),
            labels=labels.get(item, {}),
            errors=errors.get(item, {}),
            glance=glance(glances.get(item_id)),
        )
        for item, item_id in zip(items, ids, strict=True)
    ]


def as_text(inputs: dict[str, Any]) -> str:
    """Return the inputs of an item as text: the only one as it is, several with their names."""
    if len(inputs) == 1 and isinstance(next(iter(inputs.values())), str):
        return str(next(iter(inputs.values())))
    return json.dumps(inputs, ensure_ascii=False, indent=2)


def glance(inputs: str | None) -> str:
    """Return the inputs of an item as a reader wants to see them at a glance.

    Examples:
        >>> glance('{"question": "Why?"}'), glance('{"a": 1, "b": "x"}')
        ('Why?', 'a: 1 · b: x')
    """
    if not inputs:
        return ""
    try:
        data = json.loads(inputs)
    except ValueError:  # cut off: show what there is
        return inputs.partition(":")[2].lstrip(' "') or inputs
    if not isinstance(data, dict):
        return str(data)
    if len(data) == 1:
        return str(next(iter(data.values())))
    return " · ".join(f"{name}: {value}" for name, value in data.items())


def trials_of_item(store: LocalStore, manifest: Manifest, item: int, *, variants: Sequence[str] = ()) -> list[Trial]:
    """Return every trial of an item, in the order of the variants and repeats."""
    wanted = list(variants) or manifest.variant_names
    place = {name: index for index, name in enumerate(manifest.variant_names)}
    with store.connect([manifest.run_id]) as connection:
        names = [row[0] for row in connection.execute("DESCRIBE trials").fetchall()]
        trials = [
            dict(zip(names, row, strict=True))
            for row in connection.execute(
                "SELECT * FROM trials WHERE item = ? AND variant IN (SELECT unnest(?))", [item, wanted]
            ).fetchall()
        ]
        known = {row[0] for row in connection.execute("DESCRIBE scores").fetchall()}
        asks = "escalated" if "escalated" in known else "NULL"  # a run of an older version
        columns = f"variant, repeat, metric, value, label, type, reason, error, evaluator, version, {asks}"
        scores = connection.execute(
            f"SELECT {columns} FROM scores WHERE item = ? AND variant IN (SELECT unnest(?))",  # noqa: S608 - fixed words
            [item, wanted],
        ).fetchall()
    identity = str(trials[0]["item_id"]) if trials else ""
    inputs, expected, metadata = _item(store, manifest, identity)
    by_trial: dict[tuple[str, int], list[TrialScore]] = {}
    for variant, repeat, metric, value, label, kind, reason, error, evaluator, version, escalated in scores:
        by_trial.setdefault((variant, repeat), []).append(
            TrialScore(
                metric=metric,
                value=value,
                label=label,
                kind=kind,
                reason=reason,
                error=error,
                evaluator=evaluator or "",
                version=version or "",
                escalated=escalated,
            )
        )
    rows = sorted(trials, key=lambda row: (place.get(row["variant"], 0), row["repeat"]))
    sent = {row["variant"]: row["messages"] for row in reversed(rows) if row.get("messages") is not None}
    for row in rows:
        row["messages"] = row.get("messages") or sent.get(row["variant"])
    return [_trial(row, manifest, inputs, expected, metadata, by_trial) for row in rows]


_FACTS = (
    "model", "latency_ms", "ttft_ms", "cost_usd", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens",
    "tokens_estimated", "attempts", "route", "cached", "finish_reason", "fingerprint", "fallback_from",
)  # fmt: skip


def _trial(
    row: dict[str, Any],
    manifest: Manifest,
    inputs: dict[str, Any],
    expected: str | None,
    metadata: dict[str, Any],
    scores: dict[tuple[str, int], list[TrialScore]],
) -> Trial:
    kept = _json(row["messages"], None)
    is_kept = isinstance(kept, list)
    messages, problem = (kept, "") if is_kept else rendered_prompt(manifest, row["variant"], inputs)
    return Trial(
        variant=row["variant"],
        item_id=row["item_id"],
        repeat=row["repeat"],
        ok=bool(row["ok"]),
        error_kind=row["error_kind"],
        error=row["error"],
        output=row["output"] or "",
        inputs=inputs,
        expected=expected,
        metadata=metadata,
        facts={name: row[name] for name in _FACTS if row.get(name) is not None},
        scores=tuple(scores.get((row["variant"], row["repeat"]), ())),
        messages=tuple(messages),
        prompt_is_kept=is_kept,
        prompt_problem=problem,
        tool_calls=row.get("tool_calls"),
        trace=tuple(_json(row.get("trace"), [])),
        guards=tuple(_json(row.get("guards"), [])),
    )


def _item(store: LocalStore, manifest: Manifest, identity: str) -> tuple[dict[str, Any], str | None, dict[str, Any]]:
    import duckdb

    try:
        with store.connect([manifest.run_id]) as connection:
            row = connection.execute(
                "SELECT inputs, expected, metadata FROM items WHERE id = ? LIMIT 1", [identity]
            ).fetchone()
    except duckdb.CatalogException:
        row = None
    if row is None:
        return {}, None, {}
    inputs, metadata = _json(row[0], {}), _json(row[2], {})
    expected = _json(row[1], row[1])
    shown = expected if isinstance(expected, str) or expected is None else json.dumps(expected, ensure_ascii=False)
    return (
        inputs if isinstance(inputs, dict) else {"input": inputs},
        shown,
        metadata if isinstance(metadata, dict) else {},
    )


def _json(text: object, default: Any) -> Any:
    if not isinstance(text, str):
        return default
    try:
        return json.loads(text)
    except ValueError:
        return default


def rendered_prompt(manifest: Manifest, variant: str, inputs: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Return the messages that a variant was asked with on some inputs, and why they cannot be shown."""
    info = next((entry for entry in manifest.variants if entry.name == variant), None)
    if info is None or info.prompt is None or info.prompt not in manifest.prompts:
        return [], ""
    stored = manifest.prompts[info.prompt]
    try:
        prompt = Prompt(name=info.prompt, messages=stored["messages"], version=str(stored.get("version", "")))
        return prompt.render({**info.levels, **inputs}), ""
    except BakeoffError as problem:
        return [], str(problem)
