"""From a reader's own file to an experiment that fits it: columns, prompts, evaluator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bakeoff.app import _draft, _own_data

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bakeoff.datasets import Item

__all__ = ["adapt_example", "file_columns", "guess_mapping"]

_ANSWERS = ("expected", "label", "answer", "truth", "target", "ground_truth", "intent", "category", "gold", "output")


def guess_mapping(columns: Sequence[str]) -> dict[str, Any]:
    """Guess which columns of a file are what, from their names.

    Examples:
        >>> guess_mapping(["id", "question", "answer", "lang"])
        {'id': 'id', 'inputs': ['question', 'lang'], 'expected': 'answer'}
    """
    low = {name.lower(): name for name in columns}
    expected = next((low[name] for name in _ANSWERS if name in low), None)
    identity = low.get("id")
    rest = [name for name in columns if name not in (expected, identity)]
    found: dict[str, Any] = {"inputs": rest or list(columns)}
    if expected is not None:
        found["expected"] = expected
    return ({"id": identity} if identity else {}) | found


def adapt_example(draft: dict[str, Any], columns: Sequence[str], items: Sequence[Item], *, name: str) -> bool:
    """Make the example's prompts and evaluator fit other data, where they are still those of the example.

    The longest input becomes the variable of the prompts; a few short answers are labels, numbers are compared as
    numbers, and anything else as words.

    Returns:
        Whether the draft was changed.
    """
    example = _draft.example_draft()
    if draft.get("prompts") != example["prompts"] or draft.get("evaluators") != example["evaluators"] or not items:
        return False
    if "message" in columns and draft.get("name") == example["name"] and _labels_of(items) <= _example_labels():
        return False  # it fits as it is
    longest = max(columns, key=lambda c: sum(len(str(item.inputs.get(c, ""))) for item in items))
    place = "{{ " + longest + " }}" if longest.isidentifier() else "{{ inputs[" + repr(longest) + "] }}"
    answers = [item.expected for item in items if item.expected is not None]
    labels = sorted(_labels_of(items))
    draft["name"], draft["description"] = _draft.slug(name), ""
    if labels and len(labels) <= 20 and len(labels) * 3 <= len(answers):
        listed = ", ".join(labels)
        draft["prompts"] = {
            "short": f"Answer with one of: {listed}\n\n{place}",
            "careful": (
                f"Read the text, then answer with exactly one of these labels and nothing else:\n{listed}\n\n"
                f"Text: {place}\nLabel:"
            ),
        }
        draft["evaluators"] = [{"label_match": {"name": "correct", "labels": labels}}]
    else:
        numeric = bool(answers) and all(_is_number(answer) for answer in answers)
        draft["prompts"] = {
            "short": f"Answer as briefly as possible: {place}",
            "step by step": f"Think step by step, then give the answer alone on the last line.\n\n{place}",
        }
        kind = "numeric" if numeric else "token_f1" if answers else "length"
        draft["evaluators"] = [{kind: {"name": "correct" if numeric else "overlap" if answers else "size"}}]
    draft["analysis"] = {"primary": _metric(draft["evaluators"][0])} | ({"margin": 0.03} if answers else {})
    return True


def _labels_of(items: Sequence[Item]) -> set[str]:
    found = {item.expected for item in items if isinstance(item.expected, str) and item.expected.strip()}
    return {text for text in found if len(text) <= 40}


def _example_labels() -> set[str]:
    return set(_draft.example_draft()["evaluators"][0]["label_match"]["labels"])


def _is_number(value: object) -> bool:
    if isinstance(value, int | float):
        return True
    try:
        float(str(value).replace(",", ""))
    except ValueError:
        return False
    return True


def _metric(entry: object) -> str:
    kind, options = _draft.evaluator_parts(entry)
    return str(options.get("name") or kind)


def file_columns(path: Path) -> list[str]:
    """Return the names of the columns of a data file.

    Raises:
        DatasetError: It cannot be read.
    """
    return list(_own_data.read_facts(path, _own_data.sniff(path)).columns)
