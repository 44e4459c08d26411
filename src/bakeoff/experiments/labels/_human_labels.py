"""Labels by people, read from CSV, joined to the trials of a run."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

__all__ = ["HumanLabel", "Joined", "abstains", "join_labels", "pass_or_fail", "read_labels"]

_PASS = frozenset({"1", "1.0", "true", "yes", "y", "pass", "passed", "right", "correct", "good", "ok", "+"})
_FAIL = frozenset({"0", "0.0", "false", "no", "n", "fail", "failed", "wrong", "incorrect", "bad", "not ok", "-"})
_ABSTAIN = frozenset({"", "unclear", "unsure", "unknown", "skip", "skipped", "n/a", "na", "?", "nan", "none"})
_MAX_BYTES = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanLabel:
    """What one person said about one answer."""

    item_id: str
    variant: str
    value: str
    repeat: int | None = None
    """From 0, as in the store; `None` where the source does not say."""
    annotator: str = ""
    line: int = 0
    """Where it was read, for messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Labels at their places in the run."""

    values: dict[tuple[int, int, int], list[str]]
    """Labels by (variant, item, repeat) code, one a person."""
    by_person: dict[str, dict[tuple[int, int, int], str]]
    n_unclear: int
    unmatched: tuple[str, ...]
    """Labels of items or variants that the run does not have."""


def read_labels(path: Path) -> list[HumanLabel]:
    """Read labels from a CSV file.

    Columns: `item_id`, `variant`, `value`, and if needed `repeat` (from 0) and `annotator`. Further columns are left
    alone, so a file exported from the dashboard can be read as it is. Rows of pairwise tasks (`other` is filled) are
    left out.

    Args:
        path: The file, UTF-8, comma, semicolon or tab.

    Returns:
        One entry by row; words like `unclear` and empty values are kept and count as no answer later.

    Raises:
        SpecError: The file cannot be read, lacks a column, or has a repeat that is no number.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SpecError(f"the labels {str(path)!r} are larger than {_MAX_BYTES // 1_000_000} MB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpecError(f"the labels {str(path)!r} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"the labels {str(path)!r} are not UTF-8 (byte {error.start}); save them as UTF-8") from error
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    try:
        names = {str(name).strip().lower(): str(name) for name in reader.fieldnames or ()}
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise SpecError(f"the labels {str(path)!r}, line {reader.line_num}: {error}") from error
    missing = [name for name in ("item_id", "variant", "value") if name not in names]
    if missing:
        raise SpecError(
            f"the labels {str(path)!r} lack the column{'s' * (len(missing) > 1)} {', '.join(map(repr, missing))}; "
            f"found {', '.join(map(repr, names)) or 'none'}. Needed: item_id, variant, value (and repeat, annotator)"
        )

    def cell(row: dict[str, str | None], name: str) -> str:
        return (row.get(names.get(name, "")) or "").strip()

    return [
        HumanLabel(
            item_id=cell(row, "item_id"), variant=cell(row, "variant"), value=cell(row, "value"),
            repeat=_repeat(cell(row, "repeat"), path, line), annotator=cell(row, "annotator"), line=line,
        )
        for line, row in rows
        if not cell(row, "other")
    ]  # fmt: skip


def _repeat(text: str, path: Path, line: int) -> int | None:
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise SpecError(f"{str(path)!r}, line {line}: repeat must be a whole number from 0, got {text!r}") from None


def abstains(value: str) -> bool:
    """Say whether a label means that its author did not decide."""
    return value.strip().casefold() in _ABSTAIN


def pass_or_fail(value: str, *, passing: Sequence[str] = ()) -> float:
    """Return 1 for a label that means pass, 0 for fail.

    Args:
        value: The label.
        passing: Words that mean pass; all others then mean fail. Common words are known when empty.

    Raises:
        SpecError: The word is not known and `passing` is empty.

    Examples:
        >>> pass_or_fail("Right"), pass_or_fail("no"), pass_or_fail("fine", passing=["fine", "great"])
        (1.0, 0.0, 1.0)
    """
    word = value.strip().casefold()
    if passing:
        return float(word in {entry.strip().casefold() for entry in passing})
    if word in _PASS or word in _FAIL:
        return float(word in _PASS)
    raise SpecError(
        f"the judge says pass or fail, and the label {value!r} is neither; name the words that mean pass "
        "(--pass good --pass great)"
    )


