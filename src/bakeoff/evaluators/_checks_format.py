"""Checks on the format of the output: XML, YAML, CSV, HTML, addresses."""

from __future__ import annotations

import csv
import io
import re
import time
from html.parser import HTMLParser
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field
from typing_extensions import override

from bakeoff.evaluators._base import Finding, OutputCheck
from bakeoff.evaluators._protocol import CannotScoreError, EvaluatorContext, Family
from bakeoff.evaluators._registry import evaluator
from bakeoff.evaluators._text import preview

__all__ = ["CsvValid", "EmailValid", "FormatCheck", "HtmlValid", "UrlValid", "XmlValid", "YamlValid", "code_block"]

_FENCE = re.compile(r"```[ \t]*([\w+#.-]{0,30})[^\n`]{0,80}\n(.*?)(?:```|\Z)", re.DOTALL)
_DEEPEST = 200
_HTML_SECONDS = 3.0
_HTML_CHUNK = 20_000
LONGEST_PARSED = 1_000_000
"""Characters beyond which a document is not parsed."""


def code_block(text: str, languages: tuple[str, ...] = ()) -> str:
    r"""Give the first Markdown code block in one of the languages, else the first unlabelled one, else everything.

    Examples:
        >>> code_block("Here:\n```sql\nSELECT 1\n```\nDone.", ("sql",))
        'SELECT 1\n'
    """
    blocks = _FENCE.findall(text)
    for language, body in blocks:
        if language.lower() in languages:
            return body
    return next((body for language, body in blocks if not language), blocks[0][1] if blocks and not languages else text)


class FormatCheck(OutputCheck):
    """A check that parses the output as a document."""

    family: ClassVar[Family] = "check"
    languages: ClassVar[tuple[str, ...]] = ()

    extract: bool = False
    """Take the document out of a Markdown code block."""

    def document(self, context: EvaluatorContext) -> str:
        """Give the document.

        Raises:
            CannotScoreError: There is none, or it is longer than a million characters.
        """
        text = self.text(context)
        if len(text) > LONGEST_PARSED:
            raise CannotScoreError(f"a document of {len(text)} characters; {LONGEST_PARSED} are the most this parses")
        return code_block(text, self.languages) if self.extract else text


@evaluator("xml_valid")
class XmlValid(FormatCheck):
    """Check that the output is well-formed XML.

    Entity declarations are refused: they are how a small document becomes a huge one.

    Value:
        Pass or fail; the reason says where it breaks.

    Missing when:
        There is no output, or it has more than a million characters.

    Source:
        The expat parser of Python; XML 1.0.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("xml_valid").evaluate(EvaluatorContext(output="<a><b></a>")).reason
        'mismatched tag: line 1, column 8'
    """

    languages: ClassVar[tuple[str, ...]] = ("xml", "svg", "html")

    root: str | None = None
    """Name that the outermost element must have."""

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        from xml.parsers import expat

        parser = expat.ParserCreate("utf-8")  # the text is decoded already, whatever its head declares
        roots: list[str] = []

        def refuse(*_: Any) -> None:
            raise ValueError("it declares entities")

        def remember(name: str, _: dict[str, str]) -> None:
            if not roots:
                roots.append(name)

        parser.EntityDeclHandler = refuse
        parser.StartElementHandler = remember
        try:
            parser.Parse(self.document(context).strip().encode("utf-8", "replace"), True)
        except (expat.ExpatError, ValueError) as error:
            return Finding(False, str(error))
        if self.root is not None and roots != [self.root]:
            return Finding(False, f"the outermost element is {roots[0]!r} instead of {self.root!r}")
        return Finding(True)


