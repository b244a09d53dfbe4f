"""Access tokens of OpenID Connect: opaque, resting on a result, and revoked with its replay."""

from __future__ import annotations

import uuid
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault, new_token
from app.models import AccessToken, Application, Door, GatewaySession, Result, User
from app.services.standing import is_suspended

LASTS = timedelta(minutes=10)
_TOKEN = "access token"  # noqa: S105 (what the key is for; not a secret)


class AccessTokens:
    """Issues them, finds them again, and revokes them."""

    def __init__(self, clock: Clock, vault: Vault) -> None:
        self._clock = clock
        self._vault = vault

    def issue(self, tx: Session, result: Result, scope: str) -> str:
        """Return a new token for a result that its application has just got."""
        token, now = new_token(), self._clock.now()
        row = AccessToken(
            id=uuid.uuid4(),
            token_hash=self._vault.hash(token, purpose=_TOKEN),
            result_id=result.id,
            scope=scope,
            issued_at=now,
            expires_at=now + LASTS,
        )
        tx.execute(sa.delete(AccessToken).where(AccessToken.expires_at < now - LASTS))
        tx.add(row)
        tx.flush()
        return token

    def find(self, tx: Session, token: str) -> tuple[AccessToken, GatewaySession] | None:
        """Return a token that holds, and the session that it comes from."""
        found = tx.execute(
            sa.select(AccessToken, GatewaySession)
            .join(Result, AccessToken.result_id == Result.id)
            .join(GatewaySession, Result.gateway_session_id == GatewaySession.id)
            .where(
                AccessToken.token_hash.in_(self._vault.hashes(token, purpose=_TOKEN)),
                AccessToken.revoked_at.is_(None),
                AccessToken.expires_at > self._clock.now(),
                GatewaySession.found(),
                GatewaySession.application.has(Application.door == Door.OIDC),
            )
        ).one_or_none()
        if found is None or is_suspended(tx.get_one(User, found[1].user_id)):
            return None
        return found[0], found[1]

    def revoke(self, tx: Session, application_id: uuid.UUID, token: str) -> None:
        """Let a token of this application open nothing more; of another one, nothing happens."""
        found = self.find(tx, token)
        if found is not None and found[1].application_id == application_id:
            found[0].revoked_at = self._clock.now()

    def revoke_all(self, tx: Session, session: GatewaySession) -> None:
        """Let no token of a session open anything more, since its code was used twice."""
        of_session = sa.select(Result.id).where(Result.gateway_session_id == session.id)
        mine = AccessToken.result_id.in_(of_session.scalar_subquery())
        revoke = sa.update(AccessToken).where(mine, AccessToken.revoked_at.is_(None))
        tx.execute(
            revoke.values(revoked_at=self._clock.now()),
            execution_options={"synchronize_session": False},
        )
