"""Unsure sessions: opened for somebody whom anyone may have named, and only if they can confirm."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.orm import Session

from app.clock import Clock
from app.errors import Refusal
from app.models import GatewaySession
from app.services.gateway_sessions import Opened
from app.services.limits import Answering, Limits
from app.services.visits import Step, Visits


class UnsureSessions:
    """Opens sessions so that unknown, without a factor, locked and suspended look the same."""

    def __init__(self, clock: Clock, visits: Visits, limits: Limits) -> None:
        self._clock = clock
        self._visits = visits
        self._limits = limits

    def open(self, tx: Session, begin: Callable[[], Opened]) -> Opened | None:
        """Keep the session that `begin` opens if its user can confirm in it now.

        Args:
            begin: opens one with `subject_authenticated` false; it may raise `Refusal`.

        Returns:
            None where the user can't, and then nothing of it is kept.
        """
        attempt = tx.begin_nested()
        try:
            opened = begin()
        except Refusal:
            attempt.rollback()
            return None
        if not self._can_confirm(tx, opened.session):
            attempt.rollback()
            return None
        attempt.commit()
        return opened

    def _can_confirm(self, tx: Session, session: GatewaySession) -> bool:
        if self._visits.step(tx, session) is not Step.VERIFY:
            return False
        if self._limits.spent(session.user, Answering(), now=self._clock.now()):
            return False
        return self._visits.retry_at(tx, session) is None