@evaluator("yaml_valid")
class YamlValid(FormatCheck):
    """Check that the output is YAML, and a mapping or list rather than a bare sentence.

    Several documents (between `---`) may follow each other; each must be one.

    Value:
        Pass or fail; the reason says where it breaks. Tags that would build Python objects fail.

    Missing when:
        There is no output, or it has more than a million characters.

    Source:
        PyYAML's safe loader; YAML 1.1.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("yaml_valid").evaluate(EvaluatorContext(output="I am a sentence.")).reason
        'it is a single value, not a mapping or list'
    """

    version: ClassVar[str] = "2"  # 2: several documents
    languages: ClassVar[tuple[str, ...]] = ("yaml", "yml")

    type: Literal["any", "mapping", "list", "structure"] = "structure"
    """What it must be; `structure` is a mapping or list, `any` accepts a single value too."""

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        text = self.document(context)
        try:
            if _yaml_depth(text, loader) > _DEEPEST:
                return Finding(False, f"nested deeper than {_DEEPEST} levels")
            values = list(yaml.load_all(text, Loader=loader))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f": line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            return Finding(False, f"{error.problem or error.context}{where}")
        except (yaml.YAMLError, ValueError, RecursionError, OverflowError, TypeError) as error:
            return Finding(False, str(error).partition("\n")[0] or type(error).__name__)
        for value in values or [None]:
            kind = "mapping" if isinstance(value, dict) else "list" if isinstance(value, list) else "single value"
            if self.type == "structure" and kind == "single value":
                return Finding(False, "it is a single value, not a mapping or list")
            if self.type in ("mapping", "list") and kind != self.type:
                return Finding(False, f"it is a {kind}, not a {self.type}")
        return Finding(True)


def _yaml_depth(text: str, loader: Any) -> int:
    """Measure the nesting without building it: the compiled loader recurses in C, where depth ends the process."""
    import yaml

    depth = deepest = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            deepest = max(deepest, depth)
            if deepest > _DEEPEST:
                break
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return deepest


@evaluator("csv_valid")
class CsvValid(FormatCheck):
    r"""Check that the output is a CSV table: at least two rows, each with the same number of columns.

    Value:
        Pass or fail; the reason names the first bad row.

    Missing when:
        There is no output, or it has more than a million characters.

    Source:
        Python's `csv` in strict mode; RFC 4180.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("csv_valid").evaluate(EvaluatorContext(output="a,b\n1,2\n3")).reason
        'row 3 has 1 columns instead of 2'
    """

    languages: ClassVar[tuple[str, ...]] = ("csv", "tsv")

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """Character between columns."""
    columns: list[str] = Field(default_factory=list)
    """Header that the first row must be."""
    min_rows: int = Field(default=2, ge=1)
    """Fewest rows, the header counted."""

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        text = self.document(context).removeprefix("\ufeff").strip("\r\n")
        try:
            rows = [
                row for row in csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, strict=True) if row
            ]
        except csv.Error as error:
            return Finding(False, f"not CSV: {error}")
        if len(rows) < self.min_rows:
            return Finding(False, f"{len(rows)} rows; at least {self.min_rows}")
        width = len(rows[0])
        if width < 2 and len(self.columns) != 1:
            return Finding(False, f"one column; nothing is separated by {self.delimiter!r}")
        if self.columns and [cell.strip() for cell in rows[0]] != self.columns:
            return Finding(False, f"the header is {preview(rows[0])}")
        for index, row in enumerate(rows, start=1):
            if len(row) != width:
                return Finding(False, f"row {index} has {len(row)} columns instead of {width}")
        return Finding(True)


_VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source"))
_VOID |= {"track", "wbr"}
_OPTIONAL_END = frozenset(("body", "caption", "colgroup", "dd", "dt", "head", "html", "li", "optgroup", "option", "p"))
_OPTIONAL_END |= {"rb", "rp", "rt", "rtc", "tbody", "td", "tfoot", "th", "thead", "tr"}


