"""Two settings item by item: one variant against another, of the same run or of two."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from bakeoff.app._queries import glance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.experiments import LocalStore, Manifest

__all__ = ["PairFilter", "PairPage", "PairRow", "PairShow", "Side", "is_judge", "judges_of", "pair_page", "tag_values"]

PairShow = Literal["improved", "regressed", "flipped", "changed", "failing", "errors", "judges", "all"]
_MOST_TAGS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two: a variant of a run."""

    run_id: str
    variant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFilter:
    """Which items to list."""

    metric: str
    before: Side
    after: Side
    show: PairShow = "all"
    search: str = ""
    tag: tuple[str, str] | None = None
    """Metadata field and the value that it must have."""
    judges: tuple[str, ...] = ()
    """Metrics that should agree, for `judges`."""
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """One item on both sides; `None` where a side has nothing."""

    item_id: str
    before_item: int | None
    """Number of the item in the run of that side."""
    after_item: int | None
    before: float | None
    after: float | None
    before_label: str | None
    after_label: str | None
    glance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPage:
    """Some rows of a longer list."""

    rows: tuple[PairRow, ...]
    total: int


_SIDE = "run_id = ${0}_run AND variant = ${0}_variant"
_PAGE = """
WITH one AS (SELECT item_id, avg(value) AS value, any_value(label) AS label FROM scores
             WHERE metric = $metric AND {left} GROUP BY item_id),
two AS (SELECT item_id, avg(value) AS value, any_value(label) AS label FROM scores
        WHERE metric = $metric AND {right} GROUP BY item_id),
tried_one AS (SELECT item_id, any_value(item) AS item, count(*) FILTER (NOT ok) AS errors FROM trials
              WHERE {left} GROUP BY item_id),
tried_two AS (SELECT item_id, any_value(item) AS item, count(*) FILTER (NOT ok) AS errors FROM trials
              WHERE {right} GROUP BY item_id),
known AS (SELECT coalesce(a.item_id, b.item_id) AS item_id, a.item AS item_one, b.item AS item_two,
                 coalesce(a.errors, 0) + coalesce(b.errors, 0) AS errors
          FROM tried_one a FULL JOIN tried_two b ON a.item_id = b.item_id)
SELECT k.item_id, k.item_one, k.item_two, one.value, two.value, one.label, two.label, count(*) OVER () AS total
FROM known k LEFT JOIN one ON one.item_id = k.item_id LEFT JOIN two ON two.item_id = k.item_id
WHERE {where} {search} {tag}
ORDER BY coalesce(k.item_two, k.item_one), k.item_id LIMIT $limit OFFSET $offset
"""
_CHANGED = """k.item_id IN (
  SELECT a.item_id FROM trials a JOIN trials b ON a.item_id = b.item_id AND a.repeat = b.repeat
  WHERE a.run_id = $one_run AND a.variant = $one_variant AND b.run_id = $two_run AND b.variant = $two_variant
    AND a.output IS DISTINCT FROM b.output)"""
_JUDGES = """k.item_id IN (
  SELECT item_id FROM scores WHERE (({left}) OR ({right})) AND metric IN (SELECT unnest($judges))
    AND (label IS NOT NULL OR type = 'bool' OR value BETWEEN 0 AND 1)
  GROUP BY run_id, variant, item_id, repeat
  HAVING count(DISTINCT coalesce(label, CAST(value >= 0.5 AS VARCHAR))) > 1
  UNION
  SELECT item_id FROM scores WHERE (({left}) OR ({right})) AND contains(coalesce(error, ''), 'the jury is split'))"""
_SEARCH = """AND (contains(lower(k.item_id), $needle)
  OR k.item_id IN (SELECT id FROM items WHERE contains(lower(inputs), $needle)
                   OR contains(lower(coalesce(expected, '')), $needle))
  OR k.item_id IN (SELECT item_id FROM trials WHERE (({left}) OR ({right}))
                   AND contains(lower(coalesce(output, '')), $needle)))"""
_TAG = "AND k.item_id IN (SELECT id FROM items WHERE json_extract_string(metadata, $path) = $tag)"


