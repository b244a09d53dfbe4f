"""ID tokens: a result in the words of OpenID Connect, and what a code is exchanged for."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from authlib.oauth2.rfc7636.challenge import CODE_VERIFIER_PATTERN, create_s256_code_challenge
from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.config import Config
from app.errors import Refusal
from app.models import Door, GatewaySession, KeyUse, OidcClient, Result
from app.services.access_tokens import LASTS, AccessTokens
from app.services.audit import Actor
from app.services.authorization_codes import AuthorizationCodes
from app.services.signing_keys import LONGEST_SECONDS, SigningKeys

ID_TOKEN_TYP = "JWT"  # noqa: S105 (RFC 7519 section 5.1)
_CLAIMS = ("sub", "auth_time", "nonce", "acr", "amr", "mfa_method", "org", "env")
"""Of a result, those that an ID token repeats."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What a client brings to get tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5)."""

    code: str = field(repr=False)
    redirect_uri: str
    verifier: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """What it gets."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    expires_in: int
    scope: str


class IdTokens:
    """Exchanges codes; every ID token says what an issued result says, and nothing else."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        signing_keys: SigningKeys,
        authorization_codes: AuthorizationCodes,
        access_tokens: AccessTokens,
    ) -> None:
        self._issuer = config.base_url
        self._clock = clock
        self._keys = signing_keys
        self._codes = authorization_codes
        self._access_tokens = access_tokens

    def exchange(
        self, tx: Session, actor: Actor, client: OidcClient, brought: Exchange
    ) -> Exchanged | None:
        """Use a code up.

        Returns:
            None if it is not this client's, doesn't fit what was asked, or was used before; then
            what it gave is revoked (returned, so that both are kept).
        """
        session = self._codes.session_of(tx, client.application, brought.code)
        if session is None or session.door is not Door.OIDC or not _fits(session, brought):
            return None
        try:
            result = self._codes.exchange(tx, actor, session, brought.code)
        except Refusal:  # an administrator suspended the user on the way
            return None
        if result is None:
            self._access_tokens.revoke_all(tx, session)
            return None
        scope = session.asked["scope"]
        access_token = self._access_tokens.issue(tx, result, scope)
        return Exchanged(
            id_token=self._signed(tx, session, result, access_token),
            access_token=access_token,
            expires_in=int(LASTS.total_seconds()),
            scope=scope,
        )

    def _signed(
        self, tx: Session, session: GatewaySession, result: Result, access_token: str
    ) -> str:
        now = int(self._clock.now().timestamp())
        claims: jose.Claims = {
            "iss": self._issuer,
            "aud": session.application.client_id,
            "exp": now + LONGEST_SECONDS,
            "iat": now,
            **said(session, result),
            "at_hash": jose.half_hash(access_token),
        }
        return jose.sign(claims, typ=ID_TOKEN_TYP, key=self._keys.signer(tx, KeyUse.ID_TOKEN))


def said(session: GatewaySession, result: Result) -> jose.Claims:
    """Return what a result says of its user, in the words of OpenID Connect."""
    claims = {name: result.claims[name] for name in _CLAIMS if result.claims.get(name) is not None}
    return {**claims, "preferred_username": session.asked["name"]}


def _fits(session: GatewaySession, brought: Exchange) -> bool:
    """Tell whether who brings a code is who asked for it."""
    if session.redirect_uri != brought.redirect_uri:
        return False
    challenge, verifier = session.asked["challenge"], brought.verifier
    if challenge is None or verifier is None:
        return challenge is verifier is None  # a verifier without a challenge: RFC 9700, 4.8.2
    if not CODE_VERIFIER_PATTERN.fullmatch(verifier):
        return False
    made: str = create_s256_code_challenge(verifier)
    return hmac.compare_digest(made, challenge)
