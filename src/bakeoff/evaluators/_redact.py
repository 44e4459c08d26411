"""Make text safe to store and to show: bounded, printable, without secrets."""

from __future__ import annotations

import re

__all__ = ["SECRET_PATTERNS", "clean_text", "describe_error", "redact_secrets"]

_NO_PLACEHOLDER = (
    r"(?!\$?\{|(?-i:\$[A-Z][A-Z0-9_]{2,}\b)|[<%]|\*{3}|x{4}|\.{3}|\[redacted|your[_-]|getenv|getpass|input\("
    r"|(?:os|process|self|config|settings|request|secrets|st|args|env|import)[.\[]|(?:none|null|required|optional|str|string"
    r"|invalid|password|api_?key|placeholder|changeme)\b)"
)
"""What stands behind `password=` in code and manuals, and is none."""
SECRET_PATTERNS: dict[str, str] = {
    "private key": (
        r"(?:-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\bPuTTY-User-Key-File-\d"
        r"|\bAGE-SECRET-KEY-1[A-Z0-9]{50,})"
    ),
    "AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b",
    "GitLab token": r"\bgl(?:pat|rt|dt|oas|cbt|ptt|ft|agent|imt|soat)-[A-Za-z0-9_-]{20,}",
    "Slack token": r"\b(?:xox[abeoprs][-.][A-Za-z0-9.-]{10,}|xapp-\d-[A-Za-z0-9-]{20,})",
    "Google API key": r"\bAIza[0-9A-Za-z_-]{35}",
    "Google credential": r"\b(?:ya29\.[0-9A-Za-z_-]{20,}|GOCSPX-[0-9A-Za-z_-]{20,}|1//0[0-9A-Za-z_-]{40,})",
    "Stripe key": r"\b(?:[rs]k_(?:live|test)_[0-9A-Za-z]{16,}|whsec_[0-9A-Za-z+/]{24,})",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}",
    "npm token": r"\bnpm_[A-Za-z0-9]{36}",
    "PyPI token": r"\bpypi-AgE[A-Za-z0-9_-]{40,}",
    "SendGrid key": r"\bSG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,}",
    "DigitalOcean token": r"\bdo[opr]_v1_[a-f0-9]{64}",
    "Discord token": (
        r"\b(?:[MNO][A-Za-z0-9]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}"
        r"|discord(?:app)?\.com/api/webhooks/\d{15,21}/[A-Za-z0-9_-]{50,})"
    ),
    "Telegram token": r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])",
    "service key": (
        r"\b(?:shp(?:at|ca|pa|ss)_[a-f0-9]{32}|dapi[a-f0-9]{32}|hv[sbr]\.[A-Za-z0-9_-]{24,}|dckr_pat_[A-Za-z0-9_-]{20,}"
        r"|ATATT3[A-Za-z0-9_=-]{60,}|rubygems_[a-f0-9]{48}|glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}|PMAK-[a-f0-9]{24}-[a-f0-9]{34}"
        r"|figd_[A-Za-z0-9_-]{36,}|lin_api_[A-Za-z0-9]{32,}|ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43}(?![A-Za-z0-9_])"
        r"|sbp_[a-f0-9]{40}|sq0[a-z]{3}-[A-Za-z0-9_-]{22,}|tskey-[a-z]{2,12}-[A-Za-z0-9-]{20,}|lsv2_[a-z]{2}_[a-f0-9]{32}_[a-f0-9]{10}"
        r"|SK[a-f0-9]{32}|key-[a-f0-9]{32})\b"
    ),
    "Slack webhook": r"\bhooks\.slack\.com/services/T[A-Z0-9]{6,20}/B[A-Z0-9]{6,20}/[A-Za-z0-9]{16,}",
    "model provider key": (
        r"\b(?:sk-(?:[A-Za-z]{2,12}-)*[A-Za-z0-9_-]{16,}|(?:gsk_|xai-|pplx-|r8_|fw_|tvly-)[A-Za-z0-9]{20,}"
        r"|nvapi-[A-Za-z0-9_-]{40,})"
    ),
    "JSON web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "bearer token": r"(?i)\bbearer\s+(?!your[_-])[A-Za-z0-9._~+/-]{16,}=*",
    "password in a URL": r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,100}:(?!\$?\{|<|\*{3})[^\s/@]{1,200}@",
    "key in a URL": (
        r"(?i)[?&;](?:amp;)?(?:(?:api|access|auth|subscription)[_-]?)?(?:key|token|secret|sig|signature|x-(?:amz|goog)-signature)"
        r"=[A-Za-z0-9_%.~+/-]{12,500}"
    ),
    "basic credentials": r"(?i)\bauthorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?basic\s{1,3}[A-Za-z0-9+/]{12,}={0,2}",
    "assigned secret": (
        r"(?i)(?<![A-Za-z0-9])(?:(?:api|account|service|private|encryption|signing)[_-]?key|secret[_-]?(?:access[_-]?)?key"
        r"|(?:access|auth|api|refresh|bot)[_-]?token|(?:client|app|jwt|webhook)[_-]?secret|password|passwd|passwort|passphrase)"
        r"\b[\"'`]?\s{0,3}[:=]\s{0,3}[\"'`]?" + _NO_PLACEHOLDER + r"[^\s\"',;]{8,200}"
        r"|\b(?:secret|token|pwd)=[\"']?(?=[A-Za-z_+/-]{0,100}\d)[A-Za-z0-9_+/-]{12,200}"
        r"|\bpasswor[dt]\s{1,3}(?:is|was|ist|lautet)[:\s]{1,3}[\"'`]?(?=[A-Za-z!?$&*_-]{0,60}\d)[^\s\"'`]{6,200}"
    ),
}
"""Kinds of credentials and what they look like; every pattern runs in linear time."""

_SECRET = re.compile(
    "|".join(f"(?:{pattern.replace('(?i)', '')})" for pattern in SECRET_PATTERNS.values()), re.IGNORECASE
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def clean_text(text: str, limit: int = 500) -> str:
    r"""Cut text to `limit` characters and replace control characters and lone surrogates by U+FFFD.

    Examples:
        >>> clean_text("a" * 12, 10)
        'aaaaaaaaa…'
        >>> clean_text("red \x1b[31m")
        'red �[31m'
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isascii() and text.isprintable() else _UNPRINTABLE.sub("\ufffd", text)


def redact_secrets(text: str) -> str:
    """Replace whatever looks like a credential by `[redacted]`.

    Examples:
        >>> redact_secrets("got 401 for Authorization: Bearer abcdef0123456789abcdef")
        'got 401 for Authorization: [redacted]'
    """
    return _SECRET.sub("[redacted]", text)


def describe_error(error: BaseException, limit: int = 500) -> str:
    """Say in one bounded, redacted line what went wrong: `ValueError: ...`."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ of user code must not end the run
        message = "(its message cannot be shown)"
    message = " ".join(redact_secrets(message[: 8 * limit]).split())
    return clean_text(f"{type(error).__name__}: {message}" if message else type(error).__name__, limit)
