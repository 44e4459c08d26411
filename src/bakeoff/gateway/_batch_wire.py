"""The two batch protocols on the wire: OpenAI-compatible `/batches`, and Anthropic's message batches."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import orjson

from bakeoff.errors import ErrorKind, ProviderError
from bakeoff.gateway._errors import bad_response
from bakeoff.gateway._http import Call

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bakeoff.gateway._errors import Secrets
    from bakeoff.gateway._http import HttpSession

__all__ = ["AnthropicWire", "BatchState", "OpenAIWire", "RawAnswer", "Wire"]

_OPENAI_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_ENDPOINT = "/v1/chat/completions"
_ANTHROPIC_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RawAnswer:
    """What a batch holds for one request: an HTTP answer, or why there is none."""

    status: int
    """HTTP status; 0 when the request was never worked on."""
    body: bytes
    kind: ErrorKind = "unknown"
    """Of the failure, where `status` is 0; `body` says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchState:
    """How far a batch is."""

    status: str
    """As the provider calls it."""
    ended: bool
    files: tuple[str, ...] = ()
    """Addresses of the answers."""
    kind: ErrorKind = "bad_response"
    """Kind of the failure of requests that are in none of the files."""
    reason: str = ""
    """Why they are not."""


class Wire(Protocol):
    """One provider's protocol."""

    base: str
    """Address below which everything is."""

    def line(self, custom_id: str, body: bytes) -> bytes:
        """Return one request as it is sent."""
        ...

    async def create(self, lines: Sequence[bytes]) -> tuple[str, str]:
        """Create a batch; return its id and that of its input file (if there is one)."""
        ...

    async def poll(self, batch_id: str) -> BatchState:
        """Look at a batch."""
        ...

    async def answers(self, address: str) -> dict[str, RawAnswer]:
        """Fetch one file of answers, by custom id."""
        ...


class _Http:
    """JSON requests with the headers of the calls."""

    def __init__(self, http: HttpSession, model: str, headers: Mapping[str, str], secrets: Secrets) -> None:
        self._http, self._model, self._secrets = http, model, secrets
        self._headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}

    async def get(self, url: str) -> bytes:
        return await self._http.post(Call(self._model, url, self._headers, b"", method="GET"))

    async def send(self, url: str, body: bytes, *, content_type: str = "application/json") -> dict[str, Any]:
        headers = {**self._headers, "Content-Type": content_type}
        return self.parse(await self._http.post(Call(self._model, url, headers, body)), "id")

    def parse(self, body: bytes, key: str) -> dict[str, Any]:
        try:
            data = orjson.loads(body)
        except orjson.JSONDecodeError:
            data = None
        if not isinstance(data, dict) or not isinstance(data.get(key), str):
            text = body[:400].decode("utf-8", "replace")
            raise bad_response(self._model, f"something else than a batch (no {key!r})", text, self._secrets)
        return data

    def rows(self, body: bytes) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for line in body.split(b"\n"):
            if line.strip():
                row = self.parse(line, "custom_id")
                found.append(row)
        return found


class OpenAIWire:
    """OpenAI-compatible batches: a file of requests goes up, a file of answers and one of errors come down.

    Args:
        http: Session.
        model: For messages.
        url: Where a live call goes; ends in `/chat/completions`.
        headers: Of a live call.
        secrets: What must not appear in a message.
    """

    def __init__(
        self, http: HttpSession, *, model: str, url: str, headers: Mapping[str, str], secrets: Secrets
    ) -> None:
        self.base = url.removesuffix("/chat/completions")
        self._model = model
        self._http = _Http(http, model, headers, secrets)
        self._file: str | None = None
        if self.base == url:
            raise ProviderError(f"{model!r} is not served by chat completions; it has no batches", kind="bad_request")

    def line(self, custom_id: str, body: bytes) -> bytes:
        """Return one line of the input file."""
        head = orjson.dumps({"custom_id": custom_id, "method": "POST", "url": _ENDPOINT})
        return head[:-1] + b',"body":' + body + b"}"

    async def create(self, lines: Sequence[bytes]) -> tuple[str, str]:
        """Upload the file, unless an earlier attempt did, and create the batch."""
        if self._file is None:
            self._file = await self._upload(lines)
        wanted = {"input_file_id": self._file, "endpoint": _ENDPOINT, "completion_window": "24h"}
        batch = await self._http.send(f"{self.base}/batches", orjson.dumps(wanted))
        return batch["id"], self._file

    async def _upload(self, lines: Sequence[bytes]) -> str:
        mark = uuid.uuid4().hex
        part = f"--{mark}\r\nContent-Disposition: form-data; name="
        head = (
            f'{part}"purpose"\r\n\r\nbatch\r\n{part}"file"; filename="bakeoff.jsonl"\r\n'
            "Content-Type: application/jsonl\r\n\r\n"
        )
        body = b"".join([head.encode(), b"\n".join(lines), b"\n", f"\r\n--{mark}--\r\n".encode()])
        file = await self._http.send(f"{self.base}/files", body, content_type=f"multipart/form-data; boundary={mark}")
        return file["id"]

    async def poll(self, batch_id: str) -> BatchState:
        """Look at a batch."""
        data = self._http.parse(await self._http.get(f"{self.base}/batches/{batch_id}"), "status")
        status = data["status"]
        names = [data.get(key) for key in ("output_file_id", "error_file_id")]
        kinds: dict[str, ErrorKind] = {"failed": "bad_request", "expired": "timeout", "cancelled": "cancelled"}
        said = data.get("errors")
        errors = said.get("data") if isinstance(said, dict) else None
        reason = "; ".join(str(one.get("message")) for one in errors or () if isinstance(one, dict))
        return BatchState(
            status=status,
            ended=status in _OPENAI_ENDED,
            files=tuple(f"{self.base}/files/{name}/content" for name in names if isinstance(name, str) and name),
            kind=kinds.get(status, "bad_response"),
            reason=reason[:600],
        )

    async def answers(self, address: str) -> dict[str, RawAnswer]:
        """Fetch a file of answers or errors."""
        return {row["custom_id"]: _openai_answer(row) for row in self._http.rows(await self._http.get(address))}


