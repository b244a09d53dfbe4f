"""Webhooks: where an organization, or a whole environment, is told of events."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from ksuid import Ksuid
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import lock, touched_one
from app.errors import Invalid, NotFound, Refusal
from app.models import DeliveryStatus, Environment, Organization, Webhook, WebhookDelivery
from app.models.webhook import PENDING
from app.services.audit import Actor, EventKind
from app.services.credentials import MOST_OVERLAP
from app.services.webhook_drafts import Draft
from app.services.webhook_events import WebhookEvents
from app.services.webhook_signing import Signing, mark, overlaps_until

ID_PREFIX = "webhook_"
MOST_WEBHOOKS = 20
"""Of one organization, and of an environment as a whole."""


class Webhooks:
    """Makes, finds and changes webhooks."""

    def __init__(self, clock: Clock, vault: Vault, events: WebhookEvents) -> None:
        self._clock = clock
        self._signing = Signing(vault)
        self._events = events

    def create(
        self,
        tx: Session,
        actor: Actor,
        draft: Draft,
        *,
        environment: Environment,
        organization: Organization | None,
    ) -> tuple[Webhook, str]:
        """Create a webhook; return it with its secret, which is shown this once.

        Args:
            organization: the one that it hears of; none lets it hear of all its environment.

        Raises:
            Refusal: `too_many_webhooks`.
        """
        if organization is not None:
            lock(tx, Organization.id, organization.id)
        self._demand_room(tx, environment, organization)
        now = self._clock.now()
        webhook = Webhook(
            id=ID_PREFIX + str(Ksuid(now)),
            environment=environment,
            organization_id=organization.id if organization else None,
            organization=organization,
            name=draft.name,
            target_url=draft.target_url,
            event_codes=draft.event_codes,
            active=True,
            listens_from=now,
            created_at=now,
            updated_at=now,
        )
        secret = self._signing.issue(webhook)
        tx.add(webhook)
        tx.flush()
        self._events.record(tx, EventKind.WEBHOOK_CREATED, actor, webhook)
        return webhook, secret

    def page(
        self,
        tx: Session,
        environment: Environment,
        organization: Organization | None = None,
        *,
        page: int = 1,
        per_page: int | None = None,
    ) -> tuple[list[Webhook], int]:
        """Return a page of an environment's webhooks, newest first, and their number.

        Args:
            organization: the one whose webhooks alone are meant.
            per_page: None means all of them.
        """
        chosen = _webhooks(environment, organization)
        total = tx.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
        newest = chosen.order_by(Webhook.created_at.desc(), Webhook.id)
        rows = tx.scalars(newest.limit(per_page).offset((page - 1) * (per_page or 0)))
        return list(rows), total

    def named(
        self,
        tx: Session,
        environment: Environment,
        organization: Organization | None,
        webhook_id: str,
    ) -> Webhook:
        """Return one of the webhooks that `page` lists.

        Raises:
            NotFound: it is not among them.
        """
        chosen = _webhooks(environment, organization).where(Webhook.id == webhook_id)
        found = tx.scalar(chosen)
        if found is None:
            raise NotFound("webhook")
        return found

    def update(self, tx: Session, actor: Actor, webhook: Webhook, draft: Draft) -> None:
        """Change what a webhook is called, where it leads and what it hears of.

        What waits for it goes to the new address.
        """
        lock(tx, Webhook.id, webhook.id)
        tx.refresh(webhook)
        names = ("name", "target_url", "event_codes")
        changed = [one for one in names if getattr(webhook, one) != getattr(draft, one)]
        if not changed:
            return
        for one in changed:
            setattr(webhook, one, getattr(draft, one))
        webhook.updated_at = self._clock.now()
        self._events.record(
            tx, EventKind.WEBHOOK_UPDATED, actor, webhook, changed=" ".join(changed)
        )

    def delete(self, tx: Session, actor: Actor, webhook: Webhook) -> None:
        """Delete a webhook with all that waits for it, and its log.

        Raises:
            NotFound: somebody deleted it at this moment.
        """
        if not touched_one(tx, sa.delete(Webhook).where(Webhook.id == webhook.id)):
            raise NotFound("webhook")
        tx.expunge(webhook)
        self._events.record(tx, EventKind.WEBHOOK_DELETED, actor, webhook)

    def replace_secret(
        self,
        tx: Session,
        actor: Actor,
        webhook: Webhook,
        *,
        overlap: timedelta = timedelta(0),
        instead_of: str | None = None,
    ) -> str:
        """Give a webhook a new secret and return it.

        Args:
            overlap: how long requests are signed with the old one, too.
            instead_of: the mark (`secret_mark`) of the secret that is meant; None means any.

        Raises:
            Invalid: the overlap is negative, or longer than a week.
            Refusal: `secret_replaced`, if it was another one by now.
        """
        if not timedelta(0) <= overlap <= MOST_OVERLAP:
            most = int(MOST_OVERLAP.total_seconds())
            raise Invalid("overlap_seconds", f"use a number from 0 to {most}.")
        lock(tx, Webhook.id, webhook.id)
        tx.refresh(webhook)
        if instead_of not in {None, mark(webhook)}:
            raise Refusal(
                "secret_replaced",
                "The secret was replaced already. The one that was shown then works.",
                status=409,
            )
        now = self._clock.now()
        secret = self._signing.replace(webhook, until=now + overlap if overlap else None)
        webhook.updated_at = now
        self._events.record(tx, EventKind.WEBHOOK_SECRET_REPLACED, actor, webhook)
        return secret

    def switch_on(self, tx: Session, actor: Actor, webhook: Webhook) -> None:
        """Let a webhook hear of what happens from now on; what waited for it goes on."""
        now = self._clock.now()
        switch = (
            sa.update(Webhook)
            .where(Webhook.id == webhook.id, Webhook.active.is_(False))
            .values(
                active=True,
                listens_from=now,
                off_reason=None,
                off_at=None,
                failing_since=None,
                updated_at=now,
            )
        )
        if touched_one(tx, switch):
            tx.execute(_waiting(webhook).values(due_at=now))
            self._events.record(tx, EventKind.WEBHOOK_SWITCHED_ON, actor, webhook)
        tx.refresh(webhook)

    def switch_off(
        self, tx: Session, actor: Actor, webhook: Webhook, *, reason: str | None = None
    ) -> bool:
        """Let a webhook hear of nothing more, and tell whether it was on.

        What waits for it stays, and is not tried.

        Args:
            reason: why Gatehouse itself does it: `gone` or `failing`.
        """
        now = self._clock.now()
        switch = (
            sa.update(Webhook)
            .where(Webhook.id == webhook.id, Webhook.active)
            .values(active=False, off_reason=reason, off_at=now, updated_at=now)
        )
        done = touched_one(tx, switch)
        if done:
            tx.execute(_waiting(webhook).values(due_at=None))
            cause = reason or "by_hand"
            self._events.record(tx, EventKind.WEBHOOK_SWITCHED_OFF, actor, webhook, cause=cause)
        tx.refresh(webhook)
        return done

    def secret_mark(self, webhook: Webhook) -> str:
        """Return what changes whenever the secret does, and tells nothing of it."""
        return mark(webhook)

    def overlaps_until(self, webhook: Webhook) -> datetime | None:
        """Return until when the secret before this one signs, too, if it still does."""
        return overlaps_until(webhook, self._clock.now())

    def _demand_room(
        self, tx: Session, environment: Environment, organization: Organization | None
    ) -> None:
        own = Webhook.organization_id == organization.id if organization else None
        mine = own if own is not None else Webhook.organization_id.is_(None)
        chosen = sa.select(sa.func.count()).where(Webhook.environment == environment, mine)
        if (tx.scalar(chosen) or 0) >= MOST_WEBHOOKS:
            raise Refusal(
                "too_many_webhooks",
                f"There are {MOST_WEBHOOKS} webhooks already. Delete one first.",
            )


def _waiting(webhook: Webhook) -> sa.Update:
    """Return a change of what waits for a webhook."""
    waiting = sa.update(WebhookDelivery).where(
        WebhookDelivery.webhook_id == webhook.id,
        WebhookDelivery.status == DeliveryStatus.WAITING,
        PENDING,
    )
    return waiting.execution_options(synchronize_session=False)


def _webhooks(environment: Environment, organization: Organization | None) -> sa.Select[Webhook]:
    """Select webhooks, but none of a deleted organization, which no door shows."""
    chosen = sa.select(Webhook).where(Webhook.environment == environment)
    if organization is not None:
        return chosen.where(Webhook.organization_id == organization.id)
    shown = Webhook.organization.has(Organization.deleted_at.is_(None))
    return chosen.where(sa.or_(Webhook.organization_id.is_(None), shown))
