"""Authorization requests: pushed, signed or plain, read in one order, whatever comes with them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import client_keys, jose
from app.clock import Clock
from app.config import Config
from app.crypto import Vault, new_token
from app.db import touched_one
from app.models import GatewaySession, OidcClient, PushedRequest, SessionStatus
from app.services.client_authentication import LEEWAY_SECONDS, audience_of, is_current
from app.services.oidc_clients import OidcClients
from app.services.oidc_parameters import Parameters, RequestRefused, Wishes, parsed, reply_of
from app.services.seen_tokens import SeenTokens

PREFIX = "urn:ietf:params:oauth:request_uri:"
PUSHED_FOR = timedelta(seconds=90)
"""So long a browser may take to come with a pushed request."""
PARKED_FOR = timedelta(minutes=15)
_LONGEST = timedelta(minutes=10)
_REFERENCE, _BROWSER = "pushed request", "pushed request browser"
_TYPES = {None, "JWT", "oauth-authz-req+jwt"}
_MOST_ID = 255

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """An authorization request that can be granted, as far as its parameters go.

    Attributes:
        parameters: as asked, without anything that only wrapped them.
        authenticated: whether the client asks so for sure, and not whoever holds the browser.
        row: where it waits, if it does.
    """

    client: OidcClient
    wishes: Wishes
    parameters: dict[str, str]
    authenticated: bool
    row: PushedRequest | None = None


@dataclass(frozen=True, kw_only=True)
class Parked:
    """A request that waits, and the secret by which it is found."""

    row: PushedRequest
    secret: str = field(repr=False)


class OidcRequests:
    """Reads requests, and keeps those that wait for their browser."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        vault: Vault,
        oidc_clients: OidcClients,
        seen_tokens: SeenTokens,
    ) -> None:
        self._issuer = config.base_url
        self._clock = clock
        self._vault = vault
        self._clients = oidc_clients
        self._seen = seen_tokens

    def read(self, tx: Session, pairs: Pairs) -> Request:
        """Return the request that a browser brings: first by reference, then signed, then plain.

        Of a pushed or a signed request nothing counts but what was pushed or signed.

        Raises:
            RequestRefused: it can't be granted.
        """
        given = _single(pairs)
        client = self._clients.find(tx, given.get("client_id", ""))
        if client is None:
            raise RequestRefused("invalid_client", "client_id: there is no such client.")
        if "request_uri" in given:
            return self._pushed(tx, client, given)
        if client.requires_pushed:
            told = "Push the request first: this client has to."
            raise RequestRefused("invalid_request", told, reply_of(client, given))
        return self._unwrapped(tx, client, given, pushed=False)

    def read_pushed(self, tx: Session, client: OidcClient, pairs: Pairs) -> Request:
        """Return the request that a client pushes, which has proved itself.

        Raises:
            RequestRefused: it can't be granted; told to the client.
        """
        given = _single(pairs)
        if "request_uri" in given:
            raise RequestRefused("invalid_request", "request_uri: push the request itself.")
        if given.get("client_id", client.application.client_id) != client.application.client_id:
            raise RequestRefused("invalid_request", "client_id: it is another client.")
        return self._unwrapped(tx, client, given, pushed=True)

    def _unwrapped(
        self, tx: Session, client: OidcClient, given: Parameters, *, pushed: bool
    ) -> Request:
        signed = "request" in given
        if signed:
            given = self._signed(tx, client, given["request"])
        elif client.requires_signed:
            told = "Sign the request: this client has to."
            raise RequestRefused("invalid_request", told, reply_of(client, given))
        return Request(
            client=client,
            wishes=parsed(client, given),
            parameters={**given},
            authenticated=pushed or signed,
        )

    # Signed requests (RFC 9101)

    def _signed(self, tx: Session, client: OidcClient, token: str) -> dict[str, str]:
        """Return what a request object asks; it is used up."""
        client_id = client.application.client_id
        try:
            claims = client_keys.verify(
                token, keys=client.keys, algorithm=client.algorithm, types=_TYPES
            )
        except jose.BadToken:
            raise _bad_object("it is not signed as this client registered.") from None
        self._check(claims, client_id)
        until = datetime.fromtimestamp(claims["exp"] + LEEWAY_SECONDS, UTC)
        used = self._seen.use(tx, f"oidc request {client_id}", claims["jti"], until=until)
        if not used:
            raise _bad_object("it was used before.")
        return {name: _text(value) for name, value in claims.items() if name not in _ENVELOPE}

    def _check(self, claims: jose.Claims, client_id: str) -> None:
        if claims.get("iss") != client_id or claims.get("client_id") != client_id:
            raise _bad_object("iss and client_id have to be the client.")
        if claims.get("sub") == client_id:
            raise _bad_object("it is an assertion of the client, and no request.")
        if self._issuer not in audience_of(claims):
            raise _bad_object("aud has to hold our issuer.")
        if not is_current(claims, self._clock.now(), longest=_LONGEST):
            raise _bad_object("exp has to be there, and at most 10 minutes ahead.")
        if not isinstance(claims.get("jti"), str) or not 1 <= len(claims["jti"]) <= _MOST_ID:
            raise _bad_object("jti is missing.")
        if {"request", "request_uri"} & claims.keys():
            raise _bad_object("it holds another request.")

    # Requests that wait (RFC 9126)

    def keep(
        self, tx: Session, request: Request, *, lasts: timedelta, internal: str | None = None
    ) -> Parked:
        """Let a request wait for its browser.

        Args:
            internal: a page of ours that the answer may come back to.
        """
        secret, now = new_token(), self._clock.now()
        row = PushedRequest(
            id=uuid.uuid4(),
            application_id=request.client.application_id,
            reference_hash=self._vault.hash(secret, purpose=_REFERENCE),
            parameters={
                "asked": request.parameters,
                "authenticated": request.authenticated,
                "internal": internal,
            },
            created_at=now,
            expires_at=now + lasts,
        )
        tx.execute(sa.delete(PushedRequest).where(PushedRequest.expires_at < now - PARKED_FOR))
        tx.add(row)
        tx.flush()
        return Parked(row=row, secret=secret)

    def bind(self, tx: Session, row: PushedRequest) -> str | None:
        """Bind a request to the browser that comes first; return the secret for its cookie.

        None for every other browser, also of several that come at once.
        """
        secret = new_token()
        bind = (
            sa.update(PushedRequest)
            .where(PushedRequest.id == row.id, PushedRequest.browser_hash.is_(None))
            .values(browser_hash=self._vault.hash(secret, purpose=_BROWSER))
        )
        return secret if touched_one(tx, bind) else None

    def is_bound(self, row: PushedRequest, secret: str) -> bool:
        """Tell whether this is the browser that a request is bound to."""
        matches = self._vault.matches(secret, row.browser_hash, purpose=_BROWSER)
        return bool(secret) and row.browser_hash is not None and matches

    def session_of(self, tx: Session, row: PushedRequest) -> GatewaySession | None:
        """Return the session that a request opened, as long as it is under way.

        Raises:
            RequestRefused: it is over, and so is the request.
        """
        if row.gateway_session_id is None:
            return None
        session = tx.get_one(GatewaySession, row.gateway_session_id)
        if session.status_at(self._clock.now()) is not SessionStatus.PENDING:
            raise _over()
        return session

    def parked(self, tx: Session, row_id: uuid.UUID, secret: str) -> Request:
        """Return the request that waits for this browser's user to be named.

        Raises:
            RequestRefused: there is none.
        """
        row = tx.get(PushedRequest, row_id)
        if row is None or not self.is_bound(row, secret):
            raise _over()
        client = self._clients.find(tx, str(row.application_id))
        if client is None or self._clock.now() >= row.created_at + PARKED_FOR:
            raise _over()
        return self._waiting(client, row)

    def _pushed(self, tx: Session, client: OidcClient, given: Parameters) -> Request:
        """Return what a client pushed before; what else the browser brings is ignored."""
        reference = given["request_uri"]
        if not reference.startswith(PREFIX):
            raise RequestRefused("invalid_request_uri", "request_uri: it is none of ours.")
        secret = reference.removeprefix(PREFIX)
        hashes = self._vault.hashes(secret, purpose=_REFERENCE)
        found = tx.scalar(
            sa.select(PushedRequest).where(
                PushedRequest.reference_hash.in_(hashes),
                PushedRequest.application_id == client.application_id,
            )
        )
        if found is None:
            raise _over()
        late = self._clock.now() >= found.expires_at
        if late and found.browser_hash is None:
            raise _over()
        return self._waiting(client, found)

    def _waiting(self, client: OidcClient, row: PushedRequest) -> Request:
        kept = row.parameters
        return Request(
            client=client,
            wishes=parsed(client, kept["asked"], internal=kept["internal"]),
            parameters=kept["asked"],
            authenticated=kept["authenticated"],
            row=row,
        )


_ENVELOPE = {"iss", "aud", "exp", "iat", "nbf", "jti", "sub"}
"""Claims of a request object that say nothing of the request."""


def _single(pairs: Pairs) -> dict[str, str]:
    """Return each parameter, if none is there twice (RFC 6749 section 3.1); empty ones are not."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise RequestRefused("invalid_request", f"{_plain(name)}: it is there twice.")
        given[name] = value
    return {name: value for name, value in given.items() if value}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _bad_object(why: str) -> RequestRefused:
    return RequestRefused("invalid_request_object", f"request: {why}")


def _over() -> RequestRefused:
    told = "request_uri: it is unknown, was used, or is too old."
    return RequestRefused("invalid_request_uri", told)


def _plain(name: str) -> str:
    return name[:40] if name.isascii() and name.isidentifier() else "A parameter"
