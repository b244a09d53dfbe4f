"""Client authentication: who calls an endpoint of OpenID Connect, by the registered way alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from app import client_keys, jose
from app.clock import Clock
from app.config import Config
from app.errors import Refusal
from app.models import ClientAuth, Door, OidcClient
from app.services.applications import Applications
from app.services.oidc_clients import OidcClients
from app.services.seen_tokens import SeenTokens

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LEEWAY_SECONDS = 60
_LONGEST = timedelta(hours=1)
_MOST_ID = 255


@dataclass(frozen=True, kw_only=True)
class Presented:
    """What a request brings to prove who calls.

    Attributes:
        basic: id and secret of the Authorization header (RFC 6749 section 2.3.1), decoded.
    """

    basic: tuple[str, str] | None = field(default=None, repr=False)
    client_id: str | None = None
    secret: str | None = field(default=None, repr=False)
    assertion: str | None = field(default=None, repr=False)
    assertion_type: str | None = None


class ClientAuthentication:
    """Judges it: a client that is registered for one way gets in by no other."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        applications: Applications,
        oidc_clients: OidcClients,
        seen_tokens: SeenTokens,
    ) -> None:
        self._issuer = config.base_url
        self._clock = clock
        self._applications = applications
        self._clients = oidc_clients
        self._seen = seen_tokens

    def authenticate(self, tx: Session, given: Presented, *, endpoint: str) -> OidcClient | None:
        """Return the client that calls; None if it didn't prove that (an assertion is used up).

        Args:
            endpoint: path of the one that is called, which an assertion may name as its audience.

        Raises:
            Refusal: `invalid_request`: it proves itself in two ways at once.
        """
        ways = [given.basic, given.secret, given.assertion]
        if sum(one is not None for one in ways) > 1:
            raise Refusal("invalid_request", "Prove the client in one way alone.", status=400)
        if given.assertion is not None:
            return self._by_assertion(tx, given, endpoint)
        if given.basic is not None:
            if given.client_id not in {None, given.basic[0]}:
                return None
            return self._by_secret(tx, *given.basic, ClientAuth.BASIC)
        return self._by_secret(tx, given.client_id or "", given.secret or "", ClientAuth.POST)

    def _by_secret(
        self, tx: Session, client_id: str, secret: str, way: ClientAuth
    ) -> OidcClient | None:
        application = self._applications.authenticate(tx, client_id, secret, door=Door.OIDC)
        client = self._clients.find(tx, client_id) if application else None
        return client if client and client.auth is way else None

    def _by_assertion(self, tx: Session, given: Presented, endpoint: str) -> OidcClient | None:
        """Judge a JWT that the client signed (RFC 7523 section 3)."""
        if given.assertion_type != ASSERTION_TYPE:
            return None
        try:
            client, claims = self._signed(tx, given.assertion or "")
        except jose.BadToken:
            return None
        client_id = client.application.client_id
        right = given.client_id in {None, client_id} and self._is_right(claims, client_id, endpoint)
        return client if right and self._is_first(tx, client_id, claims) else None

    def _signed(self, tx: Session, token: str) -> tuple[OidcClient, jose.Claims]:
        """Return whose assertion this is, and what it says.

        Raises:
            BadToken: nobody's who may prove itself so.
        """
        client = self._clients.find(tx, str(client_keys.unverified(token).get("sub")))
        if client is None or client.auth is not ClientAuth.KEY:
            raise jose.BadToken
        claims = client_keys.verify(
            token,
            keys=client.keys,
            algorithm=client.algorithm,
            types={None, "JWT", "client-authentication+jwt"},
        )
        return client, claims

    def _is_right(self, claims: jose.Claims, client_id: str, endpoint: str) -> bool:
        audiences = {self._issuer, f"{self._issuer}/oidc/token", f"{self._issuer}{endpoint}"}
        return (
            claims.get("iss") == client_id
            and claims.get("sub") == client_id
            and bool(audiences & {*audience_of(claims)})
            and is_current(claims, self._clock.now(), longest=_LONGEST)
            and isinstance(claims.get("jti"), str)
            and 1 <= len(claims["jti"]) <= _MOST_ID
        )

    def _is_first(self, tx: Session, client_id: str, claims: jose.Claims) -> bool:
        until = datetime.fromtimestamp(claims["exp"] + LEEWAY_SECONDS, UTC)
        return self._seen.use(tx, f"oidc assertion {client_id}", claims["jti"], until=until)


def audience_of(claims: jose.Claims) -> list[str]:
    """Return for whom a token is, whether it says so as one or as several."""
    found = claims.get("aud")
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, str)]


def is_current(claims: jose.Claims, now: datetime, *, longest: timedelta) -> bool:
    """Tell whether a token that a client signed holds now, and not longer than it may."""
    seconds, expires = now.timestamp(), _moment(claims.get("exp"))
    starts = [_moment(claims[name]) for name in ("nbf", "iat") if claims.get(name) is not None]
    if expires is None or any(one is None or one > seconds + LEEWAY_SECONDS for one in starts):
        return False
    latest = seconds + longest.total_seconds() + LEEWAY_SECONDS
    return seconds - LEEWAY_SECONDS < expires <= latest


def _moment(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if 0 <= value < 2**40 else None