def join_labels(
    labels: Iterable[HumanLabel], *, variants: Sequence[str], item_ids: Sequence[str], repeats: int
) -> Joined:
    """Find each label's trial. The last label of a person on a trial counts.

    Args:
        labels: The labels.
        variants: Names, in the order of the run.
        item_ids: Ids, in the order of the run.
        repeats: Repeats of the run.

    Raises:
        SpecError: The run has repeats and a label does not say which, or its repeat is not one of them.
    """
    place_of_variant = {name: index for index, name in enumerate(variants)}
    place_of_item = {str(name): index for index, name in enumerate(item_ids)}
    by_person: dict[str, dict[tuple[int, int, int], str]] = {}
    unmatched: list[str] = []
    unclear = 0
    for label in labels:
        variant, item = place_of_variant.get(label.variant), place_of_item.get(label.item_id)
        if variant is None or item is None:
            what = f"variant {label.variant!r}" if variant is None else f"item {label.item_id!r}"
            unmatched.append(f"line {label.line}: {what}" if label.line else what)
            continue
        if label.repeat is None and repeats > 1:
            raise SpecError(
                f"the run has {repeats} repeats: the labels need a column 'repeat' (0 to {repeats - 1}); "
                f"the label of item {label.item_id!r}, variant {label.variant!r} has none"
            )
        repeat = label.repeat or 0
        if not 0 <= repeat < repeats:
            raise SpecError(
                f"repeat {repeat} of item {label.item_id!r}, variant {label.variant!r} is not in the run, "
                f"whose repeats are 0 to {repeats - 1}"
            )
        person = by_person.setdefault(label.annotator, {})
        if abstains(label.value):
            unclear += 1
            person.pop((variant, item, repeat), None)
        else:
            person[variant, item, repeat] = label.value.strip()
    values: dict[tuple[int, int, int], list[str]] = {}
    for person in by_person.values():
        for key, value in person.items():
            values.setdefault(key, []).append(value)
    return Joined(values=values, by_person=by_person, n_unclear=unclear, unmatched=tuple(unmatched))


def majority(values: Sequence[str]) -> str | None:
    """Return what most people said; `None` where two answers lead.

    Examples:
        >>> majority(["a", "b", "a"]), majority(["a", "b"])
        ('a', None)
    """
    counts = Counter(values).most_common(2)
    return None if len(counts) > 1 and counts[0][1] == counts[1][1] else counts[0][0]


def number(value: str) -> float:
    """Return a label as a number.

    Raises:
        SpecError: It is none.
    """
    try:
        parsed = float(value)
    except ValueError:
        parsed = nan
    if not isfinite(parsed):
        raise SpecError(f"the judge gives numbers, and the label {value!r} is none")
    return parsed


def mark_reader(metric: str, *, scale: tuple[float, float] | None, bounded: bool) -> Callable[[str], float]:
    """Return what reads a label as a mark on the scale of the judge.

    Args:
        metric: The judge's metric, for messages.
        scale: Lowest and highest mark that people could give; they are stretched to 0 and 1, the scale of the judge.
        bounded: Whether the judge gives numbers from 0 to 1.

    Raises:
        SpecError: By the reader: a label is no number, or not on the scale.

    Examples:
        >>> mark_reader("clear", scale=(1, 5), bounded=True)("4")
        0.75
    """
    low, high = scale or (0.0, 1.0)

    def read(value: str) -> float:
        mark = number(value)
        if scale is None and not bounded:
            return mark
        if low <= mark <= high:
            return (mark - low) / (high - low)
        if scale is not None:
            raise SpecError(f"the label {value!r} is not on the scale from {low:g} to {high:g}")
        raise SpecError(
            f"{metric!r} gives numbers from 0 to 1, and the label {value!r} is none of them\n"
            "    fix: say on which scale people marked, for instance --scale 1-5"
        )

    return read


def why_no_label(joined: Joined, run_id: str) -> str:
    """Say why there is not one label to hold a judge against."""
    if joined.unmatched:
        more = f": {len(joined.unmatched)} belong to other items or variants, for instance {joined.unmatched[0]}"
        return f"no label belongs to an answer of run {run_id!r}{more}"
    if joined.n_unclear:
        return f"nobody decided: all {joined.n_unclear} labels are empty or say that it is not clear"
    return "there is no label: the file has no rows, or the queue was not worked on yet"


def human_cube(
    joined: Joined, shape: tuple[int, int, int], read: Callable[[str], float], *, binary: bool
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.float64]], int]:
    """Return labels as an array like the scores, `nan` where there is none, and how many ended in a tie.

    Several people on one answer: the majority for pass/fail (a tie is no label), the mean for marks.
    """
    cube = np.full(shape, nan)
    ties = 0
    for key, values in joined.values.items():
        marks = [read(value) for value in values]
        mean = sum(marks) / len(marks)
        if binary and mean == 0.5:
            ties += 1
            continue
        cube[key] = float(mean > 0.5) if binary else mean
    return cube, ties
