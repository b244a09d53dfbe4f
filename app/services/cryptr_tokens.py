"""Cryptr's exchange: an authorization code becomes the two tokens that the SPA SDK reads.

Shapes: api-facts a.3 and a.10, in version 1 of the tokens, which every release of the SDK reads;
what version 3 has besides stands there, too. Both state what the session's result states, for an
hour; `aud` is the origin of the application's pages. There is no refresh token: how long a user
stays signed in is the application's affair, so what stands in its place is never taken.
"""

from __future__ import annotations

import hmac
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from authlib.oauth2.rfc7636.challenge import create_s256_code_challenge
from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.config import Config
from app.crypto import new_token
from app.models import Application, Door, GatewaySession, KeyUse, Result
from app.services.audit import Actor
from app.services.authorization_codes import AuthorizationCodes
from app.services.gateway_sessions import origin_of
from app.services.signing_keys import LONGEST_SECONDS, SigningKeys
from app.services.tokens import claims_of

TOKEN_TYP = "JWT"  # noqa: S105
_PROVIDER = "gatehouse"
_STATED = ("jti", "auth_time", "acr", "amr", "mfa_method", "status")


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What the SDK sends; see api-facts a.10 for the names.

    Attributes:
        organization_domain: of the address that it was sent to.
        authorization_id: the id of the result, as the browser brought it.
        request_id: the gateway session.
        client_state: what the browser brought as `state`.
        nonce: of the SDK's own making, given back in the ID token.
    """

    organization_domain: str
    authorization_id: str
    request_id: str
    client_state: str
    nonce: str
    code: str = field(repr=False)
    code_verifier: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Issued:
    """Two tokens, and what the SDK keeps beside them.

    Attributes:
        refresh_token: begins with the organization's domain, as the SDK wants; nobody takes it.
        expires_at: when both tokens are over.
    """

    scope: list[str]
    expires_at: datetime
    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


class CryptrTokens:
    """Exchanges codes for applications of Cryptr's gateway redirect."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        signing_keys: SigningKeys,
        authorization_codes: AuthorizationCodes,
    ) -> None:
        self._base_url = config.base_url
        self._clock = clock
        self._keys = signing_keys
        self._codes = authorization_codes

    def keys(self, tx: Session) -> list[dict[str, Any]]:
        """Return the public keys that the tokens are checked with."""
        return self._keys.published(tx, KeyUse.ID_TOKEN)

    def exchange(
        self, tx: Session, actor: Actor, application: Application, wanted: Exchange
    ) -> Issued | None:
        """Use a code up, and issue the tokens if everything else fits, too.

        Returns:
            None if it is no code of this application, is too old, was used before, or the rest
            does not belong to it; the code is used up then as well.

        Raises:
            Refusal: `user_suspended`.
        """
        session = self._codes.session_of(tx, application, wanted.code)
        if session is None or session.door is not Door.CRYPTR:
            return None
        result = self._codes.exchange(tx, actor, session, wanted.code)
        if result is None or not _belongs(session, result, wanted):
            return None
        return self._issue(tx, session, result, wanted)

    def _issue(
        self, tx: Session, session: GatewaySession, result: Result, wanted: Exchange
    ) -> Issued:
        now = self._clock.now()
        expires_at = now + timedelta(seconds=LONGEST_SECONDS)
        issuer = f"{self._base_url}/t/{session.user.organization.domain}"
        signer = self._keys.signer(tx, KeyUse.ID_TOKEN)
        common = {
            "iss": issuer,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
            **_common(session),
        }
        access = {**common, "jti": str(uuid.uuid4()), "jtt": "access"}
        access_token = jose.sign(access, typ=TOKEN_TYP, key=signer, issuer=issuer)
        identity = {
            **common,
            **_identity(session, claims_of(result)),
            "nonce": wanted.nonce,
            "at_hash": jose.half_hash(access_token),
            "c_hash": jose.half_hash(wanted.code),
        }
        return Issued(
            scope=session.asked["scope"],
            expires_at=expires_at,
            access_token=access_token,
            id_token=jose.sign(identity, typ=TOKEN_TYP, key=signer, issuer=issuer),
            refresh_token=f"{session.user.organization.domain}.{new_token()}",
        )


def _common(session: GatewaySession) -> jose.Claims:
    """Return what both tokens say of the user and the application."""
    organization, user = session.user.organization, session.user
    return {
        "sub": str(user.id),
        "aud": origin_of(session.redirect_uri),
        "cid": session.application.client_id,
        "client_id": session.application.client_id,
        "tnt": organization.domain,
        "org": organization.domain,
        "env": organization.environment.value,
        "scp": session.asked["scope"],
        "scope": session.asked["scope"],
        **({"email": user.email} if user.email else {}),
    }


def _identity(session: GatewaySession, stated: jose.Claims) -> jose.Claims:
    """Return what the ID token says besides: what the result states, and who the user is."""
    proved = {"authenticated_at": stated["auth_time"], "data": {}, "idp_id": None}
    return {
        **{name: stated[name] for name in _STATED},
        "jtt": "openid",
        "email_verified": session.subject_authenticated,  # a link was read in the mailbox
        "phone_number_verified": False,
        "profile": session.user.profile,
        "meta_data": {},
        "identities": [{"provider": _PROVIDER, **proved}],
    }


def _belongs(session: GatewaySession, result: Result, wanted: Exchange) -> bool:
    """Tell whether all that came with a code is of the session that it ends (RFC 7636 4.6)."""
    challenge: str = create_s256_code_challenge(wanted.code_verifier)
    pairs = (
        (challenge, session.asked["code_challenge"]),
        (wanted.organization_domain, session.user.organization.domain),
        (wanted.authorization_id, str(result.id)),
        (wanted.request_id, session.id),
        (wanted.client_state, session.state or ""),
    )
    return all(hmac.compare_digest(given.encode(), ours.encode()) for given, ours in pairs)
