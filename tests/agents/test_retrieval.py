"""Search, against an index written a second time; and a grid of configurations, against metrics computed by hand."""

from __future__ import annotations

import functools
import itertools
import json
import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

import bakeoff
from bakeoff.agents import Bm25, open_retriever
from bakeoff.agents.config._spec import ChunkSpec, RetrievalSpec
from bakeoff.agents.retrieval._chunk import Document, Passage, chunk
from bakeoff.agents.retrieval._corpus import read_corpus
from bakeoff.agents.retrieval._hashed import embed
from bakeoff.agents.retrieval._search import Retriever, fuse, words_of
from bakeoff.agents.retrieval._step import citations
from bakeoff.datasets import Item, bundled_file, open_dataset
from bakeoff.errors import MissingExtraError, SpecError
from bakeoff.experiments import LocalStore
from tests.agents.support import Script, calling, run, spans

CORPUS = [json.loads(line) for line in bundled_file("handbook-qa", "corpus.jsonl").read_text().splitlines()]
QUESTIONS = [
    {"id": item.id, "question": item.inputs["question"], "sections": item.metadata["sections"]}
    for item in open_dataset("bundled:handbook-qa", base_dir=Path()).head(1000)
    if item.metadata["sections"]
][:70]


def plain_bm25(texts: Sequence[str], query: str, k1: float = 1.5, b: float = 0.75) -> list[float]:
    """BM25 a second time, straight from the formula, over a scikit-learn count matrix."""
    counter = CountVectorizer(tokenizer=words_of, token_pattern=None, lowercase=False)
    counts = counter.fit_transform(texts).toarray().astype(float)
    lengths = counts.sum(axis=1)
    scores = []
    for row in range(len(texts)):
        total = 0.0
        for word in words_of(query):
            column = counter.vocabulary_.get(word)
            if column is None:
                continue
            n = int((counts[:, column] > 0).sum())
            idf = math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
            f = counts[row, column]
            total += idf * f * (k1 + 1) / (f + k1 * (1 - b + b * lengths[row] / lengths.mean()))
        scores.append(total)
    return scores


def test_bm25_is_the_formula() -> None:
    texts = [one["text"] for one in CORPUS]
    index = Bm25(texts)
    for question in QUESTIONS[:15]:
        assert index.scores(question["question"]) == pytest.approx(plain_bm25(texts, question["question"]))


def test_fusion_is_the_sum_of_reciprocal_ranks() -> None:
    assert fuse([[1, 2], [2, 3]], k=60) == {1: 1 / 61, 2: pytest.approx(1 / 62 + 1 / 61), 3: 1 / 62}


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
def test_vectors_are_of_length_one_or_nothing(texts: list[str]) -> None:
    lengths = np.linalg.norm(embed(texts, dimensions=256), axis=1)
    assert all(length == 0 or math.isclose(length, 1) for length in lengths)
    assert (embed(texts, dimensions=256)[0] == embed([texts[0]], dimensions=256)[0]).all()


def whole_words(by: str, size: int, overlap: int, text: str) -> list[str]:
    return [word for one in chunk([Document(id="d", text=text)], ChunkSpec(by=by, size=size, overlap=overlap))  # type: ignore[arg-type]
            for word in one.text.split()]  # fmt: skip


@given(st.sampled_from(["whole", "fixed", "sentence", "heading", "code"]), st.integers(5, 30), st.text(max_size=300))
def test_no_word_is_lost_by_cutting(by: str, size: int, text: str) -> None:
    assert [w for w in whole_words(by, size, 0, text) if not w.startswith("#")] == [
        w for w in text.split() if not w.startswith("#")
    ]


