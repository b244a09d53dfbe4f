"""A relying party that speaks OpenID Connect, through the front door alone."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from app.models import ClientAuth, Door, Environment
from app.services.audit import OPERATOR
from app.services.oidc_clients import OidcSettings
from tests import actors
from tests.actors import Browser, Reply
from tests.conftest import BASE_URL, Harbor

BACK = "https://shop.example/back"
KEY = ECKey.generate_key("P-256", {"kid": "shop"})
ADA = "ada@harbor.example"
PREFIX = "urn:ietf:params:oauth:request_uri:"


def keys() -> str:
    return json.dumps({"keys": [KEY.as_dict(private=False)]})


@dataclass
class Party:
    """The Shop, which sends Ada here to be confirmed."""

    harbor: Harbor
    client_id: str
    secret: str
    redirect_uri: str = BACK
    issuer: str = BASE_URL
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def basic(self) -> dict[str, str]:
        pair = base64.b64encode(f"{quote(self.client_id)}:{quote(self.secret)}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def wishes(self, **more: Any) -> dict[str, Any]:
        """Return the parameters of a request; None leaves one out."""
        base = {
            "client_id": self.client_id,
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": self.redirect_uri,
            "state": "xyz",
            "nonce": "n-1",
            "login_hint": ADA,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**base, **more}.items() if value is not None}

    def posts(self, path: str, *, headers: dict[str, str] | None = None, **form: Any) -> Reply:
        given = self.basic() if headers is None else headers
        return self.harbor.wire.request("POST", path, headers=given, data=form)

    def pushes(self, **more: Any) -> Reply:
        return self.posts("/oidc/par", **self.wishes(**more))

    def pushed(self, **more: Any) -> str:
        """Push a request, and return the address for the browser."""
        reply = self.pushes(**more)
        assert reply.status == 201, reply.text
        actors.keep_secret(reply.json["request_uri"].removeprefix(PREFIX))
        return self.address(request_uri=reply.json["request_uri"])

    def address(self, **parameters: Any) -> str:
        query = {"client_id": self.client_id, **parameters}
        return f"/oidc/authorize?{urlencode(query, quote_via=quote)}"

    def plain(self, **more: Any) -> str:
        """Return the address of a request that is neither pushed nor signed."""
        return self.address(**self.wishes(**more))

    def object(self, header: dict[str, Any] | None = None, key: Any = KEY, **more: Any) -> str:
        """Sign a request (RFC 9101)."""
        now = int(self.harbor.clock.now().timestamp())
        claims = {
            "iss": self.client_id,
            "aud": self.issuer,
            "exp": now + 300,
            "jti": secrets.token_hex(8),
            **self.wishes(),
            **more,
        }
        made = {"alg": "ES256", "typ": "oauth-authz-req+jwt", **(header or {})}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(made, claims, key, algorithms=[made["alg"]])

    def assertion(self, header: dict[str, Any] | None = None, key: Any = KEY, **more: Any) -> str:
        """Sign an assertion (RFC 7523)."""
        now = int(self.harbor.clock.now().timestamp())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "exp": now + 60,
            "jti": secrets.token_hex(8),
            **more,
        }
        made = {"alg": "ES256", **(header or {})}
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(made, claims, key, algorithms=[made["alg"]])

    def exchanges(self, code: str, **more: Any) -> Reply:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            **more,
        }
        form = {name: value for name, value in form.items() if value is not None}
        return self.posts("/oidc/token", **form)

    def gets(self, code: str, **more: Any) -> dict[str, Any]:
        """Exchange a code, and return the claims of the checked ID token."""
        reply = self.exchanges(code, **more)
        assert reply.status == 200, reply.text
        actors.keep_secret(reply.json["access_token"])
        return self.checks(reply.json["id_token"])

    def checks(self, token: str) -> dict[str, Any]:
        published = self.harbor.wire.request("GET", "/.well-known/jwks.json").json
        found = jwt.decode(token, KeySet.import_key_set(published), algorithms=["RS256"])
        assert found.header["typ"] == "JWT"
        assert found.header["kid"]
        assert found.claims["iss"] == self.issuer
        assert found.claims["aud"] == self.client_id
        return found.claims

    def registers(self, **changes: Any) -> None:
        """Change how this client is registered."""
        services = self.harbor.services
        with services.database.writing() as tx:
            client = services.oidc_clients.find(tx, self.client_id)
            assert client is not None
            for name, value in changes.items():
                setattr(client, name, value)


def party(
    harbor: Harbor,
    *,
    environment: Environment = Environment.SANDBOX,
    name: str = "Shop",
    base_url: str = BASE_URL,
    redirect_uri: str = BACK,
    creates_users: bool = False,
    **settings: Any,
) -> Party:
    """Register a relying party of this organization alone."""
    services = harbor.services
    with services.database.writing() as tx:
        application, secret = services.applications.create(
            tx,
            OPERATOR,
            environment=environment,
            name=name,
            redirect_uris=[redirect_uri],
            organizations=[harbor.organization],
            door=Door.OIDC,
            creates_users=creates_users,
        )
        services.oidc_clients.register(tx, application, OidcSettings(**settings))
    secret = actors.keep_secret(secret)
    return Party(harbor, application.client_id, secret, redirect_uri, base_url)


def by_key(harbor: Harbor, **settings: Any) -> Party:
    """Register one that signs."""
    return party(harbor, auth=ClientAuth.KEY, keys=keys(), **settings)


def back(browser: Browser) -> dict[str, str]:
    """Return what the browser brought back to the Shop; from there alone."""
    assert browser.reply.status == 303, (browser.reply.status, browser.page.text)
    parts = urlsplit(browser.reply.location)
    assert browser.reply.location.startswith(BACK), browser.reply.location
    fields = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "code" in fields:
        actors.keep_secret(fields["code"])
    return fields


def comes(harbor: Harbor, address: str) -> Browser:
    """Open a browser at an address."""
    browser = harbor.browser()
    browser.goes_to(address)
    return browser


def confirms(harbor: Harbor, shop: Party, **asked: Any) -> dict[str, str]:
    """Enroll Ada, send her, let her type her code, and return what comes back."""
    phone = harbor.enrolls()
    browser = comes(harbor, shop.pushed(**asked))
    assert browser.path.endswith("/verify"), browser.page.text
    browser.types(harbor.code(phone))
    return back(browser)
