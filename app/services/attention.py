"""What needs an administrator's attention now: facts and numbers, the page puts them in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.models import (
    AdministratorRole,
    ApiKey,
    Application,
    Event,
    ImportJob,
    ImportStatus,
    KeyState,
    KeyUse,
    Organization,
    Policy,
    Role,
    SigningKey,
    User,
    Webhook,
)
from app.services.application_reach import select_applications, select_serving
from app.services.method_settings import MethodSettings
from app.services.overview import People
from app.services.send_figures import SendFigures
from app.services.send_troubles import SendTroubles
from app.services.tallies import DAY, Tallies, count
from app.services.user_states import UserStatus

_DEADLINE_SOON = timedelta(days=14)
_USUAL_DAYS = 14
_LEAST_DAYS = 3
"""Of history, before anything can be called usual."""
_LEAST_REFUSALS = 20
_TIMES_USUAL = 3
_SEALED_WITHIN = timedelta(minutes=1)
_NEWS = timedelta(days=7)
_MOST_FROZEN = 5


class Matter(StrEnum):
    """Something to look after, the most pressing first."""

    UNSEALED = "unsealed"
    """The worker doesn't run: events are recorded, but not sealed."""
    METHODS_OFF = "methods_off"
    BUDGET_SPENT = "budget_spent"
    """No code is sent by the phone network before the next month."""
    UNCARRIED = "uncarried"
    """A channel is on, and nobody carries its messages."""
    CHANNEL_BROKEN = "channel_broken"
    """Nothing goes out by a channel, though somebody should carry it."""
    SENDS_CAPPED = "sends_capped"
    """The same for today: as many were sent as an organization may in a day."""
    REFUSALS = "refusals"
    MESSAGES_FAILED = "messages_failed"
    BUDGET_LOW = "budget_low"
    FROZEN = "frozen"
    """A user says that a change was not theirs; nobody has looked yet."""
    LOCKED = "locked"
    OVERDUE = "overdue"
    DEADLINE = "deadline"
    WEBHOOK_OFF = "webhook_off"
    """Gatehouse switched it off, as nothing arrived there."""
    WEBHOOK_FAILING = "webhook_failing"
    IMPORT_FAILED = "import_failed"
    NO_APPLICATION = "no_application"
    ONE_OWNER = "one_owner"
    APPLICATION_SECRETS = "application_secrets"
    """The old one is accepted beside the new one."""
    API_KEY_SECRETS = "api_key_secrets"
    KEY_ROTATED = "key_rotated"
    """Results are signed by another key than a few days ago."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A matter, with what there is to say of it.

    Attributes:
        number: how many users, answers or rows it is about.
        usual: how many there are on a usual day, or may be at most.
        at: since when, or until when.
        name: of what it is about.
        id: of the same, as an address names it.
    """

    matter: Matter
    number: int = 0
    usual: int = 0
    at: datetime | None = None
    name: str = ""
    id: str = ""


