"""How the SDKs of Duo Universal ask: what each sends, to the letter, as read in its source.

Of Python 2.3.1, Node 3.0.1, Go 1.1.0, PHP 1.1.1, Java 1.3.2 and C# 1.3.1. The first is run as it
is, too (tests/browser/test_duo.py).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlencode

BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LETTERS = string.ascii_letters + string.digits
Claims = dict[str, Any]


def signed(claims: Claims | bytes, secret: str, header: Claims | None = None) -> str:
    """Sign by HMAC-SHA-512 (RFC 7515), by the standard library alone."""
    head = json.dumps(header or {"typ": "JWT", "alg": "HS512"}).encode()
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    text = f"{encoded(head)}.{encoded(body)}"
    return f"{text}.{encoded(hmac.digest(secret.encode(), text.encode(), hashlib.sha512))}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def random(length: int = 36) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


@dataclass(frozen=True)
class Setting:
    """What somebody configures an SDK with."""

    client_id: str
    secret: str = field(repr=False)
    base_url: str
    redirect_uri: str
    duo_code: bool
    now: float


def _assertion(on: Setting, call: str) -> Claims:
    return {
        "iss": on.client_id,
        "sub": on.client_id,
        "aud": f"{on.base_url}/oauth/v1/{call}",
        "exp": int(on.now) + 300,
        "jti": random(),
    }


def _python_assertion(on: Setting, call: str) -> Claims:
    return {**_assertion(on, call), "exp": on.now + 300.25}


def _dated_assertion(on: Setting, call: str) -> Claims:
    """Node and PHP say when it was signed."""
    return {**_assertion(on, call), "iat": int(on.now)}


def _java_assertion(on: Setting, call: str) -> Claims:
    return {**_assertion(on, call), "exp": int(on.now) + 3600, "jti": random(32)}


def _csharp_assertion(on: Setting, call: str) -> Claims:
    """It keeps all claims as text, the moment, too."""
    return {**_assertion(on, call), "exp": str(int(on.now) + 300)}


def _request(on: Setting, name: str, state: str) -> Claims:
    return {
        "scope": "openid",
        "redirect_uri": on.redirect_uri,
        "client_id": on.client_id,
        "iss": on.client_id,
        "aud": on.base_url,
        "exp": int(on.now) + 300,
        "state": state,
        "response_type": "code",
        "duo_uname": name,
        "use_duo_code_attribute": on.duo_code,
    }


def _python_request(on: Setting, name: str, state: str) -> Claims:
    return {**_request(on, name, state), "exp": on.now + 300.25}


def _java_request(on: Setting, name: str, state: str) -> Claims:
    """It says neither who asks nor whom, and is good for an hour."""
    claims = {**_request(on, name, state), "exp": int(on.now) + 3600}
    return {key: value for key, value in claims.items() if key not in {"iss", "aud"}}


def _csharp_request(on: Setting, name: str, state: str) -> Claims:
    claims = {
        **_request(on, name, state),
        "aud": f"{on.base_url}/oauth/v1/authorize",
        "exp": str(int(on.now) + 300),
        "jti": random(),
    }
    del claims["use_duo_code_attribute"]
    return {**claims, "use_duo_code_attribute": "true"} if on.duo_code else claims


Fields = dict[str, str]
Sent = tuple[str, dict[str, str], bytes | None]
"""The query, headers, and the body."""


def _form(fields: Fields) -> Sent:
    body = urlencode(fields).encode()
    return "", {"Content-Type": "application/x-www-form-urlencoded"}, body


def _query(fields: Fields) -> Sent:
    return f"?{urlencode(fields)}", {"Content-Length": "0"}, b""


def _multipart(fields: Fields) -> Sent:
    """What curl makes of an array."""
    boundary = "------------------------d74496d66958873e"
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return "", headers, f"{parts}--{boundary}--\r\n".encode()


@dataclass(frozen=True)
class Sdk:
    """What tells one SDK from the others.

    Attributes:
        outside: names that stand beside the signed request, in its order.
        named: whether the exchange says who asks.
    """

    name: str
    outside: tuple[str, ...]
    header: Claims = field(default_factory=lambda: {"typ": "JWT", "alg": "HS512"})
    assertion: Callable[[Setting, str], Claims] = _assertion
    request: Callable[[Setting, str, str], Claims] = _request
    health: Callable[[Fields], Sent] = _form
    exchange: Callable[[Fields], Sent] = _form
    named: bool = True

    def checks_health(self, on: Setting) -> Sent:
        assertion = signed(self.assertion(on, "health_check"), on.secret, self.header)
        return self.health({"client_id": on.client_id, "client_assertion": assertion})

    def sends(self, on: Setting, name: str, state: str) -> str:
        """Return the address for the browser, below the gateway's own."""
        values = {
            "response_type": "code",
            "client_id": on.client_id,
            "redirect_uri": on.redirect_uri,
            "scope": "openid",
            "request": signed(self.request(on, name, state), on.secret, self.header),
        }
        query = "&".join(f"{key}={quote_plus(values[key])}" for key in self.outside)
        return f"/oauth/v1/authorize?{query}"

    def exchanges(self, on: Setting, code: str) -> Sent:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": on.redirect_uri,
            "client_id": on.client_id,
            "client_assertion_type": BEARER,
            "client_assertion": signed(self.assertion(on, "token"), on.secret, self.header),
        }
        if not self.named:
            del fields["client_id"]
        return self.exchange(fields)


PYTHON = Sdk(
    "python",
    ("response_type", "client_id", "request"),
    assertion=_python_assertion,
    request=_python_request,
    exchange=_query,
)
NODE = Sdk(
    "node",
    ("response_type", "client_id", "request", "redirect_uri", "scope"),
    header={"alg": "HS512"},
    assertion=_dated_assertion,
)
GO = Sdk("go", ("client_id", "request", "response_type"))
PHP = Sdk(
    "php",
    ("response_type", "client_id", "scope", "redirect_uri", "request"),
    assertion=_dated_assertion,
    health=_multipart,
    exchange=_multipart,
)
JAVA = Sdk(
    "java",
    ("scope", "response_type", "redirect_uri", "client_id", "request"),
    assertion=_java_assertion,
    request=_java_request,
    named=False,
)
CSHARP = Sdk(
    "csharp",
    ("client_id", "request", "response_type"),
    assertion=_csharp_assertion,
    request=_csharp_request,
)
SDKS = (PYTHON, NODE, GO, PHP, JAVA, CSHARP)
