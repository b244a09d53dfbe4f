"""Everything that we sign: results and access tokens; nothing else makes one."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.config import Config
from app.db import touched_one
from app.errors import Refusal
from app.factors import recovery_code
from app.models import (
    ApiKey,
    GatewaySession,
    KeyUse,
    Purpose,
    Result,
    SessionStatus,
    Verification,
)
from app.remembered import remember, remembered
from app.services.api_keys import permissions_of
from app.services.assurance import Assurance, Facts, reached, satisfies
from app.services.audit import Actor, Audit, EventKind
from app.services.bearers import Bearer, Bearers
from app.services.signing_keys import LEEWAY_SECONDS, SigningKeys
from app.services.standing import demand_unsuspended, is_suspended

RESULT_TYP = "gatehouse-result+jwt"
RESULT_SECONDS = 120
ACCESS_TOKEN_TYP = "JWT"  # noqa: S105
"""The Kotlin SDK of the guides insists on it, and on an issuer in the header, and on RS256."""
ACCESS_TOKEN_SECONDS = 3600
_RESULT = sa.select(Result).where(Result.gateway_session_id == sa.bindparam("session_id"))


class Tokens:
    """The only one that issues anything signed."""

    def __init__(
        self, config: Config, clock: Clock, signing_keys: SigningKeys, audit: Audit
    ) -> None:
        self._issuer = config.base_url
        self._clock = clock
        self._keys = signing_keys
        self._audit = audit
        self._bearers = Bearers()

    # Results

    def issue_result(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        verification: Verification,
        *,
        recovery: Verification | None = None,
    ) -> Result:
        """Issue the one result of a gateway session: the only way to one.

        Args:
            verification: an accepted one of this very session, by an authenticator; by a recovery
                code of somebody who has nothing that it stands in for; or the record that a policy
                let the user go on, of which the result says no more than that.
            recovery: the session's accepted recovery code, if one stood in for what was lost; the
                verification is then the one that confirmed the new authenticator.

        Raises:
            ValueError: the verifications do not allow it, or do not reach what was asked.
        """
        for one in filter(None, (verification, recovery)):
            if one.gateway_session_id != session.id or not one.accepted:
                raise ValueError("a result needs an accepted verification of its own session")
        if verification.purpose is Purpose.RECOVERY:
            raise ValueError("a recovery code is no result before a new authenticator is confirmed")
        if verification.purpose is Purpose.SKIP and (recovery or session.spares_nobody):
            raise ValueError("what was lost is replaced, and some doors spare nobody")
        by_code = recovery is not None or verification.kind == recovery_code.KIND
        replaced = recovery if not session.counts_replacement else None
        assurance = assurance_of(session, replaced or verification)
        if not satisfies(assurance.acr, session.acr_values):
            raise ValueError("a result reaches at least what the application asked")
        if verification.purpose is Purpose.TRUST and session.steps_up:
            raise ValueError("a trusted browser answers no application that asks for more")
        now = self._clock.now()
        organization = session.user.organization
        status = SessionStatus.VERIFIED if recovery else status_of(verification)
        expires_at = now + timedelta(seconds=RESULT_SECONDS)
        result_id = uuid.uuid4()
        result = Result(
            id=result_id,
            gateway_session_id=session.id,
            verification_id=verification.id,
            expires_at=expires_at,
            claims={
                "iss": self._issuer,
                "aud": session.application.client_id,
                "sub": str(session.user_id),
                "exp": _seconds(expires_at),
                "iat": _seconds(now),
                "jti": str(result_id),
                "sid": session.id,
                "nonce": session.nonce,
                "org": organization.domain,
                "env": organization.environment.value,
                "auth_time": _seconds(verification.confirmed_at or verification.at),
                "status": status.value,
                "amr": list(assurance.amr),
                "acr": assurance.acr,
                "mfa_method": assurance.method,
                **({"recovery_code_used": True} if by_code else {}),
            },
        )
        tx.add(result)
        tx.flush()
        remember(tx, (Result, session.id), result, of=[Result])
        self._audit.record(
            tx,
            EventKind.RESULT_ISSUED,
            actor,
            organization_id=organization.id,
            gateway_session=session,
            jti=str(result_id),
            acr=assurance.acr,
            vouched=session.application.vouches_for_first_factor,
        )
        return result

    def signed(self, tx: Session, result: Result) -> str:
        """Return an issued result as a JWS; delivering it twice states the same thing once."""
        signer = self._keys.signer(tx, KeyUse.RESULT)
        return jose.sign(claims_of(result), typ=RESULT_TYP, key=signer)

    def deliverable(self, tx: Session, session: GatewaySession) -> Result | None:
        """Return the session's result if the application can still use it."""
        question = (Result, session.id)
        result = remembered(
            tx, question, lambda: tx.scalar(_RESULT, {"session_id": session.id}), of=[Result]
        )
        if result is None or result.redeemed_at or is_suspended(session.user):
            return None
        return result if self._clock.now() < result.expires_at else None

    def redeem(
        self, tx: Session, actor: Actor, session: GatewaySession, token: str
    ) -> jose.Claims | None:
        """Use up a result.

        Returns:
            What it says; None if it was used before (returned, so that the record of it is kept).

        Raises:
            Refusal: `result_invalid` (not ours, changed, of another session), `result_expired`,
                `user_suspended`.
        """
        now = self._clock.now()
        try:
            keys = self._keys.published(tx, KeyUse.RESULT)
            claims = jose.verify(token, typ=RESULT_TYP, keys=keys)
        except jose.BadToken:
            raise _invalid_result() from None
        if claims.get("iss") != self._issuer or claims.get("sid") != session.id:
            raise _invalid_result()
        if claims.get("aud") != session.application.client_id:
            raise _invalid_result()
        if now >= datetime.fromtimestamp(claims["exp"] + LEEWAY_SECONDS, now.tzinfo):
            raise Refusal("result_expired", "The result is older than two minutes. Start again.")
        first = self.use_up(tx, actor, session, uuid.UUID(claims["jti"]))
        return claims if first else None

    def use_up(
        self, tx: Session, actor: Actor, session: GatewaySession, result_id: uuid.UUID
    ) -> bool:
        """Mark a result as used, and tell whether it was not before.

        Raises:
            Refusal: `user_suspended`; nothing is used up then.
        """
        demand_unsuspended(session.user)
        consume = (
            sa.update(Result)
            .where(Result.id == result_id, Result.redeemed_at.is_(None))
            .values(redeemed_at=self._clock.now())
        )
        first = touched_one(tx, consume)
        self._audit.record(
            tx,
            EventKind.RESULT_REDEEMED if first else EventKind.RESULT_REPLAYED,
            actor,
            organization_id=session.user.organization_id,
            gateway_session=session,
            jti=str(result_id),
        )
        return first

    # Access tokens of the REST API

    def issue_access_token(self, tx: Session, key: ApiKey) -> str:
        """Return a bearer token for an API key; the key's standing is looked up at each use."""
        now = self._clock.now()
        claims: jose.Claims = {
            "type": "api_v2",
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": str(key.id),
            "client_id": str(key.id),
            "environment": key.environment.value,
            "scope": scope_of(key),
            "iat": _seconds(now),
            "exp": _seconds(now) + ACCESS_TOKEN_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        signer = self._keys.signer(tx, KeyUse.ACCESS)
        return jose.sign(claims, typ=ACCESS_TOKEN_TYP, key=signer, issuer=self._issuer)

    def api_key_of(self, tx: Session, token: str) -> str | None:
        """Return the `client_id` that a valid access token names."""
        bearer = self.proven(token)
        if bearer is not None:
            known = self._keys.is_published(tx, KeyUse.ACCESS, bearer.kid)
            return str(bearer.client_id) if known else None
        keys = self._keys.published(tx, KeyUse.ACCESS)
        try:
            claims = jose.verify(token, typ=ACCESS_TOKEN_TYP, keys=keys)
        except jose.BadToken:
            return None
        ours = claims.get("iss") == self._issuer and claims.get("aud") == self._issuer
        if not ours or claims.get("type") != "api_v2":
            return None
        bearer = Bearer(
            kid=jose.header(token)["kid"],
            client_id=uuid.UUID(claims["client_id"]),
            expires_at=claims["exp"],
        )
        self._bearers.remember(token, bearer)
        return str(bearer.client_id) if self._is_fresh(bearer) else None

    def proven(self, token: str) -> Bearer | None:
        """Return what an access token says whose signature this process has checked before.

        Whether its signing key is still published, and how the API key stands, is not told.
        """
        bearer = self._bearers.of(token)
        return bearer if bearer is not None and self._is_fresh(bearer) else None

    def _is_fresh(self, bearer: Bearer) -> bool:
        return _seconds(self._clock.now()) < bearer.expires_at


def claims_of(result: Result) -> jose.Claims:
    """Return what a result says."""
    return {name: value for name, value in result.claims.items() if value is not None}


def status_of(verification: Verification) -> SessionStatus:
    """Return the status with which a verification ends its session."""
    return {
        Purpose.ENROLLMENT: SessionStatus.ENROLLED,
        Purpose.SKIP: SessionStatus.SKIPPED,
        Purpose.TRUST: SessionStatus.TRUSTED,
    }.get(verification.purpose, SessionStatus.VERIFIED)


def assurance_of(session: GatewaySession, verification: Verification) -> Assurance:
    """Return what a verification of a session comes to for its application."""
    return reached(
        Facts(
            kind=verification.kind,
            user_verified=verification.user_verified,
            key=verification.key,
            vouched=session.application.vouches_for_first_factor,
        )
    )


def scope_of(key: ApiKey) -> str:
    """Return the permissions of an API key, space-separated (RFC 6749 section 3.3)."""
    return " ".join(permissions_of(key))


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _invalid_result() -> Refusal:
    return Refusal(
        "result_invalid",
        "result: it was not issued for this gateway session, or it was changed on its way.",
    )
