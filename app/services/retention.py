"""Retention: how long events, messages and links are kept, and deleting what is older."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.config import Config
from app.db import Database, lock, touched_one
from app.errors import Invalid
from app.models import (
    Arrival,
    Event,
    FreezeLink,
    Message,
    MessageStatus,
    Organization,
    Seal,
    User,
    WebhookDelivery,
)
from app.services import password_guesses, send_counts
from app.services.audit import SYSTEM, Actor, Audit, EventKind
from app.services.seals import BATCH, Seals, among, ids_of, in_groups

SHORTEST, LONGEST = 30, 3650
"""Days; who wants them kept for ever sets none."""

_SEALS_AT_ONCE = 100
_MESSAGES_AT_ONCE = 5_000
_ARRIVALS_KEPT = timedelta(days=1)
_LINKS_KEPT = timedelta(days=30)
"""So long after its end the page of a freeze link says that it is over."""
_LINKS_AT_ONCE = 5_000
_ENDED = (
    MessageStatus.CAPTURED,
    MessageStatus.SENT,
    MessageStatus.DELIVERED,
    MessageStatus.FAILED,
)
"""What waits is left to the senders, which give it up in time."""
_FOR_EVER = "for ever"


class Retention:
    """Changes how long events are kept, and deletes them seal by seal, from the oldest on.

    Messages are kept as long as the deployment says, for every organization.
    """

    def __init__(
        self, config: Config, database: Database, clock: Clock, seals: Seals, audit: Audit
    ) -> None:
        self._message_days = timedelta(days=config.message_days)
        self._database = database
        self._clock = clock
        self._seals = seals
        self._audit = audit

    def change(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        days: int | None,
        *,
        why: str | None = None,
    ) -> bool:
        """Keep an organization's events so many days from now on; tell whether that is new.

        Args:
            days: None means for ever.
            why: the administrator's reason.

        Raises:
            Invalid: fewer days than anybody would look back, or more than ten years.
        """
        if days is not None and not SHORTEST <= days <= LONGEST:
            raise Invalid("audit_days", f"keep them {SHORTEST} to {LONGEST} days, or for ever.")
        lock(tx, Organization.id, organization.id)
        tx.refresh(organization, ["audit_days"])
        before = organization.audit_days
        if days == before:
            return False
        organization.audit_days = days
        self._audit.record(
            tx,
            EventKind.AUDIT_RETENTION_CHANGED,
            actor,
            organization_id=organization.id,
            why=why,
            kept=_in_words(days),
            before=_in_words(before),
        )
        return True

    def due(self, tx: Session, organization: Organization, days: int | None) -> int:
        """Return how many events would be deleted soon if they were kept so many days."""
        if days is None:
            return 0
        older = _kept(organization.id).where(Seal.created_at < self._until(days))
        return int(tx.scalar(sa.select(sa.func.sum(older.subquery().c.count))) or 0)

    def purge(self) -> bool:
        """Delete some of the events that are older than their organization keeps them.

        Old messages, old deliveries to webhooks, counts of messages that nobody asks for any more,
        arrivals and freeze links that are over, and old counts of passwords go with them.

        Returns:
            Whether there may be more to delete at once.
        """
        with self._database.reading() as tx:
            limited = sa.select(Organization.id, Organization.audit_days).where(
                Organization.audit_days.is_not(None)
            )
            asked = tx.execute(limited.order_by(Organization.id)).all()
        more = [self._purge_some(owner, max(days or SHORTEST, SHORTEST)) for owner, days in asked]
        others = (
            self._purge_messages(),
            self._purge_webhooks(),
            self._purge_counts(),
            self._purge_arrivals(),
            self._purge_links(),
            self._purge_guesses(),
        )
        return any([*more, *others])

    def _purge_messages(self) -> bool:
        """Delete some of the messages that are too old, whatever became of them."""
        until = self._clock.now() - self._message_days
        due = sa.and_(Message.created_at < until, Message.status.in_(_ENDED))
        oldest = sa.select(Message.id).where(due).order_by(Message.created_at, Message.id)
        gone = sa.delete(Message).where(Message.id.in_(oldest.limit(_MESSAGES_AT_ONCE)), due)
        with self._database.writing() as tx:
            done = tx.execute(gone, execution_options={"synchronize_session": False})
        return int(done.rowcount) >= _MESSAGES_AT_ONCE  # type: ignore[attr-defined]

    def _purge_webhooks(self) -> bool:
        """Delete some of the deliveries that are too old; what waits so long waits for nothing."""
        due = WebhookDelivery.created_at < self._clock.now() - self._message_days
        oldest = sa.select(WebhookDelivery.id).where(due).order_by(WebhookDelivery.created_at)
        gone = sa.delete(WebhookDelivery).where(
            WebhookDelivery.id.in_(oldest.limit(_MESSAGES_AT_ONCE))
        )
        with self._database.writing() as tx:
            done = tx.execute(gone, execution_options={"synchronize_session": False})
        return int(done.rowcount) >= _MESSAGES_AT_ONCE  # type: ignore[attr-defined]

    def _purge_arrivals(self) -> bool:
        """Delete arrivals that were over a day ago: addresses of people who may be no users."""
        until = self._clock.now() - _ARRIVALS_KEPT
        old = sa.select(Arrival.id).where(Arrival.expires_at < until).limit(_MESSAGES_AT_ONCE)
        gone = sa.delete(Arrival).where(Arrival.id.in_(old))
        with self._database.writing() as tx:
            done = tx.execute(gone, execution_options={"synchronize_session": False})
        return int(done.rowcount) >= _MESSAGES_AT_ONCE  # type: ignore[attr-defined]

    def _purge_guesses(self) -> bool:
        with self._database.writing() as tx:
            return password_guesses.purge(tx, self._clock.now())

    def _purge_links(self) -> bool:
        """Delete some of the freeze links that are over, but those that still freeze somebody."""
        frozen = sa.select(User.id).where(User.frozen_at.is_not(None))
        holds = sa.and_(FreezeLink.used_at.is_not(None), FreezeLink.user_id.in_(frozen))
        due = sa.and_(FreezeLink.expires_at < self._clock.now() - _LINKS_KEPT, ~holds)
        oldest = sa.select(FreezeLink.id).where(due).order_by(FreezeLink.expires_at)
        gone = sa.delete(FreezeLink).where(FreezeLink.id.in_(oldest.limit(_LINKS_AT_ONCE)), due)
        with self._database.writing() as tx:
            done = tx.execute(gone, execution_options={"synchronize_session": False})
        return int(done.rowcount) >= _LINKS_AT_ONCE  # type: ignore[attr-defined]

    def _purge_counts(self) -> bool:
        with self._database.writing() as tx:
            return send_counts.purge(tx, self._clock.now())

    def _purge_some(self, organization_id: uuid.UUID, days: int) -> bool:
        with self._database.reading() as tx:
            batch = self._oldest(tx, organization_id, self._until(days))
        if not batch:
            return False
        with self._database.writing() as tx:
            purged = [seal for seal in batch if self._mark(tx, seal)]
            events = sum(_delete(tx, seal) for seal in purged)
            if purged:
                self._audit.record(
                    tx,
                    EventKind.AUDIT_PURGED,
                    SYSTEM,
                    organization_id=organization_id,
                    events=events,
                    days=days,
                    first_seal=purged[0].number,
                    last_seal=purged[-1].number,
                )
        return True

    def _oldest(self, tx: Session, organization_id: uuid.UUID, until: datetime) -> Sequence[Seal]:
        """Return the oldest seals that are due, with no more events than one seal may have."""
        kept = _kept(organization_id).order_by(Seal.number).limit(_SEALS_AT_ONCE)
        chosen: list[Seal] = []
        for seal in tx.scalars(kept):
            if seal.created_at >= until:
                break
            if chosen and sum(one.count for one in chosen) + seal.count > BATCH:
                break
            chosen.append(seal)
        return chosen

    def _mark(self, tx: Session, seal: Seal) -> bool:
        """Let the seal say that its events are gone, unless another worker is doing it."""
        now = self._clock.now()
        mark = (
            sa.update(Seal)
            .where(Seal.id == seal.id, Seal.purged_at.is_(None))
            .values(purged_at=now, purge_proof=self._seals.purge_proof(seal, now))
        )
        return touched_one(tx, mark)

    def _until(self, days: int) -> datetime:
        """Return the moment before which a seal has nothing that is to be kept.

        No event is younger than its seal.
        """
        return self._clock.now() - timedelta(days=days)


def _kept(organization_id: uuid.UUID) -> sa.Select[Seal]:
    return sa.select(Seal).where(Seal.chain == str(organization_id), Seal.purged_at.is_(None))


def _delete(tx: Session, seal: Seal) -> int:
    count = 0
    for ids in in_groups(ids_of(seal.event_ids)):
        gone = sa.delete(Event).where(among(ids), Event.seal_id == seal.id)
        done = tx.execute(gone, execution_options={"synchronize_session": False})
        count += int(done.rowcount)  # type: ignore[attr-defined]
    return count


def _in_words(days: int | None) -> str:
    return _FOR_EVER if days is None else f"{days} days"