def test_pieces_keep_to_their_size_and_overlap() -> None:
    text = " ".join(f"w{n}" for n in range(100))
    pieces = [
        one.text.split() for one in chunk([Document(id="d", text=text)], ChunkSpec(by="fixed", size=30, overlap=10))
    ]
    assert [piece[0] for piece in pieces] == ["w0", "w20", "w40", "w60", "w80"]
    assert max(map(len, pieces)) == 30
    markdown = "# One\nAlpha beta.\n## Two\n" + "Gamma delta epsilon. " * 10
    found = [one.text for one in chunk([Document(id="d", text=markdown)], ChunkSpec(by="heading", size=12))]
    assert found[0] == "# One\nAlpha beta."
    assert all(piece.startswith("## Two\n") for piece in found[1:])
    code = "import os\n\n@decorated\ndef one():\n    return 1\n\nclass Two:\n    x = 1\n"
    found = [one.text for one in chunk([Document(id="d", text=code)], ChunkSpec(by="code", size=5))]
    assert [piece.split("\n")[0] for piece in found] == ["import os", "@decorated", "class Two:"]


def test_files_of_many_kinds_are_read(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.md").write_text("# Title\nText")
    (tmp_path / "sub" / "b.html").write_text(
        "<style>p{}</style><h2>Head &amp; more</h2><p>One\n two</p><script>x()</script><p>Three"
    )
    (tmp_path / "c.bin").write_bytes(b"\x00")
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    with zipfile.ZipFile(tmp_path / "d.docx", "w") as archive:
        archive.writestr(
            "word/document.xml",
            f'<w:document xmlns:w="{word}"><w:body><w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Top</w:t>'
            "</w:r></w:p><w:p><w:r><w:t>Hello </w:t></w:r><w:r><w:t>there</w:t></w:r></w:p></w:body></w:document>",
        )
    found = {one.id: one.text for one in read_corpus(".", base_dir=tmp_path)}
    assert found == {
        "a.md": "# Title\nText",
        "d.docx": "# Top\nHello there",
        "sub/b.html": "## Head & more\n\nOne two\n\nThree",
    }
    for name, content, message in (
        ("x.docx", b"not a zip", "is not a Word document"),
        ("x.jsonl", b'{"id": 1}', "line 1: a document is a JSON object"),
        ("x.jsonl", b'{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}', "line 2: the id '1' stands twice"),
        ("x.txt", b"  ", "holds no text"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SpecError, match=message):
            read_corpus(name, base_dir=tmp_path)
    with zipfile.ZipFile(tmp_path / "bomb.docx", "w") as archive:
        archive.writestr("word/document.xml", '<!DOCTYPE x [<!ENTITY a "aaa">]><x>&a;</x>')
    with pytest.raises(SpecError, match="declares a document type"):
        read_corpus("bomb.docx", base_dir=tmp_path)
    with pytest.raises(SpecError, match="there is no corpus 'gone'"):
        read_corpus("gone", base_dir=tmp_path)
    (tmp_path / "p.pdf").write_bytes(b"%PDF")
    with pytest.raises((MissingExtraError, SpecError)):
        read_corpus("p.pdf", base_dir=tmp_path)


CHUNKS: list[dict[str, Any]] = [{"by": "whole"}, {"by": "sentence", "size": 30}]
GRID = list(itertools.product(CHUNKS, [1, 5], ["bm25", "vector", "hybrid"]))


def test_a_retrieval_experiment_gives_the_metrics_that_are_computed_by_hand(store: LocalStore) -> None:
    """Chunking x top_k x method through the whole engine, against recall and MRR from the rankings themselves."""
    spec = {
        "name": "retrieval",
        "dataset": {"rows": QUESTIONS, "inputs": ["question"], "expected": "sections", "id": "id"},
        "targets": {"search": {"agent": {"retrieval": {"corpus": "bundled:handbook-qa"},
                                         "steps": {"find": {"retrieve": {"query": "{{ question }}"}}}}}},
        "factors": {
            "agent.retrieval.chunk": CHUNKS,
            "agent.retrieval.top_k": [1, 5],
            "agent.retrieval.method": ["bm25", "vector", "hybrid"],
        },
        "evaluators": ["recall_at_k", "mrr"],
        "mlflow": False,
    }  # fmt: skip
    result = bakeoff.run(spec, store=store.paths.root)
    frame = result.to_frame()
    means = frame.groupby("variant")[["recall_at_k", "mrr"]].mean()
    assert len(means) == len(GRID)
    found_means = sorted(map(tuple, means.round(9).to_numpy().tolist()))
    assert found_means == sorted(_by_hand(*one) for one in GRID)
    # The grid is not flat: the settings matter, so that the equality above means something.
    assert len(set(found_means)) >= 6


@functools.cache
def _embedded(text: str) -> Any:
    return embed([text])[0]


def _by_hand(chunking: dict[str, Any], top_k: int, method: str) -> tuple[float, float]:
    passages = []
    for row in CORPUS:
        spec = ChunkSpec.model_validate(chunking)
        pieces = [one.text for one in chunk([Document(id=row["id"], text=row["text"])], spec)]
        passages += [(row["id"], f"{row['title']}\n{piece}") for piece in pieces]
    texts = [text for _, text in passages]
    vectors, index = embed(texts), Bm25(texts)
    recalls, ranks = [], []
    for question in QUESTIONS:
        lexical = index.scores(question["question"])
        dense = vectors @ _embedded(question["question"])
        orders = {
            name: [at for at in sorted(range(len(texts)), key=lambda at, s=scores: -s[at]) if scores[at] > 0]
            for name, scores in (("bm25", lexical), ("vector", dense))
        }
        if method == "hybrid":
            score: dict[int, float] = {}
            for order in orders.values():
                for rank, at in enumerate(order[: max(4 * top_k, 20)], start=1):
                    score[at] = score.get(at, 0.0) + 1 / (60 + rank)
            order = sorted(score, key=lambda at: (-score[at], at))
        else:
            order = orders[method]
        ids = list(dict.fromkeys(passages[at][0] for at in order[:top_k]))
        wanted = set(question["sections"])
        recalls.append(len(wanted & set(ids)) / len(wanted))
        ranks.append(next((1 / (at + 1) for at, one in enumerate(ids) if one in wanted), 0.0))
    return round(sum(recalls) / len(recalls), 9), round(sum(ranks) / len(ranks), 9)


def test_one_index_serves_all_variants() -> None:
    spec = RetrievalSpec(corpus="bundled:handbook-qa")
    assert open_retriever(spec, base_dir=Path()) is open_retriever(spec, base_dir=Path())
    assert open_retriever(spec, base_dir=Path()).search("zzzzz") == []
    high = RetrievalSpec(corpus="bundled:handbook-qa", threshold=1e9)
    assert open_retriever(high, base_dir=Path()).search("crowns") == []


def test_what_is_indexed_is_shared_by_variants_that_search_it_otherwise() -> None:
    found = [
        open_retriever(RetrievalSpec(corpus="bundled:handbook-qa", method=method, top_k=top_k), base_dir=Path())
        for method in ("vector", "hybrid")
        for top_k in (1, 7)
    ]
    assert len({id(one.vectors) for one in found}) == 1
    assert [len(one.search("goodwill in crowns")) for one in found] == [1, 7, 1, 7]
    larger = RetrievalSpec(corpus="bundled:handbook-qa", method="vector", dimensions=128)
    assert open_retriever(larger, base_dir=Path()).vectors is not found[0].vectors


def test_many_passages_are_found_as_few_are() -> None:
    texts = [f"passage {number} of harbour {number % 7} and berth {number * 31 % 1013}" for number in range(2_500)]
    passages = [Passage(document=str(at), number=0, text=text) for at, text in enumerate(texts)]
    many = Retriever(passages, RetrievalSpec(corpus="-", method="vector", top_k=5))
    vectors = embed(texts)
    for query in ("berth 44", "harbour 3 passage 1999"):
        cosines = vectors @ embed([query])[0]
        found = many.search(query)
        assert [one.score for one in found] == pytest.approx(sorted(cosines, reverse=True)[:5])
        assert found[0].passage.document == str(int(np.argmax(cosines)))


def test_files_that_real_folders_hold_are_read_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_bytes("Müller wohnt in Köln".encode("latin-1"))
    (tmp_path / "cut.txt").write_bytes("Müller wohnt in Köln, für Öl und Ö".encode()[:-1])
    (tmp_path / "wide.txt").write_bytes("Müller".encode("utf-16"))
    (tmp_path / "table.html").write_text(
        "<table><tr><td>Zebra</td><td>77</td></tr></table><dl><dt>Gnu</dt><dd>8</dd></dl>"
    )
    (tmp_path / "lines.jsonl").write_text('{"id": "u", "text": "one\u2028two"}\n')
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    other = "http://schemas.openxmlformats.org/markup-compatibility/2006"
    box = "<w:txbxContent><w:p><w:r><w:t>Boxed</w:t></w:r></w:p></w:txbxContent>"
    with zipfile.ZipFile(tmp_path / "d.docx", "w") as archive:
        archive.writestr(
            "word/document.xml",
            f'<w:document xmlns:w="{word}" xmlns:m="{other}"><w:body><w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr><w:r>'
            "<w:t>Pressure</w:t><w:tab/><w:t>nine</w:t><w:br/><w:t>bar</w:t></w:r><w:r><m:AlternateContent><m:Choice>"
            f"{box}</m:Choice><m:Fallback>{box}</m:Fallback></m:AlternateContent></w:r></w:p></w:body></w:document>",
        )
    found = {one.id: " ".join(one.text.split()) for one in read_corpus(".", base_dir=tmp_path)}
    assert found == {
        "old.txt": "Müller wohnt in Köln",
        "cut.txt": "Müller wohnt in Köln, für Öl und \ufffd",
        "wide.txt": "Müller",
        "table.html": "Zebra 77 Gnu 8",
        "u": "one two",
        "d.docx": "Pressure nine bar Boxed",
    }
    (tmp_path / "more.jsonl").write_text('{"id": "u", "text": "three"}\n')
    with pytest.raises(SpecError, match=r"the id 'u' stands in '.*lines.jsonl' and in '.*more.jsonl'"):
        read_corpus(".", base_dir=tmp_path)


def test_text_without_sentences_is_cut_to_size() -> None:
    log = "\n".join(f"line {number} of a log without any end" for number in range(50))
    for by in ("sentence", "heading"):
        found = [one.text for one in chunk([Document(id="d", text=log)], ChunkSpec(by=by, size=20))]
        assert max(len(one.split()) for one in found) <= 20
        assert " ".join(found).split() == log.split()
    long = " ".join(str(number) for number in range(95))
    found = [one.text for one in chunk([Document(id="d", text=long)], ChunkSpec(by="sentence", size=20))]
    assert [len(one.split()) for one in found] == [20, 20, 20, 20, 15]


async def test_passages_are_in_the_prompt_and_citations_can_be_checked() -> None:
    client = Script(["25 crowns [S20]"])
    section = {"retrieval": {"corpus": "bundled:handbook-qa", "top_k": 2}}
    item = Item(id="i", inputs={"question": "Up to how many crowns of goodwill may be granted without asking?"})
    result = await run(section, client, item=item)
    assert "[S20]" in client.said()
    (span,) = spans(result, "retrieval")
    assert span["output"][0]["id"] == "S20"
    assert citations("[S20] and [S99] [S20]", [{"id": "S20"}]) == (["S20"], ["S99"])


async def test_queries_are_rewritten_and_passages_put_in_order_by_models() -> None:
    client = Script(["goodwill crowns", "3, 1", "25"])
    section = {"retrieval": {"corpus": "bundled:handbook-qa", "top_k": 2, "rewrite": "x/r", "rerank": "x/o"}}
    plain = open_retriever(RetrievalSpec(corpus="bundled:handbook-qa"), base_dir=Path()).search(
        "goodwill crowns", top_k=8
    )
    result = await run(section, client)
    shown = client.said()
    first, second = plain[2].passage.document, plain[0].passage.document
    assert shown.index(f"[{first}]") < shown.index(f"[{second}]")
    assert [request.model for request in client.requests] == ["x/r", "x/o", "openai/m"]
    assert result.output == "25"


async def test_search_is_a_tool_too() -> None:
    client = Script([calling(("search", {"query": "goodwill"})), calling(("search", {"q": 1})), "25"])
    section = {"retrieval": {"corpus": "bundled:handbook-qa"}, "tools": {"search": {"retrieve": True}}}
    result = await run(section, client)
    assert [span["outcome"] for span in spans(result, "tool")] == ["ok", "bad_arguments"]
    assert '"S20"' in client.requests[1].messages[-1]["content"]
