"""Recovery codes: each works once, one a day, and five replace a phone before a human looks."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Sealed, UnknownKey, Vault
from app.db import lock, touched_one
from app.factors import recovery_code
from app.factors.base import Reason, Refused
from app.models import Authenticator, GatewaySession, RecoveryCode, User
from app.services.audit import Actor, Audit, EventKind
from app.services.method_settings import MethodSettings

EVERY = timedelta(hours=24)
REENROLLMENTS = 5
"""So many times a code may replace an authenticator before a human has to verify the user."""

_PURPOSE = "recovery code"
_MINE = RecoveryCode.user_id == sa.bindparam("theirs")
_WORKING = sa.and_(_MINE, RecoveryCode.authenticator_id.is_(None))
_WITH = sa.and_(_MINE, RecoveryCode.authenticator_id == sa.bindparam("came_with"))
_IS_ANY = sa.select(sa.exists().where(_WORKING))
_CAME_WITH = sa.select(sa.exists().where(_WITH))
_LET_WORK = sa.update(RecoveryCode).where(_WITH).values(authenticator_id=None)
_DISCARD = sa.delete(RecoveryCode).where(_WORKING)
_LEFT = sa.select(sa.func.count()).where(_WORKING, RecoveryCode.used_at.is_(None))
_LENGTH = sa.select(RecoveryCode.length).where(_WORKING).limit(1)
_HASHES = sa.select(RecoveryCode.code_hash).where(_WORKING)


class Recovery:
    """Issues a user's recovery codes, and uses them up."""

    def __init__(
        self, clock: Clock, vault: Vault, method_settings: MethodSettings, audit: Audit
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._method_settings = method_settings
        self._audit = audit

    def issue(
        self,
        tx: Session,
        actor: Actor,
        user: User,
        *,
        session: GatewaySession | None = None,
        pending: Authenticator | None = None,
    ) -> list[str]:
        """Replace the user's codes by new ones and return them: nobody can read them again.

        Args:
            session: the one whose pages show them.
            pending: the authenticator with whose confirmation they start to work, and the others
                die (see `activate`); without it both is at once.
        """
        settings = self._method_settings.of_user(tx, user)
        lock(tx, User.id, user.id)
        if pending is None:
            self.discard(tx, user)
        codes = [
            recovery_code.new_code(settings.recovery_code_length)
            for _ in range(settings.recovery_codes)
        ]
        tx.add_all(
            RecoveryCode(
                user_id=user.id,
                authenticator_id=pending.id if pending else None,
                code_hash=self._vault.hash(recovery_code.normalize(code), purpose=_PURPOSE),
                length=settings.recovery_code_length,
                created_at=self._clock.now(),
            )
            for code in codes
        )
        self._audit.record(
            tx,
            EventKind.RECOVERY_CODES_ISSUED,
            actor,
            user=user,
            gateway_session=session,
            count=len(codes),
        )
        return codes

    def activate(self, tx: Session, user: User, confirmed: Authenticator) -> None:
        """Let the codes that came with an authenticator work, in place of all others."""
        these = {"theirs": user.id, "came_with": confirmed.id}
        if tx.scalar(_CAME_WITH, these):
            self.discard(tx, user)
            tx.execute(_LET_WORK, these)

    def discard(self, tx: Session, user: User) -> None:
        """Let all codes of a user die at once, but those of an authenticator still pending."""
        tx.execute(_DISCARD, {"theirs": user.id})

    def has_any(self, tx: Session, user: User) -> bool:
        """Tell whether the user ever got codes that were not replaced since, used or not."""
        return bool(tx.scalar(_IS_ANY, {"theirs": user.id}))

    def remaining(self, tx: Session, user: User) -> int:
        """Return how many codes the user could still use."""
        return tx.scalar(_LEFT, {"theirs": user.id}) or 0

    def length(self, tx: Session, user: User) -> int:
        """Return how many letters and digits each of the user's codes has."""
        return tx.scalar(_LENGTH, {"theirs": user.id}) or recovery_code.LENGTH

    def refusal(self, user: User) -> Refused | None:
        """Tell why no code of the user is judged now, whatever it is."""
        if user.reenrollments >= REENROLLMENTS:
            return Refused(reason=Reason.REENROLLMENT_LIMIT)
        if user.recovery_used_at and self._clock.now() < user.recovery_used_at + EVERY:
            return Refused(reason=Reason.RECOVERY_LIMITED, retry_at=user.recovery_used_at + EVERY)
        return None

    def consume(self, tx: Session, user: User, answer: str, *, now: datetime) -> Refused | None:
        """Use a code up, and the user's one use a day with it; both or neither.

        The day belongs to the user, not to a set of codes.
        """
        use_day = (
            sa.update(User)
            .where(
                User.id == user.id,
                User.reenrollments < REENROLLMENTS,
                sa.or_(User.recovery_used_at.is_(None), User.recovery_used_at <= now - EVERY),
            )
            .values(recovery_used_at=now)
        )
        with tx.begin_nested() as savepoint:
            if refused := self.spend(tx, user, answer, now=now):
                return refused
            if not touched_one(tx, use_day):
                savepoint.rollback()
        tx.refresh(user, ["recovery_used_at", "reenrollments"])
        return None if user.recovery_used_at == now else self.refusal(user)

    def spend(self, tx: Session, user: User, answer: str, *, now: datetime) -> Refused | None:
        """Use a code up and nothing with it: for who has no app that it would stand in for."""
        hashes = self._vault.hashes(recovery_code.normalize(answer), purpose=_PURPOSE)
        mine = sa.and_(
            RecoveryCode.user_id == user.id,
            RecoveryCode.authenticator_id.is_(None),
            RecoveryCode.code_hash.in_(hashes),
        )
        use_code = (
            sa.update(RecoveryCode).where(mine, RecoveryCode.used_at.is_(None)).values(used_at=now)
        )
        if touched_one(tx, use_code):
            return None
        known = tx.scalar(sa.select(RecoveryCode.id).where(mine).limit(1))
        return Refused(reason=Reason.REPLAYED if known else Reason.WRONG)

    def sealed(self, session: GatewaySession, codes: list[str]) -> str:
        """Return new codes in a form that only this session's pages can open; we keep no copy."""
        return self._vault.seal("\n".join(codes).encode(), place=_shown_place(session))

    def opened(self, tx: Session, session: GatewaySession, sealed: str) -> list[str] | None:
        """Return the codes that `sealed` made, as long as they are the user's codes."""
        try:
            codes = self._vault.open(sealed, place=_shown_place(session)).decode().split()
        except (Sealed, UnknownKey, ValueError):
            return None
        return codes if self._are_current(tx, session.user, codes) else None

    def _are_current(self, tx: Session, user: User, codes: list[str]) -> bool:
        stored = set(tx.scalars(_HASHES, {"theirs": user.id}))
        found = [
            any(
                mac in stored
                for mac in self._vault.hashes(recovery_code.normalize(code), purpose=_PURPOSE)
            )
            for code in codes
        ]
        return len(set(codes)) == len(codes) == len(stored) and all(found)


def _shown_place(session: GatewaySession) -> str:
    return f"recovery codes shown in {session.id}"
