"""Microsoft Entra as it sends users to an external provider, and reads what comes back.

It was written from Microsoft's reference, and never met the real one: what it sends and demands is
what that reference says.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import RSAKey

from app.models import EntraCloud
from app.services.audit import OPERATOR
from app.services.entra_settings import EntraSettings
from tests.actors import Browser, Reply, keep_secret
from tests.conftest import Harbor

APP_ID = "600b719b-3766-4dc5-95a6-3c4a8dc31885"
TENANT = "14c2f153-90a7-4689-9db7-9543bf084dad"
OTHER_TENANT = "9122040d-6c67-4c5b-b112-36a304b66dad"
OID = "951ddb04-b16d-45f3-bbf7-b0fa18fa7aee"
SUB = "mBfcvuhSHkDWVgV72x2ruIYdSsPSvcj2R0qfc6mGEAA"
REDIRECT_URI = "https://login.microsoftonline.com/common/federation/externalauthprovider"
AMR = [
    *("face", "fido", "fpt", "hwk", "iris", "otp", "pop"),
    *("retina", "sc", "sms", "swk", "tel", "vbm"),
]


@cache
def microsoft_key(name: str = "microsoft") -> rsa.RSAPrivateKey:
    """Return a private key of Microsoft's, or of whoever has this name."""
    return rsa.generate_private_key(65537, 2048)


