"""An operation of an OpenAPI document as a tool."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import yaml

from bakeoff.agents.tools._tool import ToolProblem
from bakeoff.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bakeoff.agents.config._spec import ToolSpec
    from bakeoff.agents.tools._record import Recording
    from bakeoff.agents.tools._tool import ToolContext

__all__ = ["OpenApiTool"]

_METHODS = ("get", "post", "put", "patch", "delete")
_MOST_BYTES = 5_000_000


class OpenApiTool:
    """Calls one operation of a service.

    Path, query and header parameters and the fields of a JSON body are the arguments. `${NAME}` in `base_url` is read
    from the environment.

    Raises:
        SpecError: The document cannot be read, or has no such operation or server.
    """

    def __init__(self, name: str, spec: ToolSpec, *, base_dir: Path, recording: Recording | None = None) -> None:
        self.name = name
        self.timeout_s = spec.timeout_s
        self.max_chars = spec.max_chars
        self.recording = recording
        document = _document(base_dir / str(spec.openapi))
        self._method, self._path, operation, shared = _operation(document, str(spec.operation))
        self.description = (
            spec.description or operation.get("summary") or operation.get("description") or f"{spec.operation}"
        )
        servers = document.get("servers") or [{}]
        base = spec.base_url or servers[0].get("url", "")
        missing = [key for key in re.findall(r"\$\{(\w+)\}", base) if key not in os.environ]
        if missing or not base:
            lacking = f"the environment variable {missing[0]} is not set" if missing else "the document names no server"
            raise SpecError(f"tool {name!r}: {lacking}; give `base_url`")
        self._secrets = [os.environ[key] for key in re.findall(r"\$\{(\w+)\}", base) if os.environ[key]]
        self._base = re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], base).rstrip("/")
        if not self._base.startswith(("http://", "https://")):
            raise SpecError(f"tool {name!r}: the address {base!r} must begin with http:// or https://")
        self._places: dict[str, set[str]] = {}
        self.schema: Mapping[str, Any] = self._schema(document, operation, shared)
        import jsonschema

        self._validator = jsonschema.Draft202012Validator(self.schema)

    def _schema(
        self, document: dict[str, Any], operation: dict[str, Any], shared: list[dict[str, Any]]
    ) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        required: list[str] = []
        for raw in [*shared, *(operation.get("parameters") or [])]:
            parameter = _resolved(raw, document)
            properties[parameter["name"]] = _inlined(parameter.get("schema", {}), document)
            self._places[parameter["name"]] = {parameter.get("in", "query")}
            if parameter.get("required"):
                required.append(parameter["name"])
        body = _resolved(operation.get("requestBody") or {}, document)
        content = body.get("content", {}).get("application/json", {}).get("schema")
        if content is not None:
            fields, needed = _fields(_inlined(content, document))
            for key, value in fields.items():
                properties.setdefault(key, value)
                self._places.setdefault(key, set()).add("body")  # the id of a path often stands in the body, too
            required += needed if body.get("required", True) else []
        return {
            "type": "object",
            "properties": properties,
            "required": list(dict.fromkeys(required)),
            "additionalProperties": False,
        }

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> Any:
        """Check the arguments and make the call."""
        problems = [error.message for error in self._validator.iter_errors(dict(arguments))]
        if problems:
            raise ToolProblem(f"the arguments are wrong: {'; '.join(problems[:5])}", "bad_arguments")
        by_place: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "body": {}, "cookie": {}}
        for key, value in arguments.items():
            for place in self._places[key]:
                by_place[place][key] = value
        path = self._path
        for key, value in by_place["path"].items():
            if str(value) in ("", ".", ".."):  # would make it the address of something else
                raise ToolProblem(f"the arguments are wrong: {key!r} cannot be {value!r}", "bad_arguments")
            path = path.replace("{" + key + "}", quote(str(value), safe=""))
        import aiohttp

        try:
            return await self._call(path, by_place)
        except aiohttp.ClientError as error:
            told = f"{type(error).__name__}: {error}"
            for secret in self._secrets:
                told = told.replace(secret, "***")
            raise ToolProblem(told[:500]) from None

    async def _call(self, path: str, by_place: Mapping[str, Mapping[str, Any]]) -> str:
        import aiohttp

        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self.timeout_s)) as session,
            session.request(
                self._method,
                f"{self._base}{path}",
                params=[(key, text) for key, value in by_place["query"].items() for text in _query(value)],
                headers={key: str(value) for key, value in by_place["header"].items()},
                json=dict(by_place["body"]) or None,
            ) as answer,
        ):
            raw = bytearray()
            while len(raw) < _MOST_BYTES and (piece := await answer.content.read(_MOST_BYTES - len(raw))):
                raw += piece  # a single read gives what has arrived so far
            text = raw.decode("utf-8", "replace")
            if answer.status >= 400:
                raise ToolProblem(f"HTTP {answer.status}: {text[:500]}")
            return text


def _query(value: Any) -> list[str]:
    """Return a query parameter as OpenAPI writes it when the document does not say: a list by repeating the name."""
    values = value if isinstance(value, list) else [value]
    return [one if isinstance(one, str) else json.dumps(one) for one in values]


def _fields(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of a JSON body, and those that are needed; those of `allOf` together."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for part in schema.get("allOf") or ():
        fields, needed = _fields(part) if isinstance(part, dict) else ({}, [])
        properties |= fields
        required += needed
    return {**properties, **schema.get("properties", {})}, [*required, *schema.get("required", [])]


def _document(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SpecError(f"the OpenAPI document {str(path)!r} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise SpecError(f"the OpenAPI document {str(path)!r} is neither YAML nor JSON") from None
    if not isinstance(data, dict) or not isinstance(data.get("paths"), dict):
        raise SpecError(f"{str(path)!r} is not an OpenAPI document: it has no `paths`")
    return data


def _operation(document: dict[str, Any], wanted: str) -> tuple[str, str, dict[str, Any], list[dict[str, Any]]]:
    known: list[str] = []
    for path, entry in document["paths"].items():
        for method in _METHODS:
            operation = entry.get(method) if isinstance(entry, dict) else None
            if not isinstance(operation, dict):
                continue
            if operation.get("operationId") == wanted:
                return method.upper(), path, operation, entry.get("parameters") or []
            known.append(str(operation.get("operationId")))
    raise SpecError(f"the OpenAPI document has no operation {wanted!r}; it has {', '.join(known[:20]) or 'none'}")


def _resolved(value: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    seen = 0
    while isinstance(value, dict) and "$ref" in value:
        seen += 1
        here: Any = document
        for part in str(value["$ref"]).removeprefix("#/").split("/"):
            here = here.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(here, dict) else None
        if not isinstance(here, dict) or seen > 20:
            raise SpecError(f"the OpenAPI document refers to {value['$ref']!r}, which is not in it")
        value = here
    return value


def _inlined(value: Any, document: dict[str, Any], depth: int = 0) -> Any:
    """Put referred schemas in place; one that holds itself ends as `{}`."""
    if depth > 12:
        return dict[str, Any]()
    if isinstance(value, dict):
        value = _resolved(value, document)
        return {key: _inlined(entry, document, depth + 1) for key, entry in value.items() if key != "$ref"}
    if isinstance(value, list):
        return [_inlined(entry, document, depth + 1) for entry in value]
    return value
