"""Small shared tools on text: what the output says as text, normalisation, words, dotted paths."""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from bakeoff.evaluators._protocol import CannotScoreError

__all__ = [
    "UNSPACED",
    "Normalisation",
    "as_text",
    "at_path",
    "find_json",
    "normalise",
    "parse_json",
    "preview",
    "split_sentences",
    "split_words",
]

Normalisation = Literal["strip", "casefold", "whitespace", "punctuation", "unicode", "articles", "accents"]
"""`strip` outer white space; `casefold`; `whitespace` runs become one space; `punctuation` removed; `unicode`
NFKC; `articles` a, an, the removed (SQuAD); `accents` removed."""

UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""A character of a script that puts no space between words, or hangs endings on them (Korean)."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.IGNORECASE)
_SPACES = re.compile(r"\s+")
_WORD = re.compile(r"\w+(?:['’.-]\w+|(?<=\d),\d{3}(?!\d))*")
_MARKED_WORD = r"[\w\p{M}]+(?:['’.\-\u200c\u200d][\w\p{M}]+|(?<=\d),\d{3}(?!\d))*"
_ABBREVIATED = "".join(
    rf"(?<!\b{word})" for word in ("Mr", "Mrs", "Ms", "Dr", "Prof", "St", "vs", "e.g", "i.e", "cf", "approx")
)
_SENTENCE_END = re.compile(
    _ABBREVIATED.replace("e.g", r"e\.g").replace("i.e", r"i\.e") + r"[.!?…]+[\"'”’)\]]*(?=\s|$)|[。！？]+|\n{2,}"
)
_ASCII_PUNCTUATION = dict.fromkeys(map(ord, string.punctuation))
_FENCE = re.compile(r"```[^\n`]{0,40}\n(.*?)```", re.DOTALL)


def as_text(value: object) -> str:
    """Give an output as text: a string as it is, anything else as JSON.

    Raises:
        CannotScoreError: There is no output.
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise CannotScoreError("there is no output to judge")
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def _drop_punctuation(text: str) -> str:
    if text.isascii():
        return text.translate(_ASCII_PUNCTUATION)
    return "".join(char for char in text if unicodedata.category(char)[0] not in "PS")


def _drop_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(char for char in decomposed if not unicodedata.combining(char)))


def normalise(text: str, steps: Sequence[Normalisation]) -> str:
    """Apply the named normalisations, always in the same order however they are listed.

    Examples:
        >>> normalise("  The  Café! ", ["strip", "casefold", "punctuation", "articles", "accents", "whitespace"])
        'cafe'
    """
    if "unicode" in steps:
        text = unicodedata.normalize("NFKC", text)
    if "casefold" in steps:
        text = text.casefold()
    if "accents" in steps:
        text = _drop_accents(text)
    if "punctuation" in steps:
        text = _drop_punctuation(text)
    if "articles" in steps:
        text = _ARTICLES.sub(" ", text)
    if "whitespace" in steps:
        text = _SPACES.sub(" ", text)
    if "strip" in steps:
        text = text.strip()
    return text


def split_words(text: str) -> list[str]:
    """Split into words: runs of letters, digits and underscores, joined by inner apostrophes, dots and hyphens.

    Scripts without spaces between words, such as Chinese, are not split; vowel signs belong to their letters.

    Examples:
        >>> split_words("Don't pay $3.50 - it's e-mail.")
        ["Don't", 'pay', '3.50', "it's", 'e-mail']
    """
    if text.isascii():
        return _WORD.findall(text)
    import regex  # unlike `re`, it knows combining marks, without which a word of Hindi falls to pieces

    return regex.findall(_MARKED_WORD, text)


def split_sentences(text: str) -> list[str]:
    """Split at `.`, `!`, `?` before white space and at empty lines; of abbreviations only the commonest are known.

    Examples:
        >>> split_sentences("Dr. Ito pays 3.50. Really? Yes")
        ['Dr. Ito pays 3.50.', 'Really?', 'Yes']
    """
    sentences: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        sentences.append(text[start : end.end()].strip())
        start = end.end()
    sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if any(char.isalnum() for char in sentence)]


def at_path(value: Any, path: str, what: str) -> Any:
    """Follow a dotted path (`answer.items.0.name`) through mappings and lists.

    Raises:
        CannotScoreError: The path leads nowhere; the message names the step and what is there instead.
    """
    here: Any = value
    for step in path.split("."):
        if isinstance(here, Mapping) and step in here:
            here = here[step]
        elif isinstance(here, Sequence) and not isinstance(here, str) and step.lstrip("-").isdigit():
            index = int(step)
            if not -len(here) <= index < len(here):
                raise CannotScoreError(f"{what} has no {path!r}: the list has {len(here)} entries")
            here = here[index]
        else:
            there = f"keys {sorted(map(str, here))[:8]}" if isinstance(here, Mapping) else type(here).__name__
            raise CannotScoreError(f"{what} has no {path!r}: {step!r} is not among {there}")
    return here


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse_json(text: str) -> Any:
    """Parse strict JSON: `NaN` and `Infinity` are refused, and depth or number size raise only `ValueError`.

    Raises:
        ValueError: The text is not JSON; the message says where.
    """
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def find_json(text: str) -> Any:
    """Find a JSON value in a model's answer: the whole text, else a Markdown code block, else the first object or list.

    A number in brackets (`[1]`) and empty ones (`[ ]`) are taken for footnotes and boxes where something else follows.

    Raises:
        ValueError: There is none.

    Examples:
        >>> find_json('Sure! {"a": 1} Hope that helps.')
        {'a': 1}
    """
    try:
        return parse_json(text)
    except ValueError as error:
        first = error
    for block in _FENCE.findall(text):
        try:
            return parse_json(block)
        except ValueError:
            continue
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    footnote: list[Any] | None = None
    for attempt, start in enumerate(re.finditer(r"[{\[]", text)):
        if attempt == 50:
            break
        try:
            found = decoder.raw_decode(text, start.start())[0]
        except (ValueError, RecursionError):
            continue
        if not (isinstance(found, list) and (not found or (len(found) == 1 and type(found[0]) is int))):
            return found
        footnote = found if footnote is None else footnote
    if footnote is not None:
        return footnote
    raise first


def preview(value: object, limit: int = 60) -> str:
    """Show a value in a reason, cut to `limit` characters.

    Examples:
        >>> preview("x" * 100, 10)
        "'xxxxxxxxx…'"
    """
    if isinstance(value, str):
        return repr(value if len(value) <= limit else value[: limit - 1] + "…")
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
