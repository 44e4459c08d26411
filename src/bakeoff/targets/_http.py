"""An HTTP endpoint as a target."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.errors import SpecError, TargetError
from bakeoff.targets._text import compile_text, json_bytes
from bakeoff.targets._types import TargetResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aiohttp

    from bakeoff.datasets import Item
    from bakeoff.errors import ErrorKind
    from bakeoff.targets._spec import HttpSpec

__all__ = ["HttpTarget", "lookup"]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MAX_BYTES = 32 * 1024 * 1024


def lookup(data: Any, path: str) -> Any:
    """Follow a dotted path (`choices.0.message.content`) through plain data.

    Raises:
        KeyError: A step of the path is not there; the message says which.
    """
    found = data
    for step in path.split("."):
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and re.fullmatch(r"-?[0-9]+", step) and -len(found) <= int(step) < len(found):
            found = found[int(step)]
        else:
            has = ", ".join(map(repr, list(found)[:8])) if isinstance(found, dict) else type(found).__name__
            raise KeyError(f"no {step!r} on the way along {path!r}; there is {has}")
    return found


class HttpTarget:
    """Sends the inputs of an item to an endpoint and picks the output from its answer."""

    def __init__(
        self, spec: HttpSpec, *, name: str, params: Mapping[str, Any], env: Mapping[str, str] | None = None
    ) -> None:
        self._spec = spec
        self._params = dict(params)
        environment = os.environ if env is None else env
        self._secrets: list[str] = []
        self._url = self._expand(spec.url, environment, name)
        self._headers = {key: self._expand(value, environment, name) for key, value in spec.headers.items()}
        self._body = None if spec.body is None else _compile(spec.body, name)
        self._query = {key: compile_text(value, name=f"{name}.query.{key}") for key, value in spec.query.items()}
        self._session: aiohttp.ClientSession | None = None

    def _expand(self, text: str, environment: Mapping[str, str], name: str) -> str:
        def value(match: re.Match[str]) -> str:
            found = environment.get(match[1])
            if not found:
                raise SpecError(f"target {name!r} needs the environment variable {match[1]}, which is not set")
            self._secrets.append(found)
            return found

        return _VARIABLE.sub(value, text)

    async def run(self, item: Item, *, repeat: int) -> TargetResult:
        """Make one request."""
        import aiohttp

        values = {**item.inputs, **self._params}
        body = dict(values) if self._body is None else self._body(values)
        sends_body = self._spec.method != "GET"
        started = time.perf_counter()
        try:
            async with self._open().request(
                self._spec.method,
                self._url,
                headers={"content-type": "application/json", **self._headers} if sends_body else self._headers,
                params={key: render(values) for key, render in self._query.items()} or None,
                data=json_bytes(body) if sends_body else None,
                allow_redirects=not self._headers and not self._secrets,  # else a key would go where nobody sent it
                timeout=aiohttp.ClientTimeout(total=self._spec.timeout_s),
            ) as response:
                raw = await response.content.read(_MAX_BYTES + 1)
                while len(raw) <= _MAX_BYTES and not response.content.at_eof():
                    raw += await response.content.read(_MAX_BYTES + 1 - len(raw))
                status, moved = response.status, response.headers.get("Location", "")
        except TimeoutError as error:
            message = f"no answer within {self._spec.timeout_s:g} s"
            raise TargetError(message, kind="timeout", retryable=True) from error
        except (aiohttp.ClientError, OSError) as error:
            message = self._hide(f"{type(error).__name__}: {error}")
            raise TargetError(message, kind="connection", retryable=True) from None
        latency_ms = (time.perf_counter() - started) * 1000
        if 300 <= status < 400:
            # Without its query, where a key may stand.
            place = self._hide(moved.partition("?")[0]) or "an address that it does not name"
            raise TargetError(
                f"HTTP {status}: the endpoint moved to {place[:300]!r}, where headers and keys are not sent unasked"
                "\n    fix: write that address as `url`",
                kind="bad_request",
            )
        if status >= 400:
            raise TargetError(self._hide(f"HTTP {status}: {raw[:300].decode(errors='replace')}"), **_class_of(status))
        return TargetResult(output=self._pick(raw), latency_ms=latency_ms, route="http")

    def _pick(self, raw: bytes) -> Any:
        if len(raw) > _MAX_BYTES:
            raise TargetError(f"the answer is larger than {_MAX_BYTES} bytes", kind="bad_response")
        try:
            data: Any = orjson.loads(raw)
        except orjson.JSONDecodeError:
            if self._spec.response is None:
                return raw.decode(errors="replace")
            start = raw[:120].decode(errors="replace")
            raise TargetError(f"the answer is not JSON: {self._hide(start)!r}", kind="bad_response") from None
        if self._spec.response is None:
            return data
        try:
            return lookup(data, self._spec.response)
        except KeyError as error:
            raise TargetError(f"the answer has {error.args[0]}", kind="bad_response") from None

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=300)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=True)
        return self._session

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


def _class_of(status: int) -> dict[str, Any]:
    kinds: dict[int, ErrorKind] = {401: "auth", 403: "auth", 404: "not_found", 408: "timeout", 429: "rate_limit"}
    kind = kinds.get(status, "server" if status >= 500 else "bad_request")
    return {"kind": kind, "retryable": status in (408, 429) or status >= 500}


def _compile(body: Any, name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Turn a body with templates into a function of the inputs. `"{{ x }}"` alone keeps the type of x."""
    if isinstance(body, str):
        whole = re.fullmatch(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}", body)
        render = compile_text(body, name=name)
        if whole is None:
            return render
        key = whole[1]
        return lambda values: values[key] if key in values else render(values)
    if isinstance(body, dict):
        parts = {key: _compile(value, f"{name}.{key}") for key, value in body.items()}
        return lambda values: {key: part(values) for key, part in parts.items()}
    if isinstance(body, list):
        entries = [_compile(value, f"{name}[{index}]") for index, value in enumerate(body)]
        return lambda values: [entry(values) for entry in entries]
    return lambda _values: body
