"""Find credentials written into an experiment file: a spec is kept with every run, in reports and in MLflow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bakeoff.errors import SpecProblem
from bakeoff.evaluators import redact_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bakeoff.experiments.spec._spec import ExperimentSpec

__all__ = ["address_problems", "variables_of"]

_SECTIONS = ("models", "targets", "evaluators", "guards", "factors", "variants")
_ADDRESSES = frozenset({"api_base", "url", "base_url", "openapi", "mcp"})
_SECRET_HEADER = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FIX = 'write "${NAME}" for it, and export NAME=..., or put it into a file and pass `--env-file FILE`'


def address_problems(spec: ExperimentSpec) -> list[SpecProblem]:
    """Return a problem for each header or address that holds a key, and each address of a model that is none.

    No message quotes the value.
    """
    data = spec.model_dump(mode="json", exclude_defaults=True, by_alias=True, include=set(_SECTIONS))
    found: list[SpecProblem] = []
    for key, name, value in _texts(data, ()):
        dotted = ".".join(key)
        if "headers" in key[:-1]:
            secret = _SECRET_HEADER.search(name) and not _VARIABLE.search(value)
            if secret or redact_secrets(value) != value:
                found.append(SpecProblem("a key stands here, and a spec is kept with every run", key=dotted, fix=_FIX))
        elif name in _ADDRESSES and _has_login(value):
            message = "a name and password stand in the address, and a spec is kept with every run"
            fix = 'send them as a header instead: headers: {Authorization: "Basic ${NAME}"}'
            found.append(SpecProblem(message, key=dotted, fix=fix))
        elif name == "api_base" and not value.startswith(("http://", "https://")):
            message = f"must begin with http:// or https://, got {value!r}"
            found.append(SpecProblem(message, key=dotted, fix=f"write http://{value.partition('://')[2] or value}"))
    return found


def variables_of(headers: Mapping[str, str]) -> list[str]:
    """Return the environment variables that headers name.

    Examples:
        >>> variables_of({"X-Team": "red", "Authorization": "Basic ${SHOP_LOGIN}"})
        ['SHOP_LOGIN']
    """
    return [name for value in headers.values() for name in _VARIABLE.findall(value)]


def _texts(value: Any, key: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, entry in entries:
        if isinstance(entry, str):
            yield (*key, str(name)), str(name), entry
        else:
            yield from _texts(entry, (*key, str(name)))


def _has_login(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.password is not None and not _VARIABLE.search(parts.netloc)
