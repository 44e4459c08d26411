"""Two texts side by side, word by word."""

from __future__ import annotations

import difflib
import re

from bakeoff.app._text import h

__all__ = ["word_diff"]

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_MAX_WORDS = 2500


def word_diff(before: str, after: str, *, limit: int = 20_000) -> tuple[str, str]:
    """Return both texts as escaped HTML: `<del>` for what only the first has, `<ins>` for what only the second has.

    Texts of more than 2,500 words are compared line by line.

    Examples:
        >>> word_diff("a cat", "a dog")
        ('a <del>cat</del>', 'a <ins>dog</ins>')
    """
    left, right = _tokens(before[:limit]), _tokens(after[:limit])
    if len(left) > _MAX_WORDS or len(right) > _MAX_WORDS:
        left, right = before[:limit].splitlines(keepends=True), after[:limit].splitlines(keepends=True)
    if len(left) > _MAX_WORDS or len(right) > _MAX_WORDS:
        return h(before[:limit]), h(after[:limit])
    one: list[str] = []
    two: list[str] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        old, new = h("".join(left[a:b])), h("".join(right[c:d]))
        one.append(old if kind == "equal" or not old else f"<del>{old}</del>")
        two.append(new if kind == "equal" or not new else f"<ins>{new}</ins>")
    return "".join(one), "".join(two)


def _tokens(text: str) -> list[str]:
    return _WORDS.findall(text)
