"""The response cache: right or absent, never wrong, never in the way."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bakeoff.errors import StoreError
from bakeoff.gateway import ModelRequest, ModelResponse, ResponseCache, Usage
from bakeoff.gateway._cache_key import cache_key, decode_response, encode_response

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

any_text = st.text(st.characters(exclude_categories=[]))  # with NUL and lone surrogates
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(any_text, children, max_size=3),
    max_leaves=8,
)
counts = st.integers(0, 10**9)


def _response(**more: Any) -> ModelResponse:
    return ModelResponse(**{"text": "answer", "model": "m-2026", **more})


def _as_cached(response: ModelResponse) -> ModelResponse:
    return replace(response, cached=True, route="cache", tool_calls=list(response.tool_calls))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "answers.sqlite"


def _key(number: int) -> bytes:
    return number.to_bytes(32, "big")


# What comes back


responses = st.builds(
    ModelResponse,
    text=any_text,
    model=any_text,
    finish_reason=st.none() | any_text,
    tool_calls=st.lists(st.dictionaries(any_text, any_json, max_size=3), max_size=2),
    usage=st.builds(
        Usage,
        input_tokens=counts,
        output_tokens=counts,
        cached_tokens=counts,
        reasoning_tokens=counts,
        audio_tokens=counts,
        estimated=st.booleans(),
    ),
    cost_usd=st.none() | st.floats(0, 1e6),
    latency_ms=st.floats(0, 1e9),
    ttft_ms=st.none() | st.floats(0, 1e9),
    attempts=st.integers(1, 9),
    reasoning=st.none() | any_text,
    fingerprint=st.none() | any_text,
    logprobs=st.none() | st.lists(st.dictionaries(any_text, any_json, max_size=2), max_size=2),
)


@given(responses)
def test_any_answer_comes_back_as_it_was(response: ModelResponse) -> None:
    assert decode_response(encode_response(response)) == _as_cached(response)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(texts=st.lists(any_text, min_size=1, max_size=5))
def test_any_text_survives_the_file(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("cache") / "c.sqlite"
    with ResponseCache(path) as cache:
        for number, text in enumerate(texts):
            cache.put(_key(number), _response(text=text), model=text)
        assert [cache.get(_key(n)).text for n in range(len(texts))] == texts  # type: ignore[union-attr]
    with ResponseCache(path) as cache:
        assert [cache.get(_key(n)).text for n in range(len(texts))] == texts  # type: ignore[union-attr]


# What makes two calls the same


requests = st.builds(
    ModelRequest,
    model=any_text,
    messages=st.lists(st.fixed_dictionaries({"role": st.just("user"), "content": any_text}), max_size=3),
    params=st.dictionaries(any_text, any_json, max_size=3),
    repeat=st.integers(0, 5),
    prompt_version=any_text,
    api_base=st.none() | any_text,
)


@given(requests, st.sampled_from(["task", "judge", "agent"]), any_text)
def test_the_key_ignores_who_asks_and_the_order_of_names(request: ModelRequest, purpose: Any, variant: str) -> None:
    reordered = dict(reversed(request.params.items()))
    other = replace(request, params=reordered, purpose=purpose, variant=variant, api_key_env="OTHER_KEY")
    assert cache_key(request) == cache_key(other) is not None


@given(requests, requests)
def test_different_calls_have_different_keys(a: ModelRequest, b: ModelRequest) -> None:
    same = (a.model, list(a.messages), dict(a.params), a.repeat, a.prompt_version, a.api_base) == (
        b.model,
        list(b.messages),
        dict(b.params),
        b.repeat,
        b.prompt_version,
        b.api_base,
    )
    # 1 == 1.0 == True to Python, not in JSON: those may differ.
    assert (cache_key(a) == cache_key(b)) <= same


BASE = ModelRequest(
    model="openai/m",
    messages=[{"role": "user", "content": "hi"}],
    params={"temperature": 0.5, "tools": [{"type": "function", "function": {"name": "f"}}]},
)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "openai/n"},
        {"messages": [{"role": "user", "content": "hi "}]},
        {"messages": [{"role": "system", "content": "hi"}]},
        {"params": {**BASE.params, "temperature": 0.6}},
        {"params": {**BASE.params, "tools": []}},
        {"repeat": 1},
        {"api_base": "http://elsewhere"},
        {"prompt_version": "2"},
        {"stream": True},
        {"headers": {"x-feature": "on"}},
    ],
)
def test_whatever_can_change_the_answer_is_in_the_key(change: dict[str, Any]) -> None:
    assert cache_key(replace(BASE, **change)) != cache_key(BASE)


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "api-key", "Cookie", "x-goog-api-key"])
def test_secrets_in_headers_are_not_in_the_key(name: str) -> None:
    one, two = (cache_key(replace(BASE, headers={name: secret, "x": "1"})) for secret in ("a", "b"))
    assert one == two


def test_what_cannot_be_written_as_json_has_no_key() -> None:
    assert cache_key(replace(BASE, params={"x": object()})) is None
    assert cache_key(replace(BASE, params={"x": b"bytes"})) is None
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    assert cache_key(replace(BASE, params=loop)) is None


def test_the_context_of_simulated_models_counts_and_of_others_does_not() -> None:
    def key(model: str, item: str) -> bytes | None:
        return cache_key(replace(BASE, model=model, sim_context={"item": item}))

    assert key("sim/a", "1") != key("sim/a", "2")
    assert key("openai/a", "1") == key("openai/a", "2")


# Age and size


def test_old_answers_are_misses_and_are_replaced(path: Path) -> None:
    now = 1e9
    with ResponseCache(path, ttl_days=7, wall_clock=lambda: now) as cache:
        cache.put(_key(1), _response(), model="m")
        cache.flush()
        now += 6.9 * 86_400
        assert cache.get(_key(1)) is not None
        now += 0.2 * 86_400
        assert cache.get(_key(1)) is None
        cache.put(_key(1), _response(text="new"), model="m")
        cache.flush()
        assert cache.get(_key(1)).text == "new"  # type: ignore[union-attr]


def test_an_answer_of_a_clock_that_was_far_ahead_does_not_live_for_ever(path: Path) -> None:
    now = 4e9
    with ResponseCache(path, ttl_days=7, wall_clock=lambda: now) as cache:
        cache.put(_key(1), _response(), model="m")
        cache.flush()
        now -= 3600
        assert cache.get(_key(1)) is not None, "an hour back is nothing"
        now = 1e9
        assert cache.get(_key(1)) is None


def test_the_answers_that_were_not_used_for_longest_go_first(path: Path) -> None:
    now = 1e9
    with ResponseCache(path, max_mb=0.4, wall_clock=lambda: now) as cache:
        for number in range(30):
            cache.put(_key(number), _response(text="x" * 10_000), model="m")
        cache.flush()
        now += 2 * 86_400
        assert cache.get(_key(0)) is not None  # used today
        cache.flush()
        for number in range(100, 115):
            cache.put(_key(number), _response(text="x" * 10_000), model="m")
            cache.flush()
        stats = cache.stats()
        assert stats.size_mb <= 0.4
        assert cache.get(_key(0)) is not None
        assert cache.get(_key(1)) is None
        assert cache.get(_key(114)) is not None


def test_stats_and_clear(path: Path) -> None:
    now = 1e9
    with ResponseCache(path, wall_clock=lambda: now) as cache:
        for number in range(6):
            cache.put(_key(number), _response(), model="a" if number < 4 else "b")
            now += 86_400
        cache.get(_key(0))
        cache.get(_key(99))
        stats = cache.stats()
        assert (stats.entries, stats.by_model, stats.hits, stats.misses) == (6, {"a": 4, "b": 2}, 1, 1)
        assert (stats.oldest_s, stats.newest_s) == (1e9, 1e9 + 5 * 86_400)
        assert cache.clear(model="b") == 2
        assert cache.clear(older_than_days=4) == 3
        assert cache.clear() == 1
        assert cache.stats().entries == 0


# Trouble


@pytest.fixture
def filled(path: Path) -> Path:
    with ResponseCache(path) as cache:
        for number in range(200):
            cache.put(_key(number), _response(text=f"answer {number}" * 50), model="m")
    return path


@contextlib.contextmanager
def _raw(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    yield connection
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE answers_v1 SET payload = CAST(replace(CAST(payload AS TEXT), 'answer 3', 'answer 4') AS BLOB)",
        "UPDATE answers_v1 SET payload = x'00ff'",
        "UPDATE answers_v1 SET payload = substr(payload, 1, 20)",
        "UPDATE answers_v1 SET payload = (SELECT payload FROM answers_v1 LIMIT 1 OFFSET 7)",
        "UPDATE answers_v1 SET (payload, checksum) = (SELECT payload, checksum FROM answers_v1 LIMIT 1 OFFSET 7)",
        "UPDATE answers_v1 SET checksum = 5",
    ],
)
def test_a_damaged_answer_is_a_miss_and_is_reported_once(filled: Path, damage: str, caplog: Any) -> None:
    with _raw(filled) as connection:
        connection.execute(damage + " WHERE key IN (?, ?)" if "WHERE" not in damage else damage, (_key(3), _key(33)))
    with ResponseCache(filled) as cache:
        assert cache.get(_key(3)) is None
        assert cache.get(_key(33)) is None
        assert cache.get(_key(5)) is not None
        assert cache.damaged == 2
        cache.put(_key(3), _response(text="again"), model="m")
        cache.flush()
        assert cache.get(_key(3)).text == "again"  # type: ignore[union-attr]
    assert len(caplog.records) == len(cache.warnings) == 1


@pytest.mark.parametrize("damage", ["garbage", "header", "middle", "truncated", "empty"])
def test_a_damaged_file_never_gives_a_wrong_answer_and_the_cache_works_again(
    filled: Path, damage: str, caplog: Any
) -> None:
    data = bytearray(filled.read_bytes())
    if damage == "garbage":
        data[:] = os.urandom(len(data))
    elif damage == "header":
        data[:100] = bytes(100)
    elif damage == "middle":
        data[4096:] = b"\xa5" * (len(data) - 4096)
    elif damage == "truncated":
        del data[len(data) // 3 :]
    else:
        data.clear()
    filled.write_bytes(data)
    with ResponseCache(filled) as cache:
        for number in range(200):
            found = cache.get(_key(number))
            assert found is None or found.text == f"answer {number}" * 50
        cache.put(_key(7), _response(text="again"), model="m")
        cache.flush()
        assert cache.get(_key(7)).text == "again"  # type: ignore[union-attr]
    if damage != "empty":  # SQLite takes an empty file for a new one
        assert list(filled.parent.glob("*.damaged-*"))
        assert len(caplog.records) >= 1
    with ResponseCache(filled) as cache:
        assert cache.get(_key(7)).text == "again"  # type: ignore[union-attr]


def test_damage_while_it_is_open(filled: Path) -> None:
    with ResponseCache(filled) as cache:
        assert cache.get(_key(1)) is not None
        with filled.open("r+b") as file:
            file.write(os.urandom(filled.stat().st_size))
        for number in range(200):
            found = cache.get(_key(number))
            assert found is None or found.text == f"answer {number}" * 50
        cache.put(_key(500), _response(text="later"), model="m")
        cache.flush()
        cache.get(_key(2))
        cache.put(_key(501), _response(text="later"), model="m")
        cache.flush()
        assert cache.get(_key(501)).text == "later"  # type: ignore[union-attr]


def test_damage_that_only_the_writer_meets(filled: Path) -> None:
    with ResponseCache(filled) as cache:
        with filled.open("r+b") as file:
            file.write(os.urandom(filled.stat().st_size))
        for number in range(500, 503):  # nothing is read, as with `refresh`
            cache.put(_key(number), _response(text="later"), model="m")
            cache.flush()
    with ResponseCache(filled) as cache:
        assert cache.get(_key(502)).text == "later"  # type: ignore[union-attr]


def test_without_a_place_to_write_the_run_goes_on_with_one_warning(tmp_path: Path, caplog: Any) -> None:
    (tmp_path / "file").write_text("not a directory")
    with ResponseCache(tmp_path / "file" / "c.sqlite") as cache:
        assert not cache.is_open
        for number in range(20):
            cache.put(_key(number), _response(), model="m")
            assert cache.get(_key(number)) is None
        assert cache.stats().entries == 0
    assert len(caplog.records) == 1
    assert "going on without it" in caplog.text
    with pytest.raises(StoreError, match="delete the file"):
        cache.clear()


def test_a_full_disk_stops_writing_with_one_warning_and_reading_goes_on(filled: Path, caplog: Any) -> None:
    with ResponseCache(filled) as cache:

        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        cache._write = full  # type: ignore[method-assign]
        for number in range(300, 320):
            cache.put(_key(number), _response(), model="m")
            cache.flush()
        assert cache.get(_key(1)) is not None
    assert len(caplog.records) == 1


_WRITER = """
import sys
from pathlib import Path
from bakeoff.gateway import ModelResponse, ResponseCache
start = int(sys.argv[2])
with ResponseCache(Path(sys.argv[1])) as cache:
    for number in range(start, start + 300):
        cache.put(number.to_bytes(32, "big"), ModelResponse(text=str(number), model="m"), model="m")
        if number % 50 == 0:
            cache.flush()
        cache.get((number * 7 % 900).to_bytes(32, "big"))
    assert not cache.warnings, cache.warnings
"""


def test_several_processes_write_at_once(path: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", _WRITER, str(path), str(start)]) for start in (0, 200, 400, 600)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    with ResponseCache(path) as cache:
        assert [cache.get(_key(number)).text for number in range(900)] == [str(number) for number in range(900)]  # type: ignore[union-attr]


def test_writes_reach_the_file_without_flush_or_close(path: Path) -> None:
    """What a crash loses is bounded by the flush interval."""
    code = (
        "import os, sys, time; from pathlib import Path\n"
        "from bakeoff.gateway import ModelResponse, ResponseCache\n"
        "cache = ResponseCache(Path(sys.argv[1]))\n"
        "cache.put(bytes(32), ModelResponse(text='kept', model='m'), model='m')\n"
        "time.sleep(1.0)\n"
        "cache.put(b'x' * 32, ModelResponse(text='lost', model='m'), model='m')\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    with ResponseCache(path) as cache:
        assert cache.get(bytes(32)).text == "kept"  # type: ignore[union-attr]
