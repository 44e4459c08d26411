"""One classification of everything that can go wrong with a model call, whichever route made it."""

from __future__ import annotations

import math
import re
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import orjson

from bakeoff.errors import ErrorKind, ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "Secrets",
    "bad_response",
    "connection_error",
    "from_litellm",
    "from_status",
    "rate_limit_headers",
    "refused_before",
    "retry_after_s",
    "server_now",
    "timeout_error",
]

_LONGEST_MESSAGE = 600
_KEY_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL)", re.IGNORECASE)
_SHAPES = (
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)[^\s/@\"']{1,300}@"), r"\1***@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), r"\1 ***"),
    (re.compile(r"\b(sk|pk|rk|gsk|xai|key|hf|r8|ghp|AIza|AKIA)[-_]?[A-Za-z0-9_-]{14,}"), "***"),
    (re.compile(r"(?i)([?&](?:api[-_]?key|key|token|access_token|sig|signature)=)[^&\s\"']+"), r"\1***"),
    (
        re.compile(r"(?i)((?:x-api-key|api-key|authorization|x-goog-api-key)[\"']?\s*[:=]\s*[\"']?)[^\s\"',}]{6,}"),
        r"\1***",
    ),
)

_SSL = re.compile(r" ssl:(?:<[^>]*>|\w+)")
_CONTEXT_LENGTH = re.compile(
    r"context[ _-]?(length|window)|maximum context|prompt is too long|input is too long|input length.{0,40}exceed"
    r"|input token count.{0,60}exceeds|too many (input )?tokens|exceeds? the (model'?s )?maximum.{0,20}tokens"
    r"|max_total_tokens|string_above_max_length|request too large for model",
    re.IGNORECASE,
)
_CONTENT_FILTER = re.compile(
    r"content[ _-]?filter|content[ _-]?(management )?polic|responsibleaipolicy|content_policy_violation"
    r"|safety system|output blocked by content|prohibited_content|blocked by .{0,30}safety",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(r"model_not_found|does not exist or you do not have access|unknown model", re.IGNORECASE)
_NO_KEY = re.compile(r"api key not valid|invalid[ _]api[ _]key|incorrect api key|api_key_invalid", re.IGNORECASE)
_NO_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|credit balance is too low|billing", re.IGNORECASE
)

_BY_STATUS: dict[int, tuple[ErrorKind, bool]] = {
    401: ("auth", False),
    402: ("auth", False),
    403: ("auth", False),
    404: ("not_found", False),
    405: ("bad_request", False),
    408: ("timeout", True),
    409: ("server", True),
    425: ("server", True),
    429: ("rate_limit", True),
    498: ("rate_limit", True),
    501: ("server", False),
    504: ("timeout", True),
    524: ("timeout", True),
}


class Secrets:
    """What must never appear in a message: the values of key variables, and anything shaped like a key.

    Args:
        env: The environment; values of variables named like keys are secrets.
        names: Further variables whose values are secrets.

    Examples:
        >>> Secrets({"MY_API_KEY": "tiger-and-lamb"}).redact("no access for tiger-and-lamb")
        'no access for ***'
        >>> Secrets({}).redact("GET /v1?key=abcdef123 with Bearer abcdef123456")
        'GET /v1?key=*** with Bearer ***'
    """

    __slots__ = ("_values",)

    def __init__(self, env: Mapping[str, str], names: Iterable[str] = ()) -> None:
        named = {env[name] for name in names if name in env}
        found = {value for name, value in env.items() if _KEY_NAME.search(name)}
        self._values = sorted((value for value in named | found if len(value) >= 6), key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return `text` with every secret replaced by `***`."""
        for value in self._values:
            if value in text:
                text = text.replace(value, "***")
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        return text

    def redact_all(self, value: object) -> Any:
        """Return JSON data with every secret in its texts replaced.

        Examples:
            >>> Secrets({"MY_API_KEY": "tiger-and-lamb"}).redact_all([{"error": "no tiger-and-lamb", "ms": 3}])
            [{'error': 'no ***', 'ms': 3}]
        """
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, dict):
            return {key: self.redact_all(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.redact_all(entry) for entry in value]
        return value


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a provider asks to wait, or None when it does not say.

    Reads `retry-after-ms` and `retry-after` (seconds, or an HTTP date). Names must be in lower case.

    Examples:
        >>> retry_after_s({"retry-after": "2.5"}), retry_after_s({"retry-after-ms": "40"}), retry_after_s({})
        (2.5, 0.04, None)
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * scale
        except ValueError:
            try:
                seconds = parsedate_to_datetime(value).timestamp() - server_now(headers)
            except (ValueError, TypeError):
                continue
        if math.isfinite(seconds):
            return max(seconds, 0.0)
    return None


def server_now(headers: Mapping[str, str]) -> float:
    """Return what time the server says it is: the clock of this machine may be wrong, and is set right at times."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return time.time()


def rate_limit_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that tell how much of a limit is left, names in lower case.

    Examples:
        >>> rate_limit_headers({"X-RateLimit-Remaining-Requests": "9", "Date": "today"})
        {'x-ratelimit-remaining-requests': '9'}
    """
    found: dict[str, str] = {}
    for name, value in headers.items():
        lower = name.lower().removeprefix("llm_provider-")  # LiteLLM's mark on headers that it passes on
        if "ratelimit" in lower or lower.startswith("retry-after"):
            found[lower] = value
    return found


def _detail(body: str) -> str:
    """Return the provider's own words from an error body, with its code and type."""
    try:
        data: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict):
        return body
    error: Any = data.get("error", data)
    if isinstance(error, str):
        return error
    if not isinstance(error, dict):
        return body
    message = error.get("message") or error.get("detail") or body
    tags = [str(error[key]) for key in ("code", "type", "status") if isinstance(error.get(key), str)]
    inner: Any = error.get("innererror")
    if isinstance(inner, dict) and isinstance(inner.get("code"), str):
        tags.append(inner["code"])
    text = message if isinstance(message, str) else str(message)
    tags = [tag for tag in dict.fromkeys(tags) if tag not in text]
    return f"{text} ({', '.join(tags)})" if tags else text


