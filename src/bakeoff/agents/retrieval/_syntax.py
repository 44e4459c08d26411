"""Code cut by tree-sitter: whole definitions while they fit, the members of those that do not."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bakeoff.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LANGUAGES", "syntax_units"]

LANGUAGES = {
    ".py": "python", ".pyi": "python",
    ".js": "javascript", ".jsx": "javascript", ".mjs": "javascript", ".cjs": "javascript",
    ".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx",
}  # fmt: skip
"""Grammar by the ending of a document's id."""


@lru_cache(maxsize=8)
def _parser(language: str) -> Any:
    try:
        import tree_sitter  # an optional extra

        if language == "python":
            import tree_sitter_python as grammars

            made = grammars.language()
        elif language == "javascript":
            import tree_sitter_javascript as grammars

            made = grammars.language()
        else:
            import tree_sitter_typescript as grammars

            made = grammars.language_tsx() if language == "tsx" else grammars.language_typescript()
    except ImportError:
        raise MissingExtraError("cutting code by its syntax", "tree-sitter") from None
    return tree_sitter.Parser(tree_sitter.Language(made))


def syntax_units(text: str, name: str, *, size: int) -> list[str] | None:
    """Cut code where a definition or another statement begins; `None` for a language without a grammar here.

    Units stand one after the other and lose nothing. A unit of more words than `size` is cut again at the members of
    its body, as deep as it takes. A comment goes with what follows it.

    Args:
        text: The code; mistakes in it are borne.
        name: Of the document; its ending tells the language.
        size: Most words of a unit, where there is a place to cut.

    Raises:
        MissingExtraError: The extra `tree-sitter` is not installed.
    """
    language = next((found for ending, found in LANGUAGES.items() if name.lower().endswith(ending)), None)
    if language is None:
        return None
    code = text.encode("utf-8", "replace")
    tree = _parser(language).parse(code)
    bounds = [0, *_cuts(code, tree.root_node, 0, len(code), size), len(code)]
    return [code[start:end].decode("utf-8", "replace") for start, end in pairwise(bounds) if start < end]


def _cuts(code: bytes, node: Any, start: int, end: int, size: int) -> Iterator[int]:
    """Give the places to cut between `start` and `end`, in order, at children of the node and below."""
    children = [child for child in node.children if start <= child.start_byte < end]
    begins: list[int] = []
    heads: list[Any] = []
    held: int | None = None
    for child in children:
        if not child.is_named:
            continue
        at = child.start_byte if held is None else held
        if child.type in ("comment", "decorator"):
            held = at
            continue
        held = None
        begins.append(_line_start(code, at))
        heads.append(child)
    edges = [max(at, start) for at in begins] + [end]
    for index, child in enumerate(heads):
        here, until = edges[index], edges[index + 1]
        if start < here < until:
            yield here
        if here < until and len(code[here:until].split()) > size:
            inner = _body(child)
            if inner is not None:
                yield from _cuts(code, inner, max(inner.start_byte, here), until, size)


def _body(node: Any) -> Any:
    """Return the part of a definition that holds its members, or the definition within an export or a decorator."""
    body = node.child_by_field_name("body")
    if body is not None:
        return body
    for child in node.children:
        if child.is_named and child.type != "decorator":
            found = child.child_by_field_name("body") or child.child_by_field_name("value")
            if found is not None:
                return found.child_by_field_name("body") or found
    return None


def _line_start(code: bytes, at: int) -> int:
    """Return the beginning of the line, when nothing but blanks stands before: indentation goes with its member."""
    line = code.rfind(b"\n", 0, at) + 1
    return line if not code[line:at].strip() else at
