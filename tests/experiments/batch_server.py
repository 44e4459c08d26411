"""A local server that speaks both batch protocols, written from the providers' documentation, not from our client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

PRICED_INPUT, PRICED_OUTPUT = 1000, 500
"""Tokens that every answer reports."""


class BatchServer:
    """Keeps batches in memory; each look at one moves it a step on, unless `frozen`."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.created = self.uploads = self.looks = 0
        self.looked = asyncio.Event()
        self.refuse = 0
        """Creations that are still to be refused with 429."""
        self.fail_looks = 0
        self.frozen = False
        self.ending = "completed"
        self.failing: set[str] = set()
        """Questions that are answered with an error."""
        self.dropping: set[str] = set()
        """Questions of which nothing comes back."""
        self.keys: set[str] = set()
        self.requests: list[dict[str, Any]] = []

    def app(self) -> web.Application:
        app = web.Application(client_max_size=200_000_000)
        app.add_routes(
            [
                web.post("/v1/files", self.upload),
                web.post("/v1/batches", self.create_openai),
                web.get("/v1/batches/{id}", self.look_openai),
                web.get("/v1/files/{id}/content", self.content),
                web.post("/v1/messages/batches", self.create_anthropic),
                web.get("/v1/messages/batches/{id}", self.look_anthropic),
                web.get("/v1/messages/batches/{id}/results", self.results),
            ]
        )
        return app

    # OpenAI

    async def upload(self, request: web.Request) -> web.Response:
        self.keys.add(request.headers["Authorization"])
        form = await request.post()
        assert form["purpose"] == "batch"
        part = form["file"]
        assert isinstance(part, web.FileField)
        self.uploads += 1
        name = f"file-{self.uploads}"
        self.files[name] = part.file.read()
        return web.json_response({"id": name, "object": "file", "purpose": "batch"})

    async def create_openai(self, request: web.Request) -> web.Response:
        if self.refuse:
            self.refuse -= 1
            error = {"error": {"message": "slow down, sk-test-secret-key-1234567890", "type": "rate_limit"}}
            return web.json_response(error, status=429, headers={"Retry-After": "0.05"})
        wanted = await request.json()
        assert wanted["endpoint"] == "/v1/chat/completions"
        assert wanted["completion_window"] == "24h"
        rows = [json.loads(line) for line in self.files[wanted["input_file_id"]].splitlines()]
        assert len({row["body"]["model"] for row in rows}) == 1, "a file holds one model"
        assert all(row["method"] == "POST" and row["url"] == "/v1/chat/completions" for row in rows)
        name = self._add([(row["custom_id"], row["body"]) for row in rows])
        return web.json_response({"id": name, "object": "batch", "status": "validating"})

    def _add(self, rows: list[tuple[str, dict[str, Any]]]) -> str:
        assert len({custom_id for custom_id, _ in rows}) == len(rows)
        self.created += 1
        self.requests += [body for _, body in rows]
        name = f"batch_{self.created}"
        self.batches[name] = {"rows": rows, "step": 0}
        return name

    def _step(self, name: str) -> int:
        self.looks += 1
        self.looked.set()
        batch = self.batches[name]
        if not self.frozen:
            batch["step"] += 1
        return batch["step"]

    async def look_openai(self, request: web.Request) -> web.Response:
        if self.fail_looks:
            self.fail_looks -= 1
            return web.Response(status=503, text="out for lunch")
        name = request.match_info["id"]
        if name not in self.batches:
            return web.json_response({"error": {"message": "No such batch"}}, status=404)
        step = self._step(name)
        if step < 3:
            return web.json_response({"id": name, "status": ("validating", "in_progress", "in_progress")[step]})
        if self.ending == "failed":
            errors = {"data": [{"code": "invalid", "message": "line 1 is not valid"}]}
            return web.json_response({"id": name, "status": "failed", "errors": errors})
        good, bad = [], []
        for custom_id, body in self.batches[name]["rows"]:
            question = body["messages"][-1]["content"]
            row: dict[str, Any] = {"id": "x", "custom_id": custom_id, "response": None, "error": None}
            if question in self.dropping:
                continue
            if self.ending == "expired":
                bad.append({**row, "error": {"code": "batch_expired", "message": "This request could not be executed"}})
            elif question in self.failing:
                said = {"error": {"message": "maximum context length exceeded", "code": "context_length_exceeded"}}
                bad.append({**row, "response": {"status_code": 400, "request_id": "r", "body": said}})
            else:
                good.append({**row, "response": {"status_code": 200, "request_id": "r", "body": completion(body)}})
        state: dict[str, Any] = {"id": name, "status": self.ending, "output_file_id": None, "error_file_id": None}
        for key, rows in (("output_file_id", good), ("error_file_id", bad)):
            if rows:
                state[key] = f"{name}-{key}"
                self.files[state[key]] = "".join(json.dumps(row) + "\n" for row in reversed(rows)).encode()
        return web.json_response(state)

    async def content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]], content_type="application/octet-stream")

    # Anthropic

    async def create_anthropic(self, request: web.Request) -> web.Response:
        assert request.headers["anthropic-version"]
        self.keys.add(request.headers["x-api-key"])
        wanted = await request.json()
        name = self._add([(row["custom_id"], row["params"]) for row in wanted["requests"]])
        return web.json_response({"id": name, "type": "message_batch", "processing_status": "in_progress"})

    async def look_anthropic(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        ended = self._step(name) >= 3
        return web.json_response(
            {
                "id": name,
                "processing_status": "ended" if ended else "in_progress",
                "results_url": str(request.url) + "/results" if ended else None,
            }
        )

    async def results(self, request: web.Request) -> web.Response:
        lines = []
        for custom_id, body in self.batches[request.match_info["id"]]["rows"]:
            content = body["messages"][-1]["content"]
            question = content if isinstance(content, str) else content[0]["text"]
            result: dict[str, Any] = {"type": "succeeded", "message": message(body, question)}
            if self.ending != "completed":
                result = {"type": {"cancelled": "canceled"}.get(self.ending, self.ending)}
            elif question in self.failing:
                error = {"type": "invalid_request_error", "message": "prompt is too long: 300000 tokens > 200000"}
                result = {"type": "errored", "error": {"type": "error", "error": error}}
            lines.append(json.dumps({"custom_id": custom_id, "result": result}) + "\n")
        return web.Response(text="".join(lines), content_type="application/x-jsonl")


def answer_to(question: str) -> str:
    a, b = question.rpartition(" ")[2].split("+")
    return str(int(a) + int(b))


def completion(body: dict[str, Any]) -> dict[str, Any]:
    """Answer as OpenAI does."""
    text = answer_to(body["messages"][-1]["content"])
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"] + "-2024-07-18",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {
            "prompt_tokens": PRICED_INPUT,
            "completion_tokens": PRICED_OUTPUT,
            "total_tokens": PRICED_INPUT + PRICED_OUTPUT,
        },
    }


def message(body: dict[str, Any], question: str) -> dict[str, Any]:
    """Answer as Anthropic does."""
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": answer_to(question)}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": PRICED_INPUT, "output_tokens": PRICED_OUTPUT},
    }
