"""Labels as files, and how far people agree."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from typing import TYPE_CHECKING

from bakeoff.app._labels import Label
from bakeoff.app._text import defused
from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bakeoff.app._labels import LabelStore, Queue
    from bakeoff.experiments import Preference
    from bakeoff.stats import Agreement

__all__ = ["Imported", "PairAgreement", "agreement", "import_labels", "labels_csv", "pair_agreements", "preferences"]

_MAX_BYTES = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What came of a file of labels."""

    added: int
    unchanged: int
    """Labels that were there already."""
    refused: tuple[str, ...]
    """Rows that fit no task or no choice, with their line and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """How often two people said the same."""

    one: str
    other: str
    both: int
    same: int


def labels_csv(found: Sequence[Label]) -> bytes:
    """Return labels as CSV with all that is known about them; formulas of spreadsheets are defused."""
    sink = io.StringIO()
    writer = csv.DictWriter(sink, [field.name for field in fields(Label)])
    writer.writeheader()
    for label in found:
        writer.writerow({name: defused(value) for name, value in asdict(label).items()})
    return sink.getvalue().encode(errors="replace")


def import_labels(labels: LabelStore, queue: Queue, content: bytes, *, annotator: str = "") -> Imported:
    """Take labels from a CSV file into a queue: all rows that fit, each as a new version.

    Columns: `item_id`, `variant`, `value`, and if needed `repeat`, `annotator`, `note`, `other` (pairs). A file
    that was downloaded here can be read as it is.

    Args:
        labels: Where labels are kept.
        queue: The queue; rows about other answers are refused.
        content: The file.
        annotator: Who judged, where the file does not say.

    Raises:
        SpecError: It is no CSV in UTF-8, or lacks a column.
    """
    if len(content) > _MAX_BYTES:
        raise SpecError(f"the file of labels is larger than {_MAX_BYTES // 1_000_000} MB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"the file of labels is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    try:
        rows = [(reader.line_num, row) for row in reader]
        names = {str(name).strip().lower(): str(name) for name in reader.fieldnames or ()}
    except csv.Error as error:
        raise SpecError(f"the file of labels, line {reader.line_num}: {error}") from None
    missing = [name for name in ("item_id", "variant", "value") if name not in names]
    if missing:
        raise SpecError(
            f"the file of labels lacks {', '.join(map(repr, missing))}; it has {', '.join(names) or 'no columns'}"
        )

    def cell(row: dict[str, str | None], name: str) -> str:
        value = (row.get(names.get(name, "")) or "").strip()
        return value[1:] if value[:1] == "'" and value[1:2] in ("=", "+", "-", "@") else value

    tasks = {(t.item_id, t.variant, t.other or "", t.repeat): t for t in labels.tasks(queue)}
    standing = {(x.item_id, x.variant, x.other or "", x.repeat, x.annotator): x for x in labels.labels(queue)}
    added = unchanged = 0
    refused: list[str] = []
    for line, row in rows:
        repeat = cell(row, "repeat") or "0"
        key = (cell(row, "item_id"), cell(row, "variant"), cell(row, "other"), int(repeat) if repeat.isdigit() else -1)
        who, value, note = cell(row, "annotator") or annotator, cell(row, "value"), cell(row, "note")
        task = tasks.get(key)
        if task is None:
            refused.append(f"line {line}: no such task: item {key[0]!r}, variant {key[1]!r}, repeat {repeat!r}")
            continue
        before = standing.get((*key, who))
        if before is not None and (before.value, before.note) == (value, note):
            unchanged += 1
            continue
        try:
            labels.add(queue, task, who, value, note=note)
        except SpecError as error:
            refused.append(f"line {line}: {error}")
        else:
            added += 1
    return Imported(added=added, unchanged=unchanged, refused=tuple(refused))


def preferences(found: Sequence[Label]) -> list[Preference]:
    """Return labels of pairs as preferences, to be ranked; the answer on the left counts as shown first."""
    from bakeoff.experiments import Preference

    points = {"tie": 0.5}
    return [
        Preference(
            item_id=label.item_id, first=label.variant, second=label.other,
            outcome=points.get(label.value, float(label.value == label.variant)), by=label.annotator,
        )
        for label in found
        if label.other is not None
    ]  # fmt: skip


def _by_task(found: Sequence[Label]) -> dict[tuple[str, int, str, str], dict[str, str]]:
    tasks: dict[tuple[str, int, str, str], dict[str, str]] = {}
    for label in found:
        key = (label.item_id, label.repeat, label.variant, label.other or "")
        tasks.setdefault(key, {})[label.annotator] = label.value
    return tasks


def agreement(found: Sequence[Label]) -> Agreement | None:
    """Return Krippendorff's alpha over everybody; `None` while no answer was judged by two people."""
    from bakeoff.stats import krippendorff_alpha

    people = sorted({label.annotator for label in found})
    tasks = [judged for judged in _by_task(found).values() if len(judged) > 1]
    if not tasks:
        return None
    return krippendorff_alpha([[judged.get(person) for person in people] for judged in tasks])  # type: ignore[arg-type]


def pair_agreements(found: Sequence[Label]) -> list[PairAgreement]:
    """Return how often each two people agree, on the answers that both judged."""
    tasks = _by_task(found).values()
    pairs: list[PairAgreement] = []
    for one, other in combinations(sorted({label.annotator for label in found}), 2):
        both = [judged for judged in tasks if one in judged and other in judged]
        if both:
            same = sum(judged[one] == judged[other] for judged in both)
            pairs.append(PairAgreement(one=one, other=other, both=len(both), same=same))
    return pairs
