"""Delivered codes: made, sent or handed to the application, and used once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from ksuid import Ksuid
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import lock, touched_one
from app.factors import MESSAGE_CODES
from app.factors.base import Accepted, Reason, Refused
from app.factors.totp import normalize
from app.models import Authenticator, Challenge, User
from app.services.audit import Actor, Audit, EventKind
from app.services.delivery import Delivery
from app.services.method_settings import GATEWAY, MethodSettings

LIFETIME = timedelta(minutes=10)
ID_PREFIX = "totp-challenge_"
_PURPOSE = "challenge code"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A new challenge.

    Attributes:
        code: for the application to send; None if we sent it.
    """

    challenge: Challenge
    code: str | None = field(repr=False)


class Challenges:
    """Makes codes for authenticators whose codes are delivered, and uses them up."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        method_settings: MethodSettings,
        delivery: Delivery,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._method_settings = method_settings
        self._delivery = delivery
        self._audit = audit

    def new_id(self) -> str:
        """Return a fresh `totp-challenge_<KSUID>`."""
        return ID_PREFIX + str(Ksuid(self._clock.now()))

    def create(self, tx: Session, actor: Actor, user: User, authenticator: Authenticator) -> Asked:
        """Make a code for an authenticator; the codes before it die."""
        now = self._clock.now()
        code = MESSAGE_CODES[authenticator.kind].new_code()
        self._replace(tx, authenticator, now)
        challenge = Challenge(
            id=self.new_id(),
            authenticator_id=authenticator.id,
            code_hash=self._vault.hash(code, purpose=_PURPOSE),
            created_at=now,
            expires_at=now + LIFETIME,
        )
        tx.add(challenge)
        self._audit.record(
            tx, EventKind.CHALLENGE_CREATED, actor, user=user, kind=authenticator.kind
        )
        if self._method_settings.of_user(tx, user).sms_delivery != GATEWAY:
            return Asked(challenge=challenge, code=code)
        minutes = int(LIFETIME.total_seconds()) // 60
        self._delivery.send_code(tx, user, authenticator, code=code, minutes=minutes)
        return Asked(challenge=challenge, code=None)

    def consume(
        self, tx: Session, authenticator: Authenticator, answer: str, *, now: datetime
    ) -> Accepted | Refused:
        """Use up the code that this answer is, if it is still good."""
        hashes = self._vault.hashes(normalize(answer), purpose=_PURPOSE)
        mine = sa.and_(
            Challenge.authenticator_id == authenticator.id, Challenge.code_hash.in_(hashes)
        )
        use = (
            sa.update(Challenge)
            .where(mine, Challenge.used_at.is_(None), Challenge.expires_at > now)
            .values(used_at=now)
        )
        if touched_one(tx, use):
            authenticator.last_used_at = now
            return Accepted(step=0)
        known = tx.scalar(sa.select(Challenge.id).where(mine, Challenge.expires_at > now).limit(1))
        return Refused(reason=Reason.REPLAYED if known else Reason.WRONG)

    def _replace(self, tx: Session, authenticator: Authenticator, now: datetime) -> None:
        """Let older codes die, so that two are never good at once."""
        lock(tx, Authenticator.id, authenticator.id)
        tx.execute(
            sa.update(Challenge)
            .where(Challenge.authenticator_id == authenticator.id, Challenge.used_at.is_(None))
            .values(used_at=now)
        )
