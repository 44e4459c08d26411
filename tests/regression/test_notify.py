from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest
import yaml

from bakeoff.errors import SpecError
from bakeoff.experiments import LocalStore
from bakeoff.regression import (
    Notice,
    add_schedule,
    claim_due,
    deliver,
    list_firings,
    load_channels,
    queue_notice,
    request_run,
    run_firing,
    set_baseline,
    verify_signature,
)
from tests.regression.support import passes, recorded, run

NOTICE = Notice(key="k1", event="fail", title="the gate fails", text="correct fell <by> 5 points & more")


class Receiver(HTTPServer):
    """A local receiver; answers with the statuses it is given, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses = list(statuses)
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?x=1"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver  # type: ignore[assignment]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.shutdown()
    server.server_close()


def channels(tmp_path: Path, *entries: dict[str, Any]) -> Path:
    path = tmp_path / "notify.yaml"
    path.write_text(yaml.safe_dump({"channels": list(entries)}))
    return path


def test_a_signed_webhook(
    store: LocalStore, tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_KEY", "s3cret")
    file = channels(tmp_path, {"name": "hook", "kind": "webhook", "url": receiver.url, "secret_env": "HOOK_KEY"})
    assert queue_notice(store, NOTICE, file) == 1
    assert deliver(store) == []
    ((headers, body),) = receiver.got
    assert json.loads(body)["title"] == "the gate fails"
    assert verify_signature(body, "s3cret", headers["X-Bakeoff-Signature"], now=time.time())
    assert not verify_signature(body, "other", headers["X-Bakeoff-Signature"], now=time.time())
    assert not verify_signature(body, "s3cret", headers["X-Bakeoff-Signature"], now=time.time() + 3600)
    assert not verify_signature(body, "s3cret", "nonsense", now=time.time())


def test_once_for_each_key_and_channel(store: LocalStore, tmp_path: Path, receiver: Receiver) -> None:
    file = channels(
        tmp_path, {"name": "a", "kind": "webhook", "url": receiver.url},
        {"name": "b", "kind": "slack", "url": receiver.url},
        {"name": "c", "kind": "webhook", "url": receiver.url, "events": ["drift"]},
    )  # fmt: skip
    assert queue_notice(store, NOTICE, file) == 2
    assert queue_notice(store, NOTICE, file) == 0
    deliver(store)
    deliver(store)
    assert len(receiver.got) == 2
    slack = json.loads(next(body for _, body in receiver.got if b'"text": "the gate' in body))
    assert slack == {"text": "the gate fails\ncorrect fell &lt;by&gt; 5 points &amp; more"}


def test_retried_with_growing_pauses(store: LocalStore, tmp_path: Path, receiver: Receiver) -> None:
    receiver.statuses = [500, 503]
    queue_notice(store, NOTICE, channels(tmp_path, {"name": "a", "kind": "webhook", "url": receiver.url}), now=1000)
    assert deliver(store, now=1000) == ["notification 'k1' to 'a': 127.0.0.1 answered 500"]
    assert deliver(store, now=1004) == []
    assert len(deliver(store, now=1005)) == 1
    assert deliver(store, now=1034) == []
    assert len(receiver.got) == 2
    assert deliver(store, now=1035) == []
    assert len(receiver.got) == 3


def test_a_clock_that_was_set_back_holds_nothing_up(store: LocalStore, tmp_path: Path, receiver: Receiver) -> None:
    queue_notice(store, NOTICE, channels(tmp_path, {"name": "a", "kind": "webhook", "url": receiver.url}), now=9e5)
    assert deliver(store, now=1000) == []
    assert len(receiver.got) == 1


def test_given_up_after_seven_attempts(store: LocalStore, tmp_path: Path) -> None:
    queue_notice(store, NOTICE, channels(tmp_path, {"name": "a", "kind": "command", "command": ["false"]}), now=0)
    errors = [error for hour in range(200) for error in deliver(store, now=hour * 3600.0)]
    assert len(errors) == 7
    assert errors[0].endswith("'false' ended with 1")


def test_secrets_stay_out_of_errors(store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK", "http://127.0.0.1:9/services/T000/B000/XXXXSECRET")
    queue_notice(store, NOTICE, channels(tmp_path, {"name": "s", "kind": "slack", "url_env": "SLACK"}), now=0)
    (error,) = deliver(store, now=0)
    assert "127.0.0.1 cannot be reached" in error
    assert "SECRET" not in error
    monkeypatch.delenv("SLACK")
    (error,) = deliver(store, now=10_000)
    assert "needs the environment variable SLACK, which is not set" in error


def test_a_command_gets_json(store: LocalStore, tmp_path: Path) -> None:
    out = tmp_path / "said.json"
    program = f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())"
    entry = {"name": "c", "kind": "command", "command": [sys.executable, "-c", program],
             "template": "{{ event | upper }}: {{ title }}"}  # fmt: skip
    queue_notice(store, NOTICE, channels(tmp_path, entry))
    assert deliver(store) == []
    assert json.loads(out.read_text())["rendered"] == "FAIL: the gate fails"


class _Mailbox(StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        lines: list[str] = []
        reading = False
        for raw in self.rfile:
            line = raw.decode().rstrip("\r\n")
            if reading:
                if line == ".":
                    reading = False
                    self.server.mails.append("\n".join(lines))  # type: ignore[attr-defined]
                    self.wfile.write(b"250 kept\r\n")
                else:
                    lines.append(line)
                continue
            word = line[:4].upper()
            if word == "DATA":
                reading = True
                self.wfile.write(b"354 go on\r\n")
            elif word == "QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


def test_mail(store: LocalStore, tmp_path: Path) -> None:
    with ThreadingTCPServer(("127.0.0.1", 0), _Mailbox) as server:
        server.mails = []  # type: ignore[attr-defined]
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        entry = {"name": "m", "kind": "email", "host": "127.0.0.1", "port": server.server_address[1],
                 "security": "none", "sender": "bakeoff@example.com",
                 "to": ["a@example.com", "b@example.com"]}  # fmt: skip
        queue_notice(
            store,
            Notice(key="x", event="fail", title="bad\nBcc: evil@example.com", text="é"),
            channels(tmp_path, entry),
        )
        assert deliver(store) == []
        server.shutdown()
    (mail,) = server.mails  # type: ignore[attr-defined]
    assert "Subject: [bakeoff] bad Bcc: evil@example.com" in mail
    assert "To: a@example.com, b@example.com" in mail


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing: 1", "needs a list `channels:`"),
        ("channels: [{name: a, kind: pigeon}]", "0|kind"),
        ("channels: [{name: a, kind: slack}]", "needs `url` or `url_env`"),
        ("channels: [{name: a, kind: email}]", "needs `host`, `sender` and `to`"),
        ("channels: [{name: a, kind: slack, url: 'file:///etc/passwd'}]", "pattern"),
        ("channels: [{name: a, kind: command, command: [x]}, {name: a, kind: command, command: [y]}]", "one name"),
    ],
)
def test_wrong_channels(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "notify.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        load_channels(path)


def test_a_schedule_tells_of_failure_once_and_of_recovery_once(
    store: LocalStore, tmp_path: Path, receiver: Receiver
) -> None:
    gate = [{"no_worse_than": "baseline", "margin": 0.1}]
    set_baseline(store, run(store, recorded({"bot": passes(60, 58)}, name="nightly")))
    file = tmp_path / "experiment.yaml"
    notify = channels(tmp_path, {"name": "hook", "kind": "webhook", "url": receiver.url})

    def write(right: int) -> None:
        file.write_text(yaml.safe_dump(recorded({"bot": passes(60, right)}, name="nightly", gate=gate)))

    write(58)
    add_schedule(store, file, "0 6 * * *", options={"notify": str(notify)})
    for right in (58, 20, 21, 58, 58):
        write(right)
        request_run(store, "nightly")
        (firing,), _ = claim_due(store, "me")
        asyncio.run(asyncio.to_thread(run_firing, store, "nightly", firing.due_at, "me"))
    events = [json.loads(body)["event"] for _, body in receiver.got]
    assert [event for event in events if event in ("fail", "recovery")] == ["fail", "recovery"]
    outcomes = [firing.outcome for firing in reversed(list_firings(store, "nightly"))]
    assert outcomes == ["pass", "fail", "fail", "pass", "pass"]
