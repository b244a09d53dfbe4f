"""Bypass codes: given by an administrator, typed by the user once, and dead soon after."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import keep_even_if_undone, lock, touched_one
from app.errors import Invalid
from app.factors import bypass_code
from app.factors.base import Reason, Refused
from app.factors.recovery_code import normalize
from app.models import (
    BypassCode,
    Environment,
    GatewaySession,
    Intent,
    Purpose,
    User,
    Verification,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.delivery import Delivery
from app.services.gateway_sessions import GatewaySessions
from app.services.limits import Limits
from app.services.session_rows import link_of
from app.services.standing import demand_unsuspended, forget_browsers, is_suspended

MINUTES = (10, 30, 60)
"""For so long a code may live."""
MOST_FAILURES = 10
"""Wrong answers that a code survives, over all sessions; the user's other methods don't count."""

_PURPOSE = "bypass code"


@dataclass(frozen=True, kw_only=True)
class Given:
    """A new code, which is told only here."""

    row: BypassCode
    code: str = field(repr=False)


class BypassCodes:
    """Gives codes, withdraws them, and judges what a user types as one."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        gateway_sessions: GatewaySessions,
        limits: Limits,
        delivery: Delivery,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._gateway_sessions = gateway_sessions
        self._limits = limits
        self._delivery = delivery
        self._audit = audit

    # The administrator

    def give(self, tx: Session, actor: Actor, user: User, *, minutes: int, why: str) -> Given:
        """Make a code in place of the one before, and tell the user that there is one.

        Args:
            minutes: how long it lives, one of `MINUTES`.
            why: the administrator's reason.

        Raises:
            Invalid: it can't live so long.
            Refusal: `user_suspended`.
        """
        if minutes not in MINUTES:
            raise Invalid("minutes", f"choose {', '.join(map(str, MINUTES))}.")
        lock(tx, User.id, user.id)
        tx.refresh(user, ["suspended_at"])
        demand_unsuspended(user)
        self.revoke(tx, user)
        now, code = self._clock.now(), bypass_code.new_code()
        row = BypassCode(
            id=uuid.uuid4(),
            user_id=user.id,
            code_hash=self._vault.hash(normalize(code), purpose=_PURPOSE),
            created_at=now,
            expires_at=now + timedelta(minutes=minutes),
        )
        tx.add(row)
        tx.flush()
        self._audit.record(
            tx, EventKind.BYPASS_CODE_GIVEN, actor, user=user, why=why, minutes=minutes
        )
        self._delivery.notify(
            tx, actor, user.organization, user, "bypass_code_given", minutes=minutes
        )
        return Given(row=row, code=code)

    def current(self, tx: Session, user: User) -> BypassCode | None:
        """Return the code that the user could use now."""
        return tx.scalar(sa.select(BypassCode).where(*self._good(user)).limit(1))

    def withdraw(self, tx: Session, actor: Actor, user: User) -> bool:
        """Put the user's code out of use, and tell whether there was one."""
        withdrawn = self.revoke(tx, user)
        if withdrawn:
            self._audit.record(tx, EventKind.BYPASS_CODE_WITHDRAWN, actor, user=user)
        return withdrawn

    def revoke(self, tx: Session, user: User) -> bool:
        """Let the user's code die, whatever for; tell whether there was one."""
        unused = sa.update(BypassCode).where(
            BypassCode.user_id == user.id,
            BypassCode.used_at.is_(None),
            BypassCode.revoked_at.is_(None),
            BypassCode.expires_at > self._clock.now(),
        )
        revoked = tx.execute(
            unused.values(revoked_at=self._clock.now()),
            execution_options={"synchronize_session": False},
        )
        return bool(revoked.rowcount)  # type: ignore[attr-defined]

    # The user

    def fits(self, tx: Session, session: GatewaySession) -> bool:
        """Tell whether a code may stand in for all else in this session.

        It vouches for nothing new, so not where an authenticator is to be added; it is no
        mailbox's, so not for a magic link; it reaches no class that an application may ask;
        nobody gives one to administrators; and the user is told of its use, so not where anybody
        may have named them.
        """
        if not session.subject_authenticated:
            return False
        adds = session.intent is not Intent.VERIFY or session.force_enroll
        own = session.user.organization.environment is Environment.ADMINISTRATION
        if adds or own or session.acr_values or is_suspended(session.user):
            return False
        return link_of(tx, session) is None

    def answer(
        self, tx: Session, actor: Actor, session: GatewaySession, answer: str
    ) -> Verification | Refused:
        """Judge what a user typed as a code; a right one ends the session, and does nothing else.

        It is charged to the session and to the code: whoever guesses locks the user out of
        nothing. Without a code there is nothing to guess, and the answer is the same.
        """
        if not self.fits(tx, session):
            return Refused(reason=Reason.EXPIRED)
        if not bypass_code.well_formed(answer):
            return Refused(reason=Reason.MALFORMED, attempts_left=self._limits.left(session))
        now = self._clock.now()
        if not self._limits.charge_session(tx, session, now=now):
            return Refused(reason=Reason.TOO_MANY, attempts_left=0)
        if self._charge(tx, session.user) and self._consume(tx, session.user, answer, now):
            verification = self._record(tx, actor, session)
            forget_browsers(tx, [session.user_id])
            self._gateway_sessions.complete(tx, actor, session, verification)
            self._delivery.notify(
                tx, actor, session.user.organization, session.user, "bypass_code_used"
            )
            return verification
        self._record(tx, actor, session, reason=Reason.WRONG)
        left = self._limits.left(session)
        if left == 0:
            self._gateway_sessions.fail(tx, actor, session)
        return Refused(reason=Reason.WRONG, attempts_left=left)

    def _charge(self, tx: Session, user: User) -> bool:
        """Charge the user's code before it is compared, for good; tell whether there is one."""
        count = sa.update(BypassCode).where(*self._good(user))
        charge = partial(touched_one, statement=count.values(failures=BypassCode.failures + 1))
        if not charge(tx):
            return False
        keep_even_if_undone(tx, charge)
        return True

    def _consume(self, tx: Session, user: User, answer: str, now: datetime) -> bool:
        hashes = self._vault.hashes(normalize(answer), purpose=_PURPOSE)
        still = (BypassCode.used_at.is_(None), BypassCode.revoked_at.is_(None))
        use = sa.update(BypassCode).where(
            BypassCode.user_id == user.id,
            BypassCode.code_hash.in_(hashes),
            BypassCode.expires_at > now,
            *still,
        )
        return touched_one(tx, use.values(used_at=now))

    def _good(self, user: User) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            BypassCode.user_id == user.id,
            BypassCode.used_at.is_(None),
            BypassCode.revoked_at.is_(None),
            BypassCode.expires_at > self._clock.now(),
            BypassCode.failures < MOST_FAILURES,
        )

    def _record(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        *,
        reason: Reason | None = None,
    ) -> Verification:
        user, now = session.user, self._clock.now()
        verification = Verification(
            user_id=user.id,
            organization_id=user.organization_id,
            gateway_session_id=session.id,
            application_id=session.application_id,
            kind=bypass_code.KIND,
            purpose=Purpose.VERIFICATION,
            accepted=reason is None,
            reason=reason.value if reason else None,
            took_ms=int((now - session.created_at).total_seconds() * 1000),
            at=now,
        )
        tx.add(verification)
        tx.flush()
        self._audit.record(
            tx,
            EventKind.VERIFICATION_REFUSED if reason else EventKind.VERIFICATION_ACCEPTED,
            actor,
            user=user,
            gateway_session=session,
            kind=bypass_code.KIND,
            purpose=verification.purpose.value,
            reason=verification.reason,
        )
        return verification
