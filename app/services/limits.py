"""How often an answer is judged, and how long to wait; every door that judges charges here first.

Each authenticator has a count of its own, and so have a user's recovery codes: locking one never
locks a user out of the rest. Over all of them a user's consecutive refusals have a last limit.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.config import Config
from app.db import keep_even_if_undone
from app.errors import Refusal
from app.models import Authenticator, GatewaySession, User
from app.services.audit import Actor, Audit, EventKind
from app.services.charges import Changes, Charge, know

_ALARM_AT = 10
"""No slip of the finger: by then the user had to wait six times."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """No answer is judged now.

    Attributes:
        retry_at: when one is, in UTC; None if no time will bring it: the session is over, or an
            administrator has to unlock the user.
    """

    retry_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Answering:
    """What an answer is for; each has a count of its own.

    Attributes:
        authenticators: any of these; a page asks for one, a backend doesn't say which.
        recovery: the user's recovery codes.
    """

    authenticators: tuple[Authenticator, ...] = ()
    recovery: bool = False


class Limits:
    """Charges an attempt before it is judged, as if it were wrong; success gives it back."""

    def __init__(self, config: Config, audit: Audit) -> None:
        self._per_session = config.attempts_per_session
        self._per_user = config.failures_per_user
        self._waits = config.waits
        self._changes = Changes(
            per_session=self._per_session, per_user=self._per_user, waits=self._waits
        )
        self._audit = audit

    def charge(
        self,
        tx: Session,
        user: User,
        answering: Answering,
        *,
        session: GatewaySession | None = None,
        now: datetime,
    ) -> Spent | None:
        """Charge one attempt to the session, the user, and what is being answered for.

        Each change takes its row's lock, so parallel answers are judged one after the other; the
        charge is made again if anything raises after it.

        Args:
            answering: authenticators for which it may be the answer, or recovery codes.
            session: the ask for which it was given, if a browser gave it.

        Returns:
            None if the attempt may be judged.
        """
        ids = tuple(sorted(one.id for one in answering.authenticators))
        charge = self._charge(session, user.id, ids, recovery=answering.recovery, now=now)
        written = charge.made(tx)
        if written is None:
            _read_again(tx, user, answering, session)
            return self.spent(user, answering, session=session, now=now) or Spent(retry_at=None)
        keep_even_if_undone(tx, charge.made)
        for one in (session, user, *answering.authenticators):
            if one is not None:
                know(one, written[one.id])
        return None

    def charge_session(self, tx: Session, session: GatewaySession, *, now: datetime) -> bool:
        """Charge one attempt to the session alone, whose own code is answered and nobody else's.

        Returns:
            Whether the attempt may be judged.
        """
        charge = self._charge(session, None, (), now=now)
        written = charge.made(tx)
        if written is None:
            tx.refresh(session, ["judged", "status"])
            return False
        keep_even_if_undone(tx, charge.made)
        know(session, written[session.id])
        return True

    def spent(
        self,
        user: User,
        answering: Answering,
        *,
        session: GatewaySession | None = None,
        now: datetime,
    ) -> Spent | None:
        """Tell whether nothing would be judged now, without charging."""
        if user.failures >= self._per_user or (session and self.left(session) == 0):
            return Spent(retry_at=None)
        waits = [one.retry_at for one in answering.authenticators]
        waits += [user.recovery_retry_at] if answering.recovery else []
        ahead = [retry_at for retry_at in waits if retry_at and retry_at > now]
        return Spent(retry_at=max(ahead)) if ahead else None

    def forgive(self, tx: Session, user: User, answering: Answering) -> None:
        """Start the counts anew after an accepted answer."""
        user.failures = 0
        if answering.recovery:
            user.recovery_failures, user.recovery_retry_at = 0, None
        for authenticator in answering.authenticators:
            authenticator.failures, authenticator.retry_at = 0, None
        tx.flush()

    def unlock(self, tx: Session, actor: Actor, user: User) -> None:
        """Start all of a user's counts anew, by an administrator's hand."""
        user.failures = user.recovery_failures = 0
        user.recovery_retry_at = None
        tx.execute(
            sa.update(Authenticator)
            .where(Authenticator.user_id == user.id)
            .values(failures=0, retry_at=None)
        )
        self._audit.record(
            tx,
            EventKind.USER_UNLOCKED,
            actor,
            organization_id=user.organization_id,
            user_id=user.id,
        )

    def alarms(self, failures: int) -> bool:
        """Tell whether so many refusals in a row are worth telling the user: ten, and the last."""
        return failures in {min(_ALARM_AT, self._per_user), self._per_user}

    def owed(
        self, user_id: uuid.UUID, authenticator_id: uuid.UUID, *, now: datetime
    ) -> Callable[[Session], object]:
        """Return what charges one attempt by itself, should what was to count it have failed."""
        return self._charge(None, user_id, (authenticator_id,), now=now).made

    def _charge(
        self,
        session: GatewaySession | None,
        user_id: uuid.UUID | None,
        authenticator_ids: tuple[uuid.UUID, ...],
        *,
        recovery: bool = False,
        now: datetime,
    ) -> Charge:
        return Charge(
            changes=self._changes,
            session_id=session.id if session else None,
            user_id=user_id,
            authenticator_ids=authenticator_ids,
            recovery=recovery,
            now=now,
        )

    def allows(self, user_failures: int, retry_at: datetime | None, *, now: datetime) -> bool:
        """Tell whether an answer is judged after so many refusals of a user, and this wait."""
        return user_failures < self._per_user and (retry_at is None or retry_at <= now)

    def until(self, user_failures: int, retry_at: datetime | None) -> datetime | None:
        """Return when the next answer is judged; None for now, or if no time will bring it."""
        return None if user_failures >= self._per_user else retry_at

    def wait_after(self, failures: int, *, now: datetime) -> datetime | None:
        """Return when the next answer is judged after so many consecutive failures, if not now."""
        ahead = [now + wait for least, wait in self._waits.items() if failures >= least]
        return max(ahead, default=None)

    def left(self, session: GatewaySession) -> int:
        """Return how many more answers this session judges."""
        return max(0, self._per_session - session.judged)

    def left_before_wait(self, user: User, answering: Answering, *, now: datetime) -> int:
        """Return how many more wrong answers are judged before the user has to wait."""
        if self.spent(user, answering, now=now):
            return 0
        counts = [one.failures for one in answering.authenticators]
        counts += [user.recovery_failures] if answering.recovery else []
        return self.left_of(user.failures, counts)

    def left_of(self, user_failures: int, counts: Iterable[int]) -> int:
        """Return how many more wrong answers that is, where nothing waits now.

        Args:
            counts: consecutive failures of what is answered for.
        """
        lefts = [self._per_user - user_failures]
        for failures in counts:
            lefts += [least - failures for least in self._waits if least > failures]
        return min(lefts)


def _read_again(
    tx: Session, user: User, answering: Answering, session: GatewaySession | None
) -> None:
    """Learn what refused a charge: somebody else was faster."""
    if session is not None:
        tx.refresh(session, ["judged", "status"])
    tx.refresh(user, ["failures", "recovery_failures", "recovery_retry_at"])
    for authenticator in answering.authenticators:
        tx.refresh(authenticator, ["failures", "retry_at"])


def locked(retry_at: datetime | None) -> Refusal:
    """Return the refusal of a door behind which no answer is judged now."""
    when = "Wait until retry_at." if retry_at else "An administrator has to unlock the user."
    return Refusal("locked", f"Too many wrong codes. {when}", status=429, retry_at=retry_at)
