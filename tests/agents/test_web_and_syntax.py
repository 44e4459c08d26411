"""Web archives and saved pages as corpora, made by the libraries that write them; code cut by its syntax."""

from __future__ import annotations

import ast
import gzip
import io
import random
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from bakeoff.agents import resolve_agent
from bakeoff.agents.config._spec import ChunkSpec
from bakeoff.agents.retrieval._chunk import Document, chunk
from bakeoff.agents.retrieval._corpus import read_corpus
from bakeoff.agents.retrieval._syntax import syntax_units
from bakeoff.errors import MissingExtraError, SpecError


def archive(path: Path, *pages: tuple[str, bytes, dict[str, str], str]) -> None:
    """Write a web archive with warcio's writer: (address, body, headers, status) for each page."""
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=path.suffix == ".gz")
        writer.write_record(writer.create_warcinfo_record("x.warc", {"software": "test"}))
        for number, (address, body, headers, status) in enumerate(pages):
            http = StatusAndHeaders(status, list(headers.items()), protocol="HTTP/1.1")
            record = writer.create_warc_record(
                address, "response", payload=io.BytesIO(body), http_headers=http,
                warc_headers_dict={"WARC-Date": f"2026-01-{number + 1:02d}T00:00:00Z"},
            )  # fmt: skip
            writer.write_record(record)
            record.raw_stream.close()  # a temporary file that warcio leaves open


HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize("name", ["site.warc", "site.warc.gz"])
def test_the_pages_of_a_web_archive(tmp_path: Path, name: str) -> None:
    archive(
        tmp_path / name,
        ("http://a/leave", b"<h1>Leave</h1><p>20 days", HTML, "200 OK"),
        ("http://a/logo", b"\x89PNG", {"Content-Type": "image/png"}, "200 OK"),
        ("http://a/gone", b"<p>Gone", HTML, "404 Not Found"),
        ("http://a/moved", b"<p>Moved", HTML, "301 Moved"),
        ("http://a/zip", gzip.compress(b"<p>Packed \xc3\xa9"), {**HTML, "Content-Encoding": "gzip"}, "200 OK"),
        ("http://a/chunk", b"5\r\n<p>On\r\n4\r\ne tw\r\n1\r\no\r\n0\r\n\r\n",
         {**HTML, "Transfer-Encoding": "chunked"}, "200 OK"),
        ("http://a/latin", b"<p>caf\xe9", {"Content-Type": "text/html; charset=ISO-8859-1"}, "200 OK"),
        ("http://a/meta", b"<meta charset=windows-1251><p>\xe4\xe0", {"Content-Type": "text/html"}, "200 OK"),
        ("http://a/text", b"plain < text", {"Content-Type": "text/plain"}, "200 OK"),
        ("http://a/empty", b"", HTML, "200 OK"),
        ("http://a/leave", b"<h1>Leave</h1><p>25 days", HTML, "200 OK"),
    )  # fmt: skip
    found = {one.id: one.text for one in read_corpus(name, base_dir=tmp_path)}
    assert found == {
        "http://a/leave": "# Leave\n\n25 days",  # the last capture
        "http://a/zip": "Packed \u00e9",
        "http://a/chunk": "One two",
        "http://a/latin": "caf\u00e9",
        "http://a/meta": "да",
        "http://a/text": "plain < text",
    }
    assert {one.id for one in read_corpus(".", base_dir=tmp_path)} == set(found), "an archive in a folder is read, too"