class Attention:
    """Looks after an organization."""

    def __init__(
        self,
        clock: Clock,
        tallies: Tallies,
        method_settings: MethodSettings,
        send_figures: SendFigures,
        send_troubles: SendTroubles,
    ) -> None:
        self._clock = clock
        self._tallies = tallies
        self._method_settings = method_settings
        self._send_figures = send_figures
        self._send_troubles = send_troubles

    def needed(self, tx: Session, organization: Organization, people: People) -> list[Found]:
        """Return all that needs attention, the most pressing first.

        Args:
            people: how the users stand, as the overview counted them.
        """
        found = [
            *self._unsealed(tx),
            *self._methods_off(tx, organization, people),
            *self._sends(tx, organization),
            *self._messages(tx, organization),
            *self._refusals(tx, organization),
            *_frozen(tx, organization),
            *_people(people),
            *self._deadlines(tx, organization, people),
            *self._webhooks(tx, organization),
            *self._imports(tx, organization),
            *_no_application(tx, organization),
            *_one_owner(tx, organization),
            *self._overlaps(tx, organization),
            *self._key_rotated(tx),
        ]
        order = list(Matter)
        return sorted(found, key=lambda one: order.index(one.matter))

    def _unsealed(self, tx: Session) -> Iterator[Found]:
        oldest = sa.select(Event.at).where(Event.seal_id.is_(None)).order_by(Event.id).limit(1)
        since = tx.scalar(oldest)
        if since is not None and since < self._clock.now() - _SEALED_WITHIN:
            yield Found(matter=Matter.UNSEALED, at=since)

    def _methods_off(
        self, tx: Session, organization: Organization, people: People
    ) -> Iterator[Found]:
        if people.enrolled and not self._method_settings.offered(tx, organization):
            yield Found(matter=Matter.METHODS_OFF, number=people.enrolled)

    def _sends(self, tx: Session, organization: Organization) -> Iterator[Found]:
        budget = self._send_figures.budget(tx, organization)
        if budget.is_spent:
            yield Found(matter=Matter.BUDGET_SPENT, number=budget.most, at=budget.until)
        elif budget.is_low:
            yield Found(matter=Matter.BUDGET_LOW, number=budget.sent, usual=budget.most)
        if capped := self._send_figures.capped_today(tx, organization):
            yield Found(matter=Matter.SENDS_CAPPED, number=capped)

    def _messages(self, tx: Session, organization: Organization) -> Iterator[Found]:
        troubles = self._send_troubles.of(tx, organization)
        for channel in troubles.uncarried:
            yield Found(matter=Matter.UNCARRIED, name=channel)
        for channel, number in troubles.broken.items():
            yield Found(matter=Matter.CHANNEL_BROKEN, name=channel, number=number)
        if troubles.failed:
            yield Found(matter=Matter.MESSAGES_FAILED, number=troubles.failed)

    def _refusals(self, tx: Session, organization: Organization) -> Iterator[Found]:
        """Compare the last 24 hours with the two weeks that were over before them."""
        now = self._clock.now()
        last_day = count(tx, organization.id, now - DAY, now, with_times=False)
        recent = last_day.total(accepted=False)
        if recent < _LEAST_REFUSALS:
            return
        last = now.date() - 2 * DAY
        days = self._tallies.of_days(tx, organization, last - (_USUAL_DAYS - 1) * DAY, last)
        if not days or (span := (last - min(days)).days + 1) < _LEAST_DAYS:
            return
        usual = sum(day.total(accepted=False) for day in days.values()) / span
        if recent >= _TIMES_USUAL * usual:
            yield Found(matter=Matter.REFUSALS, number=recent, usual=round(usual))

    def _deadlines(
        self, tx: Session, organization: Organization, people: People
    ) -> Iterator[Found]:
        now = self._clock.now()
        bare = people.of(UserStatus.PENDING)
        rows = tx.execute(
            sa.select(Policy.required_from, Application.name)
            .outerjoin(Application, Application.id == Policy.application_id)
            .where(
                Policy.organization_id == organization.id,
                Policy.required_from > now,
                Policy.required_from <= now + _DEADLINE_SOON,
                Application.deleted_at.is_(None),
            )
            .order_by(Policy.required_from)
        )
        for required_from, name in rows:
            if bare:
                yield Found(matter=Matter.DEADLINE, number=bare, at=required_from, name=name or "")

    def _imports(self, tx: Session, organization: Organization) -> Iterator[Found]:
        failed = sa.or_(
            ImportJob.status == ImportStatus.FAILED,
            sa.and_(ImportJob.status == ImportStatus.DONE, ImportJob.failed > 0),
        )
        recent = ImportJob.created_at > self._clock.now() - _NEWS
        mine = sa.select(ImportJob).where(ImportJob.organization_id == organization.id)
        newest = mine.where(failed, recent).order_by(ImportJob.created_at.desc()).limit(3)
        for job in tx.scalars(newest):
            number = 0 if job.status is ImportStatus.FAILED else job.failed
            yield Found(
                matter=Matter.IMPORT_FAILED, number=number, name=job.filename, id=str(job.id)
            )

    def _webhooks(self, tx: Session, organization: Organization) -> Iterator[Found]:
        mine = sa.select(Webhook).where(Webhook.organization_id == organization.id)
        for one in tx.scalars(mine.order_by(Webhook.name)):
            if not one.active and one.off_reason:
                yield Found(matter=Matter.WEBHOOK_OFF, at=one.off_at, name=one.name, id=one.id)
            elif one.active and one.failing_since:
                since = one.failing_since
                yield Found(matter=Matter.WEBHOOK_FAILING, at=since, name=one.name, id=one.id)

    def _overlaps(self, tx: Session, organization: Organization) -> Iterator[Found]:
        now = self._clock.now()
        own = select_applications(organization.environment, organization)
        running = own.where(Application.previous_until > now)
        for one in tx.scalars(running.order_by(Application.name)):
            yield _overlap(Matter.APPLICATION_SECRETS, one)
        keys = sa.select(ApiKey).where(
            ApiKey.organization_id == organization.id,
            ApiKey.blocked_at.is_(None),
            ApiKey.previous_until > now,
        )
        for key in tx.scalars(keys.order_by(ApiKey.name)):
            yield _overlap(Matter.API_KEY_SECRETS, key)

    def _key_rotated(self, tx: Session) -> Iterator[Found]:
        """Find a key that was the next one before: the first of a deployment never was."""
        active = sa.select(SigningKey.activated_at).where(
            SigningKey.use == KeyUse.RESULT,
            SigningKey.state == KeyState.ACTIVE,
            SigningKey.activated_at > self._clock.now() - _NEWS,
            SigningKey.activated_at > SigningKey.created_at,
        )
        if (at := tx.scalar(active)) is not None:
            yield Found(matter=Matter.KEY_ROTATED, at=at)


def _frozen(tx: Session, organization: Organization) -> Iterator[Found]:
    waiting = sa.select(User).where(
        User.organization_id == organization.id, User.frozen_at.is_not(None)
    )
    for user in tx.scalars(waiting.order_by(User.frozen_at).limit(_MOST_FROZEN)):
        yield Found(matter=Matter.FROZEN, name=user.label, at=user.frozen_at, id=str(user.id))


def _people(people: People) -> Iterator[Found]:
    matters = {UserStatus.LOCKED: Matter.LOCKED, UserStatus.OVERDUE: Matter.OVERDUE}
    for status, matter in matters.items():
        if number := people.of(status):
            yield Found(matter=matter, number=number)


def _no_application(tx: Session, organization: Organization) -> Iterator[Found]:
    if tx.scalar(select_serving(organization).limit(1)) is None:
        yield Found(matter=Matter.NO_APPLICATION)


def _one_owner(tx: Session, organization: Organization) -> Iterator[Found]:
    owners = sa.select(sa.func.count()).where(
        AdministratorRole.organization_id == organization.id, AdministratorRole.role == Role.OWNER
    )
    if (number := tx.scalar(owners) or 0) < 2:
        yield Found(matter=Matter.ONE_OWNER, number=number)


def _overlap(matter: Matter, one: Application | ApiKey) -> Found:
    return Found(matter=matter, at=one.previous_until, name=one.name, id=str(one.id))
