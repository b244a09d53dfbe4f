"""What a Duo client signs: its assertions, and its requests; judged here, each used once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.config import Config
from app.errors import Refusal
from app.models import DuoClient
from app.services.duo_clients import DuoClients
from app.services.seen_tokens import SeenTokens

LONGEST = timedelta(hours=1)
"""So long a token may be good; the SDK for Java signs for that long, the others for minutes."""
LEEWAY = timedelta(seconds=60)
"""For clocks that differ, both ways."""
PATH = "/oauth/v1"
_DIGITS = re.compile(r"[0-9]{1,12}")
_STATE = (16, 1024)
_MOST_NAME = 255
_TRUTHS: Mapping[object, bool] = {True: True, "true": True, False: False, "false": False}


@dataclass(frozen=True, kw_only=True)
class Proved:
    """A client that proved itself, and the secret by which it did, which signs its answer."""

    client: DuoClient
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a client asks, as it signed it.

    Attributes:
        mark: what tells this request from every other one of the client.
        until: when it is not taken any more.
        name: of the user, as the application spells it.
        duo_code: whether the code is to come back by the name `duo_code`.
    """

    client: DuoClient
    mark: str
    until: datetime
    redirect_uri: str
    state: str
    name: str
    duo_code: bool


class DuoTokens:
    """Judges what Duo clients sign: by HS512 and nothing else, whatever a header says."""

    def __init__(
        self, config: Config, clock: Clock, clients: DuoClients, seen_tokens: SeenTokens
    ) -> None:
        self._base_url = config.base_url
        self._clock = clock
        self._clients = clients
        self._seen = seen_tokens

    def prove(self, tx: Session, *, call: str, client_id: str, assertion: str) -> Proved:
        """Return the client whose assertion for this call this is, and use the assertion up.

        Args:
            call: the last part of the address that was called.
            client_id: as the call names it; empty if it doesn't, as that of Java.

        Raises:
            Refusal: `invalid_client`.
        """
        client_id = client_id or _subject(assertion)
        proved, claims = self._signed(tx, client_id, assertion)
        audience = f"{self._base_url}{PATH}/{call}"
        if claims.get("iss") != client_id or claims.get("sub") != client_id:
            raise _bad_client("iss and sub have to be the client's id.")
        if claims.get("aud") != audience:
            raise _bad_client(f"aud has to be {audience}.")
        until, token_id = self._until(claims, _bad_client), claims.get("jti")
        if not isinstance(token_id, str) or not token_id:
            raise _bad_client("jti is missing.")
        scope = f"duo assertion {proved.client.application_id}"
        if not self._seen.use(tx, scope, token_id, until=until):
            raise _bad_client("The assertion was used before.")
        return proved

    def request(self, tx: Session, *, client_id: str, token: str) -> Request:
        """Return what a client asks by a signed request, which is not used up by that.

        Raises:
            Refusal: `invalid_client` or `invalid_request`.
        """
        proved, claims = self._signed(tx, client_id or _named(token), token)
        client = proved.client
        self._check_request(client, claims)
        application, redirect_uri = client.application, claims.get("redirect_uri")
        if redirect_uri not in application.redirect_uris:
            raise _bad_request("redirect_uri is not one of the client's, letter by letter.")
        return Request(
            client=client,
            # Without the signature, whose last character may be spelled in several ways.
            mark=token.rpartition(".")[0],
            until=self._until(claims, _bad_request),
            redirect_uri=redirect_uri,
            state=_state(claims.get("state")),
            name=_name(claims.get("duo_uname")),
            duo_code=_wants_duo_code(claims.get("use_duo_code_attribute")),
        )

    def use_up(self, tx: Session, request: Request) -> None:
        """Let a request count, in the transaction of what it asks, and never again.

        Raises:
            Refusal: `request_used`.
        """
        scope = f"duo request {request.client.application_id}"
        if not self._seen.use(tx, scope, request.mark, until=request.until):
            raise Refusal(
                "request_used",
                "This request was used before. Go back to the application and sign in again.",
                status=400,
            )

    def _signed(self, tx: Session, client_id: str, token: str) -> tuple[Proved, jose.Claims]:
        client = self._clients.find(tx, client_id)
        for secret in self._clients.secrets(client) if client else ():
            try:
                claims = jose.verify_shared(token, secret=secret)
            except jose.BadToken:
                continue
            if client is not None:
                return Proved(client=client, secret=secret), claims
        raise _bad_client("The client is unknown, or the token is not signed with its secret.")

    def _check_request(self, client: DuoClient, claims: jose.Claims) -> None:
        """Demand that a request is the client's own; some SDKs name neither issuer nor audience."""
        audiences = (None, self._base_url, f"{self._base_url}{PATH}/authorize")
        if claims.get("client_id") != client.client_id:
            raise _bad_request("client_id has to be the same inside the request as outside.")
        if claims.get("iss", client.client_id) != client.client_id:
            raise _bad_request("iss has to be the client's id.")
        if claims.get("aud") not in audiences:
            raise _bad_request(f"aud has to be {self._base_url}.")
        if claims.get("response_type") != "code" or claims.get("scope") != "openid":
            raise _bad_request("response_type has to be code, and scope openid.")
        if claims.get("audience_for_saml_response") is not None:
            raise _bad_request("audience_for_saml_response: SAML answers are not given here.")

    def _until(self, claims: jose.Claims, refused: Callable[[str], Refusal]) -> datetime:
        """Return until when a token is taken, leeway included.

        Raises:
            Refusal: it says nothing of that, is over, or would be good for too long.
        """
        seconds = _number(claims.get("exp"))
        if seconds is None:
            raise refused("exp is missing, or is no moment.")
        now = self._clock.now()
        if seconds > (now + LONGEST + LEEWAY).timestamp():
            raise refused("exp is more than an hour ahead.")
        if seconds <= (now - LEEWAY).timestamp():
            raise refused("It is over: exp has passed.")
        return datetime.fromtimestamp(seconds, UTC) + LEEWAY


def _number(value: object) -> float | None:
    """Return a moment in seconds: a number, of which Python sends a fraction, and C# the digits."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _state(value: object) -> str:
    least, most = _STATE
    if isinstance(value, str) and least <= len(value) <= most and _is_text(value):
        return value
    raise _bad_request(f"state has to be {least} to {most:,} characters.")


def _name(value: object) -> str:
    if isinstance(value, str) and 1 <= len(value) <= _MOST_NAME and value.isprintable():
        return value
    raise _bad_request(f"duo_uname has to be 1 to {_MOST_NAME} printable characters.")


def _wants_duo_code(value: object) -> bool:
    if value is None:
        return False
    if isinstance(value, str | bool) and value in _TRUTHS:
        return _TRUTHS[value]
    raise _bad_request("use_duo_code_attribute has to be true or false.")


def _is_text(value: str) -> bool:
    """Tell whether this can be given back as it came."""
    half = any(0xD800 <= ord(mark) <= 0xDFFF for mark in value)
    return not half and not any(ord(mark) < 32 or ord(mark) == 127 for mark in value)


def _subject(assertion: str) -> str:
    return _said(assertion, "sub")


def _named(token: str) -> str:
    return _said(token, "client_id")


def _said(token: str, name: str) -> str:
    """Return whose token it says it is: no more than where to look for the secret."""
    try:
        found = jose.unproven(token).get(name)
    except jose.BadToken:
        return ""
    return found if isinstance(found, str) else ""


def _bad_client(detail: str) -> Refusal:
    return Refusal("invalid_client", detail, status=401)


def _bad_request(detail: str) -> Refusal:
    return Refusal("invalid_request", detail, status=400)
