from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from bakeoff.app._diff import word_diff
from bakeoff.app._text import ago, clip, h, line, md, visible

ANY = st.text(alphabet=st.characters(codec=None, categories=None), max_size=300)


@given(ANY)
def test_no_text_becomes_markup(text: str) -> None:
    shown = h(text)
    assert not set("<>\"'") & set(shown)
    assert html.unescape(shown) == visible(text), "nothing is lost on the way"


@given(ANY)
def test_no_text_steers_the_terminal_or_the_direction(text: str) -> None:
    shown = visible(text)
    bad = re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    assert bad == []
    shown.encode()  # it can be sent


@given(ANY)
def test_no_text_becomes_markdown(text: str) -> None:
    bare = re.sub(r"\\.", "", md(text))
    assert not set("[]()!<>*_`$:#~|") & set(bare)
    assert not re.search(r"(?i)https?://|www\.", md(text).replace("\\", ""))
    assert "\n" not in md(text)


@given(ANY, st.integers(1, 50))
def test_a_line_is_short(text: str, limit: int) -> None:
    assert len(clip(text, limit)) <= limit
    assert len(line(text, limit)) <= limit
    assert "\n" not in line(text, limit)


@given(ANY, ANY)
def test_a_diff_keeps_both_texts_and_escapes_them(before: str, after: str) -> None:
    left, right = word_diff(before, after)
    for shown, text in ((left, before), (right, after)):
        assert html.unescape(re.sub("</?(ins|del)>", "", shown)) == visible(text)
        assert "<script" not in shown
    if before == after:
        assert "<ins>" not in right
        assert "<del>" not in left


def test_a_long_diff_ends() -> None:
    left, right = word_diff("a b c d " * 50_000, "a b c e " * 50_000)
    assert left
    assert right


def test_ago() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    said = [ago((now - timedelta(**d)).isoformat(), now=now) for d in ({"seconds": 5}, {"minutes": 3}, {"days": 1})]
    assert said == ["just now", "3 min ago", "yesterday"]
    assert ago("<script>", now=now) == "<script>", "escaped where it is shown, like any other text"