def public_key(name: str = "microsoft") -> dict[str, Any]:
    """Return how Microsoft publishes it: without `alg`, and with whose tokens it signs."""
    whole = RSAKey.import_key(microsoft_key(name)).as_dict(private=False)
    return {
        "kty": "RSA",
        "use": "sig",
        "kid": f"kid-of-{name}",
        "n": whole["n"],
        "e": whole["e"],
        "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0",
    }


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Entra:
    """A directory of Microsoft Entra, and its connection to the gateway."""

    harbor: Harbor
    connection_id: str
    client_id: str
    sent: dict[str, str] = field(default_factory=dict)
    hints: int = 0

    @property
    def issuer(self) -> str:
        return f"{self.harbor.base_url}/entra/{self.connection_id}"

    # What it reads

    def metadata(self) -> dict[str, Any]:
        reply = self._gets(f"{self.issuer}/.well-known/openid-configuration")
        return dict(reply.json)

    def published(self) -> list[dict[str, Any]]:
        return list(self._gets(self.metadata()["jwks_uri"]).json["keys"])

    def _gets(self, address: str) -> Reply:
        reply = self.harbor.wire.request("GET", address.removeprefix(self.harbor.base_url))
        assert reply.status == 200, reply.text
        assert reply.headers["content-type"] == "application/json"
        assert "content-length" in reply.headers
        assert "transfer-encoding" not in reply.headers
        return reply

    # What it sends

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Return what it says of a user, in a hint that is expired as soon as it is made."""
        now = int(self.harbor.clock.now().timestamp())
        self.hints += 1
        claims = {
            "ver": "2.0",
            "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "sub": SUB,
            "aud": APP_ID,
            "exp": now - 1,
            "iat": now,
            "nbf": now,
            "name": "Ada Lindqvist",
            "preferred_username": "ada@harbor.example",
            "oid": OID,
            "tid": TENANT,
            "uti": f"hint-{self.hints}",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def hint(
        self, *, header: dict[str, Any] | None = None, key: str = "microsoft", **more: Any
    ) -> str:
        """Sign a hint."""
        head = {"typ": "JWT", "alg": "RS256", "kid": f"kid-of-{key}", **(header or {})}
        text = ".".join(encoded(json.dumps(part).encode()) for part in (head, self.claims(**more)))
        signature = microsoft_key(key).sign(text.encode(), padding.PKCS1v15(), SHA256())
        return keep_secret(f"{text}.{encoded(signature)}")

    def request(self, **changes: Any) -> dict[str, Any]:
        """Return the fields of its form; None leaves one out."""
        fields = {
            "scope": "openid",
            "response_type": "id_token",
            "response_mode": "form_post",
            "client_id": self.client_id,
            "redirect_uri": REDIRECT_URI,
            "nonce": "a nonce, of Entra's",
            "state": "a state, of Entra's",
            "claims": asked(),
            "client-request-id": "72826bb4-abb7-4221-b253-100f530b4b0a",
            **changes,
        }
        if "id_token_hint" not in fields:
            fields["id_token_hint"] = self.hint()
        return {name: value for name, value in fields.items() if value is not None}

    def sends(self, browser: Browser, **changes: Any) -> Reply:
        """Have a browser post the form from Microsoft's page, so that no cookie goes along."""
        self.sent = self.request(**changes)
        headers = {"Origin": "https://login.microsoftonline.com", "Sec-Fetch-Site": "cross-site"}
        path = f"/entra/{self.connection_id}/authorize"
        browser.reply = self.harbor.wire.request("POST", path, data=self.sent, headers=headers)
        browser.path = path
        if browser.reply.status == 303:
            browser.goes_to(browser.reply.location)
        return browser.reply

    def visits(self, **changes: Any) -> Browser:
        """Send a user here in a new browser."""
        browser = self.harbor.browser()
        self.sends(browser, **changes)
        return browser

    # What it gets

    def answered(self, browser: Browser) -> dict[str, str]:
        """Return the fields of the form that a browser has to post to it."""
        if browser.reply.status == 303:
            browser.goes_to(browser.reply.location)
        assert browser.reply.status == 200, browser.reply.text
        [form] = browser.page.forms
        assert form["action"] == REDIRECT_URI
        assert (
            "form-action 'self' https://login.microsoftonline.com"
            in (browser.reply.headers["content-security-policy"])
        )
        fields: dict[str, str] = form["fields"]
        if "id_token" in fields:
            keep_secret(fields["id_token"])
        return fields

    def accepts(self, browser: Browser) -> dict[str, Any]:
        """Check an answer as the reference says that Entra does; return what the token says."""
        fields = self.answered(browser)
        assert set(fields) == {"id_token", "state"}, fields
        assert fields["state"] == self.sent["state"]
        header, claims = self.verified(fields["id_token"])
        assert header["typ"] == "JWT"
        now = self.harbor.clock.now().timestamp()
        assert claims["iss"] == self.issuer == self.metadata()["issuer"]
        assert claims["aud"] == self.client_id
        assert claims["iat"] <= now < claims["exp"]
        [_, body, _] = self.sent["id_token_hint"].split(".")
        assert claims["sub"] == json.loads(decoded(body))["sub"]
        assert claims["nonce"] == self.sent["nonce"]
        wanted = json.loads(self.sent["claims"])["id_token"]
        assert claims["acr"] in wanted["acr"]["values"]
        [method] = claims["amr"]
        assert method in wanted["amr"]["values"]
        return claims

    def refuses(self, browser: Browser) -> str:
        """Return the error of an answer."""
        fields = self.answered(browser)
        assert set(fields) == {"error", "state"}, fields
        assert fields["state"] == self.sent["state"]
        return fields["error"]

    def verified(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Check a signature with the certificate that its `kid` names, and nothing else."""
        head, body, signature = token.split(".")
        header = json.loads(decoded(head))
        assert header["alg"] == "RS256"
        [key] = [key for key in self.published() if key["kid"] == header["kid"]]
        certificate = certificate_of(key)
        public = certificate.public_key()
        assert isinstance(public, rsa.RSAPublicKey)
        public.verify(decoded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), SHA256())
        return header, json.loads(decoded(body))


def certificate_of(key: dict[str, Any]) -> x509.Certificate:
    """Return the certificate that a published key has."""
    [encoded_der] = key["x5c"]
    der = base64.b64decode(encoded_der)
    assert decoded(key["x5t"]) == hashlib.sha1(der).digest()  # noqa: S324 (what the field is)
    return x509.load_der_x509_certificate(der)


def asked(*acr: str, amr: list[str] | None = None) -> str:
    """Return the claims that Entra asks for."""
    classes = list(acr) or ["possessionorinherence"]
    wanted = {
        "acr": {"essential": True, "values": classes},
        "amr": {"essential": True, "values": AMR if amr is None else amr},
    }
    return json.dumps({"id_token": wanted})


def connected(harbor: Harbor, *, name: str = "Microsoft Entra", **settings: Any) -> Entra:
    """Connect a directory to Harbor."""
    pinned = json.dumps({"keys": [public_key()]})
    wanted = EntraSettings(
        **{
            "app_id": APP_ID,
            "tenant_ids": [TENANT],
            "cloud": EntraCloud.GLOBAL,
            "pinned_keys": pinned,
            **settings,
        }
    )
    with harbor.services.database.writing() as tx:
        made = harbor.services.entra_connections.create(
            tx, OPERATOR, harbor.organization, name=name, settings=wanted
        )
        return Entra(harbor, str(made.id), made.application.client_id)


def tricky() -> Iterator[str]:
    """Yield values that come back altered from whoever is careless with them."""
    yield "quotes ' and \" and `"
    yield "a+b c%2Bd %20 &amp; &lt;"
    yield "<script>alert(1)</script>"
    yield "naïve 日本語 🔐"
    yield "=&;#?/\\"
    yield " spaces around "
    yield "x" * 4096
    yield "é" * 2048
