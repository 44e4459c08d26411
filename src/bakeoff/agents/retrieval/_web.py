"""Pages of the web: HTML, saved pages (MHTML) and web archives (WARC)."""

from __future__ import annotations

import codecs
import email
import email.policy
import re
from email.message import EmailMessage
from html.parser import HTMLParser
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from bakeoff.errors import BakeoffError, MissingExtraError, SpecError, SpecProblem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["ARCHIVES", "SAVED", "decode_page", "decode_text", "page_text", "read_archive", "read_saved_page"]

ARCHIVES = (".warc", ".warc.gz")
SAVED = (".mhtml", ".mht")
_PAGES = ("text/html", "application/xhtml+xml", "text/plain", "text/markdown")
_MOST_PAGE = 20_000_000
_MOST_ARCHIVE = 500_000_000
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE)


class _Words(HTMLParser):
    """Takes the text out of HTML; headings become Markdown headings, so that they can be cut at."""

    _SKIP = frozenset({"script", "style", "noscript", "template", "svg", "nav"})
    _BREAK = frozenset(
        {"p", "div", "li", "tr", "br", "hr", "section", "article", "table", "ul", "ol", "pre", "blockquote", "title"}
        | {
            "dl",
            "dt",
            "dd",
            "header",
            "footer",
            "main",
            "aside",
            "figure",
            "figcaption",
            "caption",
            "option",
            "summary",
        }
    )
    _APART = frozenset({"td", "th"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._skipped = 0

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._SKIP:
            self._skipped += 1
        elif re.fullmatch(r"h[1-6]", tag):
            self.parts.append(f"\n\n{'#' * int(tag[1])} ")
        elif tag in self._BREAK:
            self.parts.append("\n")
        elif tag in self._APART:
            self.parts.append(" ")

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag in self._SKIP:
            self._skipped = max(self._skipped - 1, 0)
        elif re.fullmatch(r"h[1-6]", tag) or tag in self._BREAK:
            self.parts.append("\n")

    @override
    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.parts.append(re.sub(r"\s+", " ", data))


def page_text(text: str) -> str:
    r"""Return the text of an HTML page, with Markdown headings.

    Examples:
        >>> page_text("<h2>Leave</h2><p>25 days<script>x()</script>")
        '## Leave\n\n25 days'
    """
    parser = _Words()
    parser.feed(text)
    parser.close()
    return re.sub(r"\n[ \t]*\n\s*", "\n\n", "".join(parser.parts)).strip()


def decode_page(data: bytes, declared: str | None = None) -> str:
    """Decode a page: by what its sender declared, its byte order mark, its `<meta charset>`, or as UTF-8.

    Examples:
        >>> decode_page('<meta charset="latin-1">caf\u00e9'.encode("latin-1"))[-4:] == "caf\u00e9"
        True
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    found = _CHARSET.search(data[:4096])
    for name in (declared, found.group(1).decode("ascii", "replace") if found else None):
        try:
            # Browsers read Latin-1 as its superset, too.
            known = codecs.lookup(name).name if name else ""
        except LookupError:
            continue
        if known:
            return data.decode("cp1252" if known == "iso8859-1" else known, "replace").removeprefix("\ufeff")
    return decode_text(data)


def decode_text(data: bytes) -> str:
    """Decode a text that does not say how it is written: by its byte order mark, as UTF-8, or as Windows-1252.

    Windows-1252 holds Latin-1, and text in it is almost never valid UTF-8.

    Examples:
        >>> decode_text("M\u00fcller".encode("latin-1")) == decode_text("M\u00fcller".encode()) == "M\u00fcller"
        True
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    text = data.decode("utf-8-sig", "replace")
    wrong = text.count("\ufffd")
    # One broken place in a file of UTF-8 makes nothing else of the rest.
    is_utf8 = not wrong or sum(char > "\x7f" for char in text) > 2 * wrong
    return text if is_utf8 else data.decode("cp1252", "replace")


def read_saved_page(path: Path) -> str:
    """Return the text of a page that a browser saved as MHTML: of its root document, without frames.

    Raises:
        SpecError: It holds no page.
    """
    try:
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        start = str(message.get_param("start") or "")
        parts = [part for part in message.walk() if part.get_content_type() in _PAGES]
        root = next((part for part in parts if start and part.get("Content-ID") == start), parts[0] if parts else None)
        data = root.get_payload(decode=True) if isinstance(root, EmailMessage) else None
        charset = root.get_content_charset() if root is not None else None
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # what its parser lets through
        raise SpecError(f"{str(path)!r} is not a saved page (MHTML): {type(error).__name__}: {error}"[:500]) from None
    if root is None or not isinstance(data, bytes):
        raise SpecError(f"{str(path)!r} is not a saved page (MHTML): it holds no HTML")
    text = decode_page(data, charset)
    return page_text(text) if root.get_content_type() != "text/plain" else text


def read_archive(path: Path) -> Iterator[tuple[str, str]]:
    """Give address and text of every page in a web archive that was answered with 200; of several captures the last.

    HTML and plain text are pages; pictures, scripts and the like are not. Frames are pages of their own.

    Raises:
        MissingExtraError: The extra `documents` is not installed.
        SpecError: It is not an archive, or too large, or a page is packed in a way that cannot be unpacked.
    """
    try:
        from warcio.archiveiterator import ArchiveIterator  # an optional extra
    except ImportError:
        raise MissingExtraError(f"reading {path.name}", "documents") from None
    pages: dict[str, tuple[str, int, str]] = {}
    size = 0
    number = -1
    try:
        with path.open("rb") as stream:
            for number, record in enumerate(ArchiveIterator(stream)):
                if record.format != "warc":  # the older ARC, which warcio takes any line of words for
                    raise SpecError(f"{str(path)!r} is not a web archive (WARC)")
                found = _page(record, path)
                if found is None:
                    continue
                address, date, text = found
                size += len(text)
                if size > _MOST_ARCHIVE:
                    raise SpecError(f"{str(path)!r} holds more than {_MOST_ARCHIVE:,} characters of pages; divide it")
                if text.strip() and (address not in pages or pages[address][:2] <= (date, number)):
                    pages[address] = (date, number, text)
    except BakeoffError:
        raise
    except Exception as error:
        message = f"{str(path)!r} cannot be read as a web archive: {type(error).__name__}: {error}"
        raise SpecError(message[:500]) from error
    if number < 0:
        raise SpecError(f"{str(path)!r} is not a web archive (WARC): it holds no record")
    for address, (_, _, text) in pages.items():
        yield address, text


def _page(record: Any, path: Path) -> tuple[str, str, str] | None:
    """Return address, date and text of a record; `None` when it is no page."""
    if record.rec_type not in ("response", "resource"):
        return None
    headers = record.http_headers
    declared = str((headers.get_header("Content-Type") if headers else record.content_type) or "")
    kind, _, options = declared.partition(";")
    status = headers.get_statuscode() if headers else "200"
    if status != "200" or kind.strip().lower() not in _PAGES:
        return None
    address = str(record.rec_headers.get_header("WARC-Target-URI") or record.rec_headers.get_header("WARC-Record-ID"))
    packed = str((headers.get_header("Content-Encoding") if headers else "") or "").strip().lower()
    if packed not in ("", "identity", "gzip", "x-gzip", "deflate") and not (packed == "br" and find_spec("brotli")):
        fix = "pip install brotli" if packed == "br" else "record the archive without this encoding"
        raise SpecError([SpecProblem(f"{str(path)!r}: the page {address!r} is packed as {packed!r}", fix=fix)])
    data = record.content_stream().read(_MOST_PAGE + 1)
    if len(data) > _MOST_PAGE:
        raise SpecError(f"{str(path)!r}: the page {address!r} unpacks to more than {_MOST_PAGE:,} bytes")
    charset = re.search(r"charset\s*=\s*[\"']?([\w.:-]+)", options, re.IGNORECASE)
    text = decode_page(data, charset.group(1) if charset else None)
    is_html = "html" in kind.lower()
    return (
        address.strip("<>"),
        str(record.rec_headers.get_header("WARC-Date") or ""),
        page_text(text) if is_html else text,
    )
