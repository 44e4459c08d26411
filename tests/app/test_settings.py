"""The settings page: a model is asked only when the button is pressed, keys are never shown, the cache is cleared."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import bakeoff
from bakeoff.app._reach import most_usd, reach
from bakeoff.experiments import LocalStore, open_store
from bakeoff.gateway import ModelResponse, ResponseCache
from tests.app.test_pages import open_page, text_of

SECRET = "sk-this-is-never-shown-1234567890"


class Chat(BaseHTTPRequestHandler):
    """A chat completions endpoint as OpenAI's API reference describes it."""

    asked: list[dict[str, Any]]
    status = 200

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({"path": self.path, "auth": self.headers.get("Authorization"), **body})
        answer = {
            "id": "c1", "object": "chat.completion", "created": 1, "model": "house-model-7",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
        }  # fmt: skip
        if self.status != 200:
            answer = {"error": {"message": f"no such key {SECRET}", "type": "invalid_request_error"}}
        content = json.dumps(answer).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def chat() -> Iterator[tuple[str, type[Chat]]]:
    class Mine(Chat):
        asked: list[dict[str, Any]] = []  # noqa: RUF012 - one list for one test

    server = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1", Mine
    server.shutdown()
    server.server_close()


def press(app: AppTest, label: str) -> AppTest:
    next(button for button in app.button if button.label == label).click().run(timeout=60)
    assert not app.exception, app.exception
    return app


def test_a_model_is_asked_once_and_only_on_request(
    chat: tuple[str, type[Chat]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, server = chat
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    spec = {
        "name": "one call", "dataset": {"rows": [{"q": "yes?"}]}, "prompts": {"p": "{{ q }}"},
        "models": {"house": {"model": "openai/house-model", "api_base": base}},
        "evaluators": ["length"], "mlflow": False,
    }  # fmt: skip
    bakeoff.run(spec, store=tmp_path / ".bakeoff")
    server.asked.clear()
    app = open_page("settings", tmp_path / ".bakeoff", monkeypatch)
    assert app.selectbox(key="reach_model").value == "openai/house-model", "models of runs are offered"
    app.text_input(key="reach_base").set_value(base).run()
    assert server.asked == [], "nothing is called without the button"
    press(app, "Ask it")
    assert len(server.asked) == 1
    assert server.asked[0]["path"] == "/v1/chat/completions"
    shown = text_of(app)
    assert "✓ answers" in shown
    assert "house-model-7" in shown
    app.run()
    assert len(server.asked) == 1, "drawing again asks nothing"
    assert SECRET not in shown
    assert SECRET not in str(app)


def test_a_refusal_is_said_without_the_key(
    chat: tuple[str, type[Chat]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, server = chat
    server.status = 401
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    found = reach("openai/house-model", api_base=base)
    assert not found.ok
    assert found.error
    assert SECRET not in found.error
    assert len(server.asked) == 1, "it is not tried again"


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    found = reach("openai/x", api_base="http://127.0.0.1:9/v1", timeout_s=5)
    assert not found.ok
    assert found.error


def test_a_missing_key_is_named_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    assert "ANTHROPIC_API_KEY" in reach("anthropic/claude-sonnet-4-5").error


def test_the_price_is_an_upper_bound() -> None:
    found = reach("sim/small")
    assert found.ok
    most = most_usd("sim/small")
    assert most is not None
    assert found.cost_usd is not None
    assert found.cost_usd <= most


def test_keys_are_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    app = open_page("settings", tmp_path / ".bakeoff", monkeypatch)
    assert "OPENAI_API_KEY" in text_of(app)
    assert SECRET not in str(app) + text_of(app)


def test_the_cache_is_cleared_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store: LocalStore = open_store(tmp_path / ".bakeoff")
    store.paths.create()
    with ResponseCache(store.paths.cache) as cache:
        for key in (b"a", b"b"):
            cache.put(key, ModelResponse(text="x", model="m"), model="m")
    app = open_page("settings", store.paths.root, monkeypatch)
    press(app, "Clear the cache")
    with ResponseCache(store.paths.cache) as cache:
        assert cache.stats().entries == 0
