"""Authorization codes: what the browser brings back where it shall not bring the result itself."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from app.clock import Clock
from app.crypto import Vault
from app.db import touched_one
from app.models import Application, AuthorizationCode, GatewaySession, Result, User
from app.services.audit import Actor, Audit, EventKind
from app.services.tokens import Tokens

LASTS = timedelta(seconds=60)

_MAKING, _KEEPING = "authorization code", "authorization code hash"


class AuthorizationCodes:
    """Issues a code for a result, and exchanges it once, for the application it was issued to."""

    def __init__(self, clock: Clock, vault: Vault, tokens: Tokens, audit: Audit) -> None:
        self._clock = clock
        self._vault = vault
        self._tokens = tokens
        self._audit = audit

    def issue(self, tx: Session, result: Result) -> None:
        """Start the life of a result's code."""
        code_hash = self._vault.hash(self._code(result), purpose=_KEEPING)
        expires_at = self._clock.now() + LASTS
        tx.add(AuthorizationCode(code_hash=code_hash, result_id=result.id, expires_at=expires_at))
        tx.flush()

    def deliverable(self, tx: Session, result: Result) -> str | None:
        """Return a result's code if it can still be exchanged; asking twice gives the same one."""
        found = sa.select(AuthorizationCode.id).where(
            AuthorizationCode.result_id == result.id,
            AuthorizationCode.used_at.is_(None),
            AuthorizationCode.expires_at > self._clock.now(),
        )
        return self._code(result) if tx.scalar(found) else None

    def session_of(self, tx: Session, application: Application, code: str) -> GatewaySession | None:
        """Return the session of this application that ended in a code, used or not."""
        return tx.scalar(
            sa.select(GatewaySession)
            .join(Result, Result.gateway_session_id == GatewaySession.id)
            .join(AuthorizationCode, AuthorizationCode.result_id == Result.id)
            .where(
                AuthorizationCode.code_hash.in_(self._vault.hashes(code, purpose=_KEEPING)),
                GatewaySession.application_id == application.id,
                GatewaySession.found(),
            )
            .options(joinedload(GatewaySession.user).joinedload(User.organization))
        )

    def exchange(
        self, tx: Session, actor: Actor, session: GatewaySession, code: str
    ) -> Result | None:
        """Use a code up, and the result with it.

        Args:
            session: the one that the code belongs to, see `session_of`.

        Returns:
            The result; None if the code was used before or is too old (returned, so that the
            record of a second use is kept).
        """
        mine = AuthorizationCode.code_hash.in_(self._vault.hashes(code, purpose=_KEEPING))
        now = self._clock.now()
        use = (
            sa.update(AuthorizationCode)
            .where(mine, AuthorizationCode.used_at.is_(None), AuthorizationCode.expires_at > now)
            .values(used_at=now)
        )
        if touched_one(tx, use):
            result = tx.scalar(sa.select(Result).where(Result.gateway_session_id == session.id))
            if result and self._tokens.use_up(tx, actor, session, result.id):
                return result
        elif tx.scalar(sa.select(AuthorizationCode.used_at).where(mine)):
            self._audit.record(
                tx,
                EventKind.AUTHORIZATION_CODE_REPLAYED,
                actor,
                organization_id=session.user.organization_id,
                gateway_session=session,
            )
        return None

    def _code(self, result: Result) -> str:
        """Return the code: made from the result's id by a key that is in no database."""
        return self._vault.hash(str(result.id), purpose=_MAKING).partition(":")[2]