class _Balance(HTMLParser):
    """Keeps the open elements and the first thing out of balance."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements = 0
        self.problem: str | None = None

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements += 1
        if tag not in _VOID:
            self.open.append(tag)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements += 1

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        while self.open and self.open[-1] != tag and self.open[-1] in _OPTIONAL_END:
            self.open.pop()
        if self.open and self.open[-1] == tag:
            self.open.pop()
        elif self.problem is None and tag != "p":
            line, column = self.getpos()
            self.problem = f"</{tag}> closes nothing that is open: line {line}, column {column + 1}"

    def verdict(self) -> str | None:
        """Say what is out of balance, if anything."""
        left = [tag for tag in self.open if tag not in _OPTIONAL_END]
        if self.elements == 0:
            return "there is no HTML element"
        return self.problem or (f"<{left[-1]}> is not closed" if left else None)


@evaluator("html_valid")
class HtmlValid(FormatCheck):
    """Check that the output is HTML whose elements are closed in the right order.

    This is a check of balance (HTML's optional end tags are respected), not a full validation of nesting rules and
    attributes. Scripts are never run.

    Value:
        Pass or fail; the reason names the first element out of balance.

    Missing when:
        There is no output, or it has more than a million characters.

    Source:
        Own, on Python's `html.parser`; optional end tags after the HTML standard, section 13.1.2.4.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("html_valid").evaluate(EvaluatorContext(output="<ul><li>one<li>two</ul>")).value
        True
        >>> load_evaluator("html_valid").evaluate(EvaluatorContext(output="<b><i>x</b></i>")).value
        False
    """

    languages: ClassVar[tuple[str, ...]] = ("html", "xhtml")

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        balance, document = _Balance(), self.document(context)
        deadline = time.monotonic() + _HTML_SECONDS
        try:
            for start in range(0, len(document), _HTML_CHUNK):
                balance.feed(document[start : start + _HTML_CHUNK])
                if time.monotonic() > deadline:
                    raise CannotScoreError(f"the HTML could not be read within {_HTML_SECONDS:g} s")
        except (AssertionError, ValueError) as error:  # html.parser on malformed declarations
            return Finding(False, f"not HTML: {error}")
        # `close` would try every `<` of an unfinished rest again: minutes for a text of many
        if re.search(r"<[A-Za-z/!?]", balance.rawdata):
            return Finding(False, "it ends inside a tag or comment")
        problem = balance.verdict()
        return Finding(problem is None, problem)


_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z]{{2,63}}|xn--[a-z0-9-]{{2,59}})", re.IGNORECASE)
_ATOM = r"(?:[a-z0-9!#$%&'*+/=?^_`{|}~-]|[^\W\x00-\x7f])+"
_MAILBOX = re.compile(rf"{_ATOM}(?:\.{_ATOM})*", re.IGNORECASE)


def is_host(host: str) -> bool:
    """Tell whether a host is a domain name with a top-level domain, an IP address or `localhost`."""
    import ipaddress

    if host == "localhost":
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        try:
            plain = host.encode("idna").decode("ascii")
        except (UnicodeError, ValueError):
            return False
        return len(plain) <= 253 and _HOST.fullmatch(plain) is not None
    return True


@evaluator("url_valid")
class UrlValid(OutputCheck):
    """Check that the output is one absolute URL with a proper host. The address is not called.

    Value:
        Pass or fail.

    Missing when:
        There is no output.

    Source:
        Own; RFC 3986, host names after RFC 1123.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("url_valid").evaluate(EvaluatorContext(output="https://example.org/a?b=1")).value
        True
    """

    family: ClassVar[Family] = "check"

    schemes: list[str] = Field(default_factory=lambda: ["http", "https"], min_length=1)
    """Schemes that pass."""

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        text = self.text(context).strip().removeprefix("<").removesuffix(">")
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            return Finding(False, f"no URL: {error}")
        if re.search(r"[\s<>\"{}|\\^`\x00-\x1f\x7f]", text):
            return Finding(False, "it holds characters that a URL may not hold")
        if parts.scheme not in self.schemes:
            return Finding(False, f"the scheme is {preview(parts.scheme)}, not {' or '.join(self.schemes)}")
        if not is_host(host.removesuffix(".")) or port == 0:
            return Finding(False, f"{preview(host)} is no host")
        return Finding(True)


@evaluator("email_valid")
class EmailValid(OutputCheck):
    r"""Check that the output is one e-mail address. Nothing is sent.

    Value:
        Pass or fail. Letters of any script pass (RFC 6531). Quoted local parts and bare IP hosts, which the standard
        allows and nobody has, fail.

    Missing when:
        There is no output.

    Source:
        Own; the dot-atom form of RFC 5322 with a domain after RFC 1123.

    Examples:
        >>> from bakeoff.evaluators import EvaluatorContext, load_evaluator
        >>> load_evaluator("email_valid").evaluate(EvaluatorContext(output="ada@example.org\n")).value
        True
    """

    version: ClassVar[str] = "2"  # 2: letters of any script
    family: ClassVar[Family] = "check"

    @override
    def measure(self, context: EvaluatorContext) -> Finding:
        text = self.text(context).strip()
        mailbox, _, host = text.rpartition("@")
        good = len(text) <= 254 and len(mailbox) <= 64 and _MAILBOX.fullmatch(mailbox) is not None
        good = good and "." in host and not host.replace(".", "").isdigit() and is_host(host)
        return Finding(good, None if good else f"{preview(text)} is no e-mail address")
