"""A server that speaks the protocol of OpenAI and answers from the prompt alone, for both tools to call.

The answer is what follows `SAY:` in the last message, or all messages: one as it is, several as `[role] text`.
Embeddings count words; texts with `stab` are flagged as violence; log-probabilities are -0.5 for each of four tokens.
"""

from __future__ import annotations

import contextlib
import json
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["answer_to", "serving"]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content)


def answer_to(messages: Any) -> str:
    """Return the answer to a chat."""
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        return json.dumps(messages)  # a prompt that happens to be JSON
    last = _text(messages[-1]["content"])
    if "SAY:" in last:
        return last.split("SAY:", 1)[1]
    if len(messages) == 1:
        return last
    return "\n".join(f"[{message['role']}] {_text(message['content'])}" for message in messages)


def _chat(asked: dict[str, Any]) -> dict[str, Any]:
    choice: dict[str, Any] = {
        "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer_to(asked["messages"])}
    }  # fmt: skip
    if asked.get("logprobs"):
        choice["logprobs"] = {"content": [{"token": "x", "logprob": -0.5, "bytes": None, "top_logprobs": []}] * 4}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": asked["model"], "choices": [choice],
            "usage": usage}  # fmt: skip


def _response(asked: dict[str, Any]) -> dict[str, Any]:
    given = asked["input"]
    text = answer_to([{"role": "user", "content": given}] if isinstance(given, str) else given)
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    return {"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": asked["model"],
            "output": [message], "usage": usage}  # fmt: skip


def _claude(asked: dict[str, Any]) -> dict[str, Any]:
    system = [{"role": "system", "content": asked["system"]}] if asked.get("system") else []
    content = [{"type": "text", "text": answer_to([*system, *asked["messages"]])}]
    return {"id": "a", "type": "message", "role": "assistant", "model": asked["model"], "content": content,
            "stop_reason": "end_turn", "usage": {"input_tokens": 10, "output_tokens": 5}}  # fmt: skip


def _embeddings(asked: dict[str, Any]) -> dict[str, Any]:
    data = []
    for index, text in enumerate(asked["input"] if isinstance(asked["input"], list) else [asked["input"]]):
        vector = [0.0] * 64
        for word in text.lower().split():
            vector[zlib.crc32(word.encode()) % 64] += 1.0
        data.append({"object": "embedding", "index": index, "embedding": vector})
    return {"object": "list", "data": data, "model": asked["model"], "usage": {"prompt_tokens": 4, "total_tokens": 4}}


def _moderations(asked: dict[str, Any]) -> dict[str, Any]:
    given = asked["input"]
    texts = [_text(one) for one in given] if isinstance(given, list) and given and isinstance(given[0], str) else [
        _text(given)
    ]  # fmt: skip
    results = []
    for text in texts:
        scores = {"violence": 0.9 if "stab" in text else 0.01, "hate": 0.01}
        flags = {name: score > 0.5 for name, score in scores.items()}
        results.append({"flagged": any(flags.values()), "categories": flags, "category_scores": scores})
    return {"id": "m", "model": asked.get("model"), "results": results}


_PATHS = {
    "/chat/completions": _chat, "/responses": _response, "/messages": _claude,
    "/embeddings": _embeddings, "/moderations": _moderations,
}  # fmt: skip


@contextlib.contextmanager
def serving() -> Iterator[tuple[str, list[tuple[str, dict[str, Any]]]]]:
    """Serve on a free port; give the address and the list that every request is written to."""
    seen: list[tuple[str, dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = self.path.split("?")[0]
            seen.append((path, asked))
            build = next((build for end, build in _PATHS.items() if path.endswith(end)), None)
            body = json.dumps(build(asked) if build else {"error": {"message": f"no path {path}"}}).encode()
            self.send_response(200 if build else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