def pair_page(store: LocalStore, wanted: PairFilter, *, limit: int, offset: int = 0) -> PairPage:
    """Return one page of the items that a filter lets through, in the order of the later side's data."""
    import duckdb

    left, right = _SIDE.format("one"), _SIDE.format("two")
    sql = _PAGE.format(
        left=left,
        right=right,
        where=_where(wanted, left, right),
        search=_SEARCH.format(left=left, right=right) if wanted.search else "",
        tag=_TAG if wanted.tag else "",
    )
    values: dict[str, object] = {
        "metric": wanted.metric, "one_run": wanted.before.run_id, "one_variant": wanted.before.variant,
        "two_run": wanted.after.run_id, "two_variant": wanted.after.variant, "needle": wanted.search.lower(),
        "judges": list(wanted.judges), "limit": limit, "offset": offset,
        "path": f'$."{wanted.tag[0]}"' if wanted.tag else "", "tag": wanted.tag[1] if wanted.tag else "",
    }  # fmt: skip
    used = {name: value for name, value in values.items() if f"${name}" in sql}
    runs = list(dict.fromkeys((wanted.before.run_id, wanted.after.run_id)))
    with store.connect(runs) as connection:
        try:
            found = connection.execute(sql, used).fetchall()
        except (duckdb.CatalogException, duckdb.InvalidInputException, duckdb.BinderException):
            return PairPage(rows=(), total=0)  # no trial yet, the data set is gone, or a field that no path can name
        texts = _glances(connection, [row[0] for row in found])
    rows = [
        PairRow(
            item_id=row[0], before_item=row[1], after_item=row[2], before=row[3], after=row[4], before_label=row[5],
            after_label=row[6], glance=glance(texts.get(row[0])),
        )
        for row in found
    ]  # fmt: skip
    return PairPage(rows=tuple(rows), total=found[0][7] if found else 0)


def _where(wanted: PairFilter, left: str, right: str) -> str:
    ahead, behind = ("> 1e-12", "< -1e-12") if wanted.higher_is_better else ("< -1e-12", "> 1e-12")
    failing = "< 0.5" if wanted.higher_is_better else "> 0.5"
    return {
        "improved": f"two.value - one.value {ahead}",
        "regressed": f"two.value - one.value {behind}",
        "flipped": "(abs(two.value - one.value) > 1e-12 OR one.label <> two.label)",
        "changed": _CHANGED,
        "failing": f"(one.value {failing} OR two.value {failing})",
        "errors": "k.errors > 0",
        "judges": _JUDGES.format(left=left, right=right),
        "all": "true",
    }[wanted.show if wanted.show in get_args(PairShow) else "all"]


def _glances(connection: Any, ids: Sequence[str]) -> dict[str, str]:
    import duckdb

    with contextlib.suppress(duckdb.CatalogException):  # the data set is gone
        query = "SELECT id, any_value(inputs[:600]) FROM items WHERE id IN (SELECT unnest(?)) GROUP BY id"
        return dict(connection.execute(query, [list(ids)]).fetchall())
    return {}


def tag_values(store: LocalStore, run_id: str, field: str) -> list[str]:
    """Return the values of a metadata field, the most frequent first; at most 200."""
    import duckdb

    try:
        with store.connect([run_id]) as connection:
            rows = connection.execute(
                "SELECT json_extract_string(metadata, $path) AS value FROM items WHERE value IS NOT NULL "
                "GROUP BY value ORDER BY count(*) DESC, value LIMIT $most",
                {"path": f'$."{field}"', "most": _MOST_TAGS},
            ).fetchall()
    except duckdb.Error:
        return []
    return [str(row[0]) for row in rows]


def judges_of(*manifests: Manifest) -> tuple[str, ...]:
    """Return the metrics that should agree: those of judges if there are two, else those that say pass or fail.

    Empty where fewer than two metrics can be held against each other, and no judge is a jury.
    """
    known = {metric.metric: metric for manifest in manifests for metric in manifest.metrics}
    judges = [name for name, metric in known.items() if is_judge(metric.evaluator)]
    options = [known[name].spec.get(known[name].evaluator) or {} for name in judges]
    has_jury = any(given.get("jury") or (given.get("samples") or 1) > 1 for given in options)
    if len(judges) >= 2 or has_jury:
        return tuple(judges)
    checks = [name for name, metric in known.items() if metric.score_kind == "binary"]
    return tuple(checks) if len(checks) >= 2 else ()


def is_judge(kind: str) -> bool:
    """Say whether an evaluator is a model's opinion."""
    from bakeoff.errors import EvaluatorError
    from bakeoff.evaluators import evaluator_class

    try:
        return evaluator_class(kind).family in ("judge", "pairwise")
    except EvaluatorError:  # a class of the user's own, which is not known here
        return False