def _classify(status: int, text: str) -> tuple[ErrorKind, bool]:
    if status == 429:
        return "rate_limit", _NO_QUOTA.search(text) is None  # waiting brings no money
    if status in {400, 413, 422}:
        for pattern, kind in (
            (_NO_KEY, "auth"),
            (_CONTENT_FILTER, "content_filter"),
            (_CONTEXT_LENGTH, "context_length"),
            (_NO_MODEL, "not_found"),
            (_NO_QUOTA, "auth"),
        ):
            if pattern.search(text):
                return kind, False
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= 500:
        return "server", True
    return ("bad_request", False) if status >= 400 else ("bad_response", True)


def from_status(
    status: int, body: str, *, model: str, headers: Mapping[str, str], secrets: Secrets, hint: str = ""
) -> ProviderError:
    """Build the error for an HTTP answer that is not a success.

    Args:
        status: HTTP status.
        body: The answer's body; its message and code are quoted.
        model: Model string as the spec names it.
        headers: The answer's headers, in lower case.
        secrets: What must not be quoted.
        hint: The way out, when it is known.
    """
    detail = _detail(body)
    kind, retryable = _classify(status, detail)
    said = " ".join(secrets.redact(detail[: 4 * _LONGEST_MESSAGE]).split())[:_LONGEST_MESSAGE]
    if not hint and kind == "auth":
        hint = "check the API key and what it may use"
    if not hint and kind == "not_found":
        hint = "check the name of the model, and `api_base` where you set one"
    message = f"{model!r} answered HTTP {status}: {said or 'no message'}"
    return ProviderError(
        f"{message}\n    fix: {hint}" if hint else message,
        kind=kind,
        retryable=retryable,
        retry_after_s=retry_after_s(headers),
        status=status,
    )


def timeout_error(model: str, what: str, seconds: float) -> ProviderError:
    """Build the error for an attempt that took too long; `what` names the limit that was passed."""
    return ProviderError(f"{model!r} gave no {what} within {seconds:g} s", kind="timeout", retryable=True)


def connection_error(model: str, error: BaseException, secrets: Secrets, *, where: str = "") -> ProviderError:
    """Build the error for a connection that could not be made, or broke."""
    said = _SSL.sub("", secrets.redact(str(error) or type(error).__name__))[:_LONGEST_MESSAGE]
    place = f" at {where}" if where else ""
    hint = "check that it is up, the address, and any proxy (HTTPS_PROXY, NO_PROXY)"
    return ProviderError(f"{model!r}: no connection{place}: {said}\n    fix: {hint}", kind="connection", retryable=True)


def bad_response(model: str, what: str, body: str, secrets: Secrets, *, status: int | None = None) -> ProviderError:
    """Build the error for an answer that cannot be read; `what` says why, the start of `body` is quoted."""
    start = secrets.redact(" ".join(body[:400].split()))[:200]
    message = f"{model!r} answered with {what}: {start!r}"
    if start.lstrip().startswith("<"):
        message += "\n    fix: a web page came instead of an answer: check `api_base`, and any proxy on the way"
    return ProviderError(message, kind="bad_response", retryable=True, status=status)


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found and len(found) < 12:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found