def _openai_answer(row: dict[str, Any]) -> RawAnswer:
    response, error = row.get("response"), row.get("error")
    if isinstance(response, dict) and isinstance(response.get("status_code"), int):
        return RawAnswer(status=response["status_code"], body=orjson.dumps(response.get("body")))
    code = str(error.get("code")) if isinstance(error, dict) else ""
    said = error.get("message") if isinstance(error, dict) else None
    kind: ErrorKind = "timeout" if "expired" in code else "cancelled" if "cancel" in code else "server"
    return RawAnswer(status=0, body=str(said or code or "no answer and no error").encode(), kind=kind)


class AnthropicWire:
    """Anthropic's message batches: the requests go up in one call, the results come down in one file.

    Args:
        http: Session.
        model: For messages.
        url: Where a live call goes; ends in `/messages`.
        headers: Of a live call.
        secrets: What must not appear in a message.
    """

    def __init__(
        self, http: HttpSession, *, model: str, url: str, headers: Mapping[str, str], secrets: Secrets
    ) -> None:
        self.base = url
        self._model = model
        self._http = _Http(http, model, headers, secrets)

    def line(self, custom_id: str, body: bytes) -> bytes:
        """Return one request of the list."""
        return orjson.dumps({"custom_id": custom_id})[:-1] + b',"params":' + body + b"}"

    async def create(self, lines: Sequence[bytes]) -> tuple[str, str]:
        """Create the batch."""
        batch = await self._http.send(f"{self.base}/batches", b'{"requests":[' + b",".join(lines) + b"]}")
        return batch["id"], ""

    async def poll(self, batch_id: str) -> BatchState:
        """Look at a batch."""
        address = f"{self.base}/batches/{batch_id}"
        data = self._http.parse(await self._http.get(address), "processing_status")
        status = data["processing_status"]
        results = data.get("results_url")
        if not isinstance(results, str) or urlsplit(results)[:2] != urlsplit(address)[:2]:
            results = f"{address}/results"  # never send the key anywhere else
        ended = status == "ended"
        return BatchState(status=status, ended=ended, files=(results,) if ended else ())

    async def answers(self, address: str) -> dict[str, RawAnswer]:
        """Fetch the results."""
        return {row["custom_id"]: _anthropic_answer(row) for row in self._http.rows(await self._http.get(address))}


def _anthropic_answer(row: dict[str, Any]) -> RawAnswer:
    result = row.get("result")
    result = result if isinstance(result, dict) else {}
    kind = result.get("type")
    if kind == "succeeded":
        return RawAnswer(status=200, body=orjson.dumps(result.get("message")))
    if kind == "errored":
        error = result.get("error")
        inner = error.get("error", error) if isinstance(error, dict) else None
        name = str(inner.get("type")) if isinstance(inner, dict) else ""
        return RawAnswer(status=_ANTHROPIC_STATUS.get(name, 500), body=orjson.dumps({"error": inner}))
    if kind == "expired":
        return RawAnswer(status=0, body=b"the batch expired before it was worked on", kind="timeout")
    if kind == "canceled":
        return RawAnswer(status=0, body=b"the batch was cancelled before it was worked on", kind="cancelled")
    return RawAnswer(status=0, body=f"a result of type {kind!r}".encode(), kind="bad_response")
