"""A small OpenID provider on this machine: discovery, authorization code with PKCE, signed tokens, keys.

Follows OpenID Connect Core 1.0 (section 3.1) and Discovery 1.0, RFC 7636 for PKCE. Who logs in is chosen by a form.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey


@dataclass
class Provider:
    """What the provider knows, and what went through it."""

    users: dict[str, dict[str, Any]]
    """Claims by subject."""
    client_id: str = "bakeoff"
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    base: str = ""
    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048, parameters={"kid": "k1"}))
    forger: Any = None
    """Another key that signs the tokens while the published one stays: an attacker."""
    claims: dict[str, Any] = field(default_factory=dict)
    """Claims that replace those of the token: another audience, an old expiry."""
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@contextmanager
def provider(users: dict[str, dict[str, Any]]) -> Iterator[Provider]:
    """Run a provider on a free port of 127.0.0.1."""
    known = Provider(users)

    class Handler(_Handler):
        about = known

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    about: Provider

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        target = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(target.query).items()}
        self.about.asked.append(target.path)
        base = self.about.base
        if target.path == "/.well-known/openid-configuration":
            self._json(
                {
                    "issuer": base, "authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token",
                    "jwks_uri": f"{base}/jwks", "userinfo_endpoint": f"{base}/userinfo",
                    "response_types_supported": ["code"], "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"], "code_challenge_methods_supported": ["S256"],
                    "scopes_supported": ["openid", "email", "profile"],
                }
            )  # fmt: skip
        elif target.path == "/jwks":
            self._json({"keys": [self.about.key.as_dict(private=False)]})
        elif target.path == "/authorize":
            self._authorize(query)
        else:
            self._json({"error": "not_found"}, 404)

    def _authorize(self, query: dict[str, str]) -> None:
        """Ask who logs in; with `as`, give a code that can be used once."""
        problem = None
        if query.get("client_id") != self.about.client_id:
            problem = "unknown client"
        elif query.get("response_type") != "code" or "openid" not in query.get("scope", "").split():
            problem = "not an authentication request"
        elif query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
            problem = "PKCE is required"
        if problem:
            self.about.refused.append(problem)
            self._json({"error": "invalid_request", "error_description": problem}, 400)
            return
        subject = query.pop("as", None)
        if subject is None:
            links = "".join(
                f'<p><a href="/authorize?{html.escape(urlencode({**query, "as": s}))}">{html.escape(s)}</a></p>'
                for s in self.about.users
            )
            self._send(f"<h1>Who are you?</h1>{links}".encode(), "text/html; charset=utf-8")
            return
        code = secrets.token_urlsafe(24)
        self.about.codes[code] = {**query, "sub": subject}
        self.send_response(302)
        self.send_header("Location", f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        form = {key: values[0] for key, values in parse_qs(body).items()}
        self.about.asked.append(urlsplit(self.path).path)
        problem = self._wrong(form)
        if problem:
            self.about.refused.append(problem)
            self._json({"error": "invalid_grant", "error_description": problem}, 400)
            return
        asked = self.about.codes.pop(form["code"])
        now = int(time.time())
        claims = {
            "iss": self.about.base, "aud": self.about.client_id, "sub": asked["sub"], "iat": now, "exp": now + 600,
            **({"nonce": asked["nonce"]} if "nonce" in asked else {}), **self.about.users[asked["sub"]],
            **self.about.claims,
        }  # fmt: skip
        token = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.about.forger or self.about.key)
        self._json(
            {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 600, "id_token": token}
        )

    def _wrong(self, form: dict[str, str]) -> str | None:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        kind, _, value = (self.headers.get("Authorization") or "").partition(" ")
        if kind == "Basic":
            name, _, secret = base64.b64decode(value).decode().partition(":")
        if (unquote(name), unquote(secret)) != (self.about.client_id, self.about.client_secret):
            return "the client is not who it says"
        asked = self.about.codes.get(form.get("code", ""))
        if form.get("grant_type") != "authorization_code" or asked is None:
            return "the code is not known, or was used"
        if form.get("redirect_uri") != asked["redirect_uri"]:
            return "another redirect_uri than was asked with"
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            return "PKCE: the verifier does not fit"
        return None

    def _json(self, data: object, status: int = 200) -> None:
        self._send(json.dumps(data).encode(), "application/json", status)

    def _send(self, content: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