_CONNECTION_NAMES = re.compile(
    r"ConnectError|ReadError|WriteError|RemoteProtocolError|ClientConnector|ServerDisconnected|ClientPayloadError"
    r"|ClientOSError|IncompleteRead|LocalProtocolError|CloseError|ConnectionReset|ConnectionRefused|gaierror"
)
_PARSE_NAMES = re.compile(r"JSONDecodeError|ValidationError|KeyError|IndexError|TypeError|AttributeError")
_PARSE_WORDS = re.compile(
    r"Unterminated string|Expecting (value|property name|',' delimiter|':' delimiter)|Extra data: line"
    r"|Empty or invalid response from LLM|Unexpected string response|'choices' that is not a list|no 'choices'"
    r"|Error converting to valid response|Error parsing chunk"
)


def _is_timeout(names: list[str]) -> bool:
    return any("Timeout" in name for name in names)


def refused_before(error: BaseException, *, model: str, secrets: Secrets) -> ProviderError:
    """Translate what LiteLLM raised before anything was sent: a parameter or a provider that it does not know."""
    said = " ".join(secrets.redact(str(error)).split())[:_LONGEST_MESSAGE].removeprefix("litellm.")
    if "LLM Provider NOT provided" in said:
        provider, slash, _ = model.partition("/")
        unknown = f"{provider!r} is no provider that is known" if slash else "no provider is known for that name"
        fix = "write PROVIDER/MODEL, for instance openai/gpt-4o-mini, ollama/llama3.2 or anthropic/..."
        told = f"{unknown} (LiteLLM: LLM Provider NOT provided)"
        return ProviderError(f"{model!r} was not called: {told}\n    fix: {fix}", kind="bad_request")
    _, _, reason = said.partition(": ")
    message = f"{model!r} was not called: {reason or said}"
    return ProviderError(f"{message}\n    fix: change the model or its parameters", kind="bad_request")


def from_litellm(error: BaseException, *, model: str, secrets: Secrets, timeout_s: float) -> ProviderError:
    """Translate what LiteLLM raised.

    LiteLLM puts very different things into `APIConnectionError` and `InternalServerError`, an answer that is
    not JSON among them; the chain of causes tells them apart.
    """
    chain = _chain(error)
    names = [type(one).__name__ for one in chain]
    text = str(error).partition("Traceback (most recent call last)")[0].strip()
    headers = _headers_of(chain)
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) else None
    if names[0] == "Timeout" or (names[0] == "APIConnectionError" and _is_timeout(names)):
        if "504" in text.split(":", maxsplit=1)[0] or status == 504:
            return from_status(504, text, model=model, headers=headers, secrets=secrets)
        return timeout_error(model, "complete answer", timeout_s)
    if _PARSE_WORDS.search(text):
        return bad_response(model, "a body that cannot be read", text, secrets)
    invented = names[0] == "APIConnectionError"  # its status says nothing
    if invented and _PARSE_NAMES.search(" ".join(names[1:])) and not _CONNECTION_NAMES.search(" ".join(names)):
        return bad_response(model, "a body that cannot be read", text, secrets)
    if invented or "Connection error" in text:
        return connection_error(model, error, secrets)
    provider_status = _provider_status(chain)
    found = from_status(provider_status or status or 500, text, model=model, headers=headers, secrets=secrets)
    by_class: dict[str, ErrorKind] = {
        "ContextWindowExceededError": "context_length",
        "ContentPolicyViolationError": "content_filter",
        "UnsupportedParamsError": "bad_request",
    }
    if names[0] in by_class:
        found.kind, found.retryable = by_class[names[0]], False
    return found


def _provider_status(chain: list[BaseException]) -> int | None:
    """Return the status of the provider's answer: LiteLLM's own number is invented where there was none."""
    for one in reversed(chain):
        response: Any = getattr(one, "response", None)
        status: Any = getattr(response, "status_code", None)
        if isinstance(status, int) and getattr(one, "status_code", status) == status:
            return status
    status = getattr(chain[0], "status_code", None)
    return status if isinstance(status, int) else None


def _headers_of(chain: list[BaseException]) -> dict[str, str]:
    for one in chain:
        for holder in (one, getattr(one, "response", None)):
            for name in ("litellm_response_headers", "headers"):
                headers: Any = getattr(holder, name, None)
                if headers:
                    return {str(key).lower(): str(value) for key, value in dict(headers).items()}
    return {}