def test_archives_that_cannot_be_read_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no.warc").write_bytes(b"this is no archive at all")
    with pytest.raises(SpecError, match=r"no\.warc' is not a web archive \(WARC\)"):
        read_corpus("no.warc", base_dir=tmp_path)
    archive(tmp_path / "z.warc", ("http://a/x", b"...", {**HTML, "Content-Encoding": "zstd"}, "200 OK"))
    with pytest.raises(SpecError, match=r"the page 'http://a/x' is packed as 'zstd'"):
        read_corpus("z.warc", base_dir=tmp_path)
    monkeypatch.setattr("bakeoff.agents.retrieval._web._MOST_PAGE", 1000)
    bomb = gzip.compress(b"<p>" + b"a" * 100_000)
    archive(tmp_path / "bomb.warc", ("http://a/bomb", bomb, {**HTML, "Content-Encoding": "gzip"}, "200 OK"))
    with pytest.raises(SpecError, match=r"'http://a/bomb' unpacks to more than 1,000 bytes"):
        read_corpus("bomb.warc", base_dir=tmp_path)
    monkeypatch.setattr("bakeoff.agents.retrieval._web._MOST_ARCHIVE", 500)
    pages = [(f"http://a/{n}", b"<p>" + b"a" * 300, HTML, "200 OK") for n in range(3)]
    archive(tmp_path / "many.warc", *pages)
    with pytest.raises(SpecError, match="more than 500 characters of pages"):
        read_corpus("many.warc", base_dir=tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "warcio.archiveiterator", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bakeoff\[documents\]'"):
        read_corpus("many.warc", base_dir=tmp_path)


@given(st.binary(max_size=300))
def test_a_damaged_archive_is_one_clear_error_or_fewer_pages(tail: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive(folder / "x.warc", ("http://a/1", b"<p>one", HTML, "200 OK"))
        whole = (folder / "x.warc").read_bytes()
        cut = random.Random(len(tail)).randrange(len(whole))
        (folder / "x.warc").write_bytes(whole[:cut] + tail)
        try:
            read_corpus("x.warc", base_dir=folder)
        except SpecError as error:
            said = str(error)
        else:
            said = "x.warc"
    assert "x.warc" in said


def test_a_saved_page_is_its_root_document(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"] = "Leave"
    message.set_content(
        "<h1>Leave</h1><p>caf\u00e9 25 days", subtype="html", charset="iso-8859-1", cte="quoted-printable"
    )
    message.make_related()
    message.add_related(b"\x89PNG", "image", "png", cid="<img>")
    message.add_related(b"<p>an advertisement", "text", "html", cid="<frame>")
    (tmp_path / "page.mhtml").write_bytes(message.as_bytes())
    (document,) = read_corpus("page.mhtml", base_dir=tmp_path)
    assert (document.id, document.text) == ("page.mhtml", "# Leave\n\ncaf\u00e9 25 days")
    (tmp_path / "page.html").write_bytes('<meta charset="latin-1"><p>caf\u00e9'.encode("latin-1"))
    assert [one.text for one in read_corpus("page.html", base_dir=tmp_path)] == ["caf\u00e9"]
    (tmp_path / "bad.mht").write_bytes(b"Content-Type: image/png\r\n\r\nxx")
    with pytest.raises(SpecError, match=r"bad\.mht' is not a saved page \(MHTML\): it holds no HTML"):
        read_corpus("bad.mht", base_dir=tmp_path)


@given(st.binary(max_size=400))
def test_no_saved_page_gives_a_traceback(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "x.mht").write_bytes(data)
        try:
            read_corpus("x.mht", base_dir=Path(name))
        except SpecError as error:
            said = str(error)
        else:
            said = "x.mht"
    assert "x.mht" in said


PYTHON = '''import os

# about one
@decorated
def one():
    return 1


class Two:
    """Two things."""

    x = 1

    # about a
    def a(self):
        return "aaa aaa aaa aaa aaa aaa"

    @property
    def b(self):
        return "bbb bbb bbb bbb bbb bbb"
'''
SCRIPT = """import a from 'b';

/** About one. */
export default function one() { return 1; }

export class Two {
  // about x
  x() { return 'xxx xxx xxx xxx xxx xxx xxx'; }

  y() { return 'yyy yyy yyy yyy yyy yyy yyy'; }
}
const three = () => 3;
"""
TYPES = """interface One { a: string }
type Two = { b: number };
export abstract class Three<T> implements One {
  a = 'a';
  m(): void { console.log('mmm mmm mmm mmm mmm mmm'); }
}
namespace Four { export function q(): number { return 4; } }
"""


@pytest.mark.parametrize(
    ("name", "code", "size", "begins"),
    [
        ("x.py", PYTHON, 40, ["import os", "# about one", "class Two:"]),
        ("x.py", PYTHON, 12, ["import os", "# about one", "class Two:", "x = 1", "# about a", "@property"]),
        ("x.js", SCRIPT, 40, ["import a", "/** About", "export class Two", "const three"]),
        ("x.js", SCRIPT, 16, ["import a", "/** About", "export class Two", "// about x", "y()", "const three"]),
        ("dir/x.ts", TYPES, 40, ["interface One", "type Two", "export abstract class", "namespace Four"]),
        ("x.tsx", "const A = () => <p>hi</p>;\nfunction B() { return <A/>; }\n", 40, ["const A", "function B"]),
    ],
)
def test_code_is_cut_where_definitions_begin(name: str, code: str, size: int, begins: list[str]) -> None:
    units = syntax_units(code, name, size=size)
    assert units is not None
    assert "".join(units) == code
    shown = [unit.strip() for unit in units if unit.strip()]
    starts = [next((begin for begin in begins if one.startswith(begin)), one[:30]) for one in shown]
    assert [begin for begin in begins if begin in starts] == begins
    assert set(starts) <= set(begins) | {'"""Two', "x = 1", "export class Two {", "}"}


def test_top_level_units_are_those_of_the_languages_own_parser() -> None:
    code = Path(ast.__file__).read_text()  # a real module of 60 kB
    units = syntax_units(code, "ast.py", size=100_000)
    assert units is not None
    assert "".join(units) == code
    marked = {
        min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        for node in ast.parse(code).body
    }
    begins = {code[: sum(map(len, units[:n]))].count("\n") + 1 for n in range(1, len(units))}
    # tree-sitter takes a comment into the unit below it; every other beginning is one of Python's own.
    lines = code.splitlines()
    assert all(line in marked or lines[line - 1].lstrip().startswith("#") for line in begins)
    assert len(begins) > 40


@given(st.sampled_from(["d.py", "d.js", "d.ts", "d.tsx"]), st.integers(5, 30), st.text(max_size=300))
def test_no_word_is_lost(name: str, size: int, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    found = chunk([Document(id=name, text=text)], ChunkSpec(by="syntax", size=size))
    assert "".join("".join(one.text.split()) for one in found) == "".join(text.split())


def test_pieces_fit_where_there_is_a_place_to_cut() -> None:
    code = "class A:\n" + "".join(f"    def m{n}(self):\n        return {n}\n\n" for n in range(50))
    pieces = [one.text for one in chunk([Document(id="a.py", text=code)], ChunkSpec(by="syntax", size=20))]
    assert max(len(piece.split()) for piece in pieces) <= 20
    assert all(piece.lstrip().startswith(("class A", "def m")) for piece in pieces)


@pytest.mark.parametrize("by", ["code", "syntax"])
@pytest.mark.parametrize("name", ["a.py", "a.js", "a.go"])
def test_a_unit_without_a_place_to_cut_is_cut_at_lines_and_words(by: str, name: str) -> None:
    table = "TABLE = [\n" + "".join(f"    {n}, {n + 1}, {n + 2},\n" for n in range(200)) + "]\n"
    minified = "x = " + " + ".join(map(str, range(300))) + "\n"
    spec = ChunkSpec(by=by, size=40)  # type: ignore[arg-type]
    pieces = [one.text for one in chunk([Document(id=name, text=table + minified)], spec)]
    assert max(len(piece.split()) for piece in pieces) <= 40
    assert " ".join(pieces).split() == (table + minified).split(), "nothing is lost, nothing comes twice"
    assert all(len(line.split()) in (1, 3, 40) for piece in pieces[:5] for line in piece.splitlines()[1:-1])


def test_other_languages_are_cut_as_by_code_and_a_missing_grammar_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    go = Document(id="x.go", text="package x\n\nfunc a() {}\n\nfunc b() {}\n")
    texts = [[one.text for one in chunk([go], ChunkSpec(by=by, size=5))] for by in ("code", "syntax")]  # type: ignore[arg-type]
    assert texts[0] == texts[1]
    from bakeoff.agents.retrieval import _syntax

    _syntax._parser.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "tree_sitter", None)
    section: dict[str, Any] = {
        "retrieval": {"corpus": "x.py", "chunk": "syntax"}, "steps": {"find": {"retrieve": True}},
    }  # fmt: skip
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "x.py").write_text("def a(): pass\n")
        with pytest.raises(SpecError, match=r"agent\.retrieval: cutting code by its syntax") as raised:
            resolve_agent(section, name="a", base_dir=Path(name))
    assert "fix: pip install 'bakeoff[tree-sitter]'" in str(raised.value)
    _syntax._parser.cache_clear()
