"""Sessions of administrators: who is admitted, under which secret, and for how long."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from app.clock import Clock
from app.crypto import Vault, new_token
from app.db import touched_one
from app.errors import NotFound
from app.models import Administrator, AdministratorSession, Organization, User
from app.services.administrator_events import AdministratorEvents
from app.services.audit import Actor, EventKind

LASTS = timedelta(hours=12)
IDLE = timedelta(hours=1)
FRESH = timedelta(minutes=10)
STILL_FRESH = timedelta(minutes=30)
"""So old the second factor may be when a form comes back that was opened while it was fresh."""
_SEEN_EVERY = timedelta(minutes=1)
_TOKEN = "administrator session"  # noqa: S105


@dataclass(frozen=True, kw_only=True)
class Admitted:
    """A session that begins, or goes on under a new secret, which is told only here."""

    session: AdministratorSession
    secret: str = field(repr=False)


class AdministratorSessions:
    """Begins, knows and ends sessions; each change of privilege brings a new secret."""

    def __init__(self, clock: Clock, vault: Vault, events: AdministratorEvents) -> None:
        self._clock = clock
        self._vault = vault
        self._events = events

    def begin(self, tx: Session, actor: Actor, administrator: Administrator) -> Admitted:
        """Begin a session for somebody who proved both factors."""
        now, secret = self._clock.now(), new_token()
        session = AdministratorSession(
            id=uuid.uuid4(),
            administrator_id=administrator.id,
            administrator=administrator,
            token_hash=self._vault.hash(secret, purpose=_TOKEN),
            address=actor.address,
            device=actor.device,
            created_at=now,
            seen_at=now,
            verified_at=now,
            expires_at=now + LASTS,
        )
        tx.add(session)
        self._events.record(tx, EventKind.ADMINISTRATOR_SIGNED_IN, actor, administrator)
        return Admitted(session=session, secret=secret)

    def renew(self, tx: Session, actor: Actor, current: AdministratorSession) -> Admitted | None:
        """Let a session go on as fresh, under a new secret; None if it is over."""
        now, secret = self._clock.now(), new_token()
        renew = (
            sa.update(AdministratorSession)
            .where(AdministratorSession.id == current.id, *self._live())
            .values(
                token_hash=self._vault.hash(secret, purpose=_TOKEN), verified_at=now, seen_at=now
            )
        )
        if not touched_one(tx, renew):
            return None
        self._events.record(tx, EventKind.ADMINISTRATOR_VERIFIED, actor, current.administrator)
        return Admitted(session=current, secret=secret)

    def rotate(self, tx: Session, current: AdministratorSession) -> Admitted | None:
        """Let a session go on under a new secret, after it gained or lost rights; None if over.

        Every other session of the administrator ends: its secret is from before.
        """
        secret = new_token()
        rotate = (
            sa.update(AdministratorSession)
            .where(AdministratorSession.id == current.id, *self._live())
            .values(token_hash=self._vault.hash(secret, purpose=_TOKEN))
        )
        self._end(tx, current.administrator, AdministratorSession.id != current.id)
        return Admitted(session=current, secret=secret) if touched_one(tx, rotate) else None

    def current(self, tx: Session, secret: str) -> AdministratorSession | None:
        """Return the live session with this secret."""
        hashes = self._vault.hashes(secret, purpose=_TOKEN)
        return tx.scalar(
            sa.select(AdministratorSession)
            .where(AdministratorSession.token_hash.in_(hashes), *self._live())
            .options(
                joinedload(AdministratorSession.administrator)
                .joinedload(Administrator.user)
                .joinedload(User.organization)
            )
        )

    def is_seen(self, session: AdministratorSession) -> bool:
        """Tell whether it was noted a moment ago that the session is in use."""
        return self._clock.now() - session.seen_at < _SEEN_EVERY

    def see(
        self, tx: Session, session: AdministratorSession, organization: Organization | None = None
    ) -> None:
        """Note that a session is in use, and which organization it looks at."""
        values: dict[str, object] = {"seen_at": self._clock.now()}
        if organization is not None:
            values["organization_id"] = organization.id
        tx.execute(
            sa.update(AdministratorSession)
            .where(AdministratorSession.id == session.id, *self._live())
            .values(values)
        )

    def is_fresh(self, session: AdministratorSession, *, sends_form: bool) -> bool:
        """Tell whether the second factor was proved lately enough for a dangerous action."""
        age = self._clock.now() - session.verified_at
        return age < (STILL_FRESH if sends_form else FRESH)

    def of(self, tx: Session, administrator: Administrator) -> list[AdministratorSession]:
        """Return an administrator's live sessions, last seen first."""
        mine = sa.select(AdministratorSession).where(
            AdministratorSession.administrator_id == administrator.id, *self._live()
        )
        return list(tx.scalars(mine.order_by(AdministratorSession.seen_at.desc())))

    def end(
        self, tx: Session, actor: Actor, administrator: Administrator, session_id: uuid.UUID
    ) -> None:
        """End one of an administrator's sessions.

        Raises:
            NotFound: it is over, or somebody else's.
        """
        mine = sa.update(AdministratorSession).where(
            AdministratorSession.id == session_id,
            AdministratorSession.administrator_id == administrator.id,
            *self._live(),
        )
        if not touched_one(tx, mine.values(ended_at=self._clock.now())):
            raise NotFound("session")
        self._events.record(tx, EventKind.ADMINISTRATOR_SIGNED_OUT, actor, administrator)

    def end_others(self, tx: Session, actor: Actor, current: AdministratorSession) -> int:
        """End every session of an administrator but this one, and return how many ended."""
        ended = self._end(tx, current.administrator, AdministratorSession.id != current.id)
        if ended:
            self._events.record(
                tx,
                EventKind.ADMINISTRATOR_SIGNED_OUT_ELSEWHERE,
                actor,
                current.administrator,
                sessions=ended,
            )
        return ended

    def end_all(self, tx: Session, administrator: Administrator) -> None:
        """End every session of an administrator; what they end for is recorded by the caller."""
        self._end(tx, administrator)

    def _end(
        self, tx: Session, administrator: Administrator, *which: sa.ColumnElement[bool]
    ) -> int:
        live = sa.update(AdministratorSession).where(
            AdministratorSession.administrator_id == administrator.id, *self._live(), *which
        )
        ended = tx.execute(live.values(ended_at=self._clock.now()))
        return int(ended.rowcount)  # type: ignore[attr-defined]

    def _live(self) -> tuple[sa.ColumnElement[bool], ...]:
        now = self._clock.now()
        return (
            AdministratorSession.ended_at.is_(None),
            AdministratorSession.expires_at > now,
            AdministratorSession.seen_at > now - IDLE,
        )
