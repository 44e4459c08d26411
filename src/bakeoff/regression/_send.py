"""One attempt to send a notice. Errors come back as text that holds no secret."""

from __future__ import annotations

import http.client
import json
import smtplib
import ssl
import subprocess
import time
from dataclasses import asdict
from email.message import EmailMessage
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from bakeoff._version import version

if TYPE_CHECKING:
    from bakeoff.regression._notify import Channel, Notice

__all__ = ["send"]

_MAX_SLACK = 3000


class _Sign(Protocol):
    def __call__(self, body: bytes, secret: str, *, at: float) -> str: ...


def send(channel: Channel, notice: Notice, text: str, *, sign: _Sign) -> str | None:
    """Send a notice once.

    Args:
        channel: Where to.
        notice: What.
        text: The notice in words, by the channel's template.
        sign: Makes the signature header of a webhook.

    Returns:
        What went wrong; `None` when it arrived.
    """
    if channel.kind == "email":
        return _mail(channel, notice, text)
    if channel.kind == "command":
        return _command(channel, notice, text)
    return _post(channel, notice, text, sign)


def _post(channel: Channel, notice: Notice, text: str, sign: _Sign) -> str | None:
    url = channel.url or channel.secret(channel.url_env) or ""
    headers = {"Content-Type": "application/json", "User-Agent": f"bakeoff/{version()}"}
    if channel.kind == "slack":
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        body = json.dumps({"text": escaped[:_MAX_SLACK]}).encode()
    else:
        body = json.dumps({**asdict(notice), "rendered": text}, default=str).encode()
        headers["Idempotency-Key"] = notice.key.encode("ascii", "replace").decode()
        secret = channel.secret(channel.secret_env)
        if secret is not None:
            headers["X-Bakeoff-Signature"] = sign(body, secret, at=time.time())
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "the address is no http(s) URL"
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname, parts.port, timeout=channel.timeout_s)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body=body, headers=headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{parts.hostname} cannot be reached: {type(error).__name__}"
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"{parts.hostname} answered {status}"


def _mail(channel: Channel, notice: Notice, text: str) -> str | None:
    message = EmailMessage()
    message["Subject"] = " ".join(f"[bakeoff] {notice.title}".split())[:200]
    message["From"] = channel.sender or ""
    message["To"] = ", ".join(channel.to)
    message.set_content(text)
    user, password = channel.secret(channel.user_env), channel.secret(channel.password_env)
    host = channel.host or ""
    try:
        server: smtplib.SMTP
        if channel.security == "tls":
            server = smtplib.SMTP_SSL(
                host, channel.port, timeout=channel.timeout_s, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(host, channel.port, timeout=channel.timeout_s)
        with server:
            if channel.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if user is not None and password is not None:
                server.login(user, password)
            server.send_message(message)
    except smtplib.SMTPAuthenticationError:
        return f"{host} refused the user name or password"
    except (OSError, smtplib.SMTPException) as error:
        return f"{host} did not take the message: {type(error).__name__}"
    return None


def _command(channel: Channel, notice: Notice, text: str) -> str | None:
    body = json.dumps({**asdict(notice), "rendered": text}, default=str)
    try:
        done = subprocess.run(  # noqa: S603 - the user's own program, without a shell
            channel.command, input=body, text=True, capture_output=True, timeout=channel.timeout_s, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"{channel.command[0]!r} did not run: {type(error).__name__}"
    return None if done.returncode == 0 else f"{channel.command[0]!r} ended with {done.returncode}"
