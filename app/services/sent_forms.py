"""Forms that show a secret once: sent again, by a reload or from history, they make nothing."""

from __future__ import annotations

import uuid
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.errors import Refusal
from app.models import SentForm

_KEPT_FOR = timedelta(hours=12)
"""As long as a session of an administrator lasts: then the form's own token is void."""


class SentForms:
    """Remembers which forms have done what they say."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def use(self, tx: Session, form_id: uuid.UUID) -> None:
        """Let a form count, in the transaction of what it does, and never again.

        Raises:
            Refusal: `form_sent_before`.
        """
        now = self._clock.now()
        tx.execute(sa.delete(SentForm).where(SentForm.sent_at <= now - _KEPT_FOR))
        try:
            with tx.begin_nested():  # of two at once, the second waits here for the first
                tx.execute(sa.insert(SentForm).values(id=form_id, sent_at=now))
        except IntegrityError:
            raise Refusal(
                "form_sent_before",
                "This form was sent before, and did what it says. What it showed then works, and "
                "can’t be shown again. If nobody has it, make a new one.",
                status=409,
            ) from None
