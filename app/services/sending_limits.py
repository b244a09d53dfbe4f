"""How many codes are sent, to whom, and at what cost: asked before a code is even made."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.crypto import Vault
from app.db import keep_even_if_undone, lock
from app.factors.base import Reason, Refused
from app.models import Organization, SendCooldown, SendScope, User
from app.services.audit import SYSTEM, Actor, Audit, EventKind
from app.services.send_counts import Slot, Window, add, add_refused
from app.services.send_figures import Conversion, SendFigures
from app.services.send_targets import (
    Aim,
    Bar,
    Target,
    aim_at,
    cooldown_of,
    most,
    slots,
    unreachable,
    wait,
    waits_until,
)
from app.services.sending_rules import Rulebook, Rules


class SendingLimits:
    """Charges a message before its code is made; a refused one costs nothing more."""

    def __init__(self, vault: Vault, rules: Rulebook, figures: SendFigures, audit: Audit) -> None:
        self._vault = vault
        self._rules = rules
        self._figures = figures
        self._audit = audit

    def charge(
        self,
        tx: Session,
        actor_address: str | None,
        organization: Organization,
        user: User,
        channel: str,
        recipient: str,
        *,
        now: datetime,
    ) -> Refused | None:
        """Charge one message; see `charge_all`."""
        target = Target(channel=channel, recipient=recipient)
        return self.charge_all(tx, actor_address, organization, user, [target], now=now)

    def charge_all(
        self,
        tx: Session,
        actor_address: str | None,
        organization: Organization,
        user: User,
        targets: Sequence[Target],
        *,
        now: datetime,
    ) -> Refused | None:
        """Charge messages that are sent together: all of them or none.

        Each count holds its row until the transaction ends, so that parallel sends never pass a
        cap together. The user is locked first, as wherever an answer is judged; whoever holds an
        authenticator has to hold its user.

        Args:
            actor_address: of the user's client; None where a backend calls for the user.

        Returns:
            None if they are to be sent now; `Refused` leaves every count as it was.
        """
        lock(tx, User.id, user.id)
        rules = self._rules.of(tx, organization)
        aims = [aim_at(self._vault, target) for target in targets]
        barred = [bar for aim in aims if (bar := unreachable(organization.id, aim, rules))]
        bar = barred[0] if barred else self._charge(tx, actor_address, user, aims, rules, now)
        if bar is not None:
            tell = partial(
                self._tell,
                address=actor_address,
                organization_id=organization.id,
                user_id=user.id,
                bar=bar,
                rules=rules,
                now=now,
            )
            tell(tx)
            keep_even_if_undone(tx, tell)  # a door may answer by raising
            return Refused(reason=bar.reason, retry_at=bar.retry_at)
        if any(aim.by_phone for aim in aims):
            self._ring(tx, organization, rules, now)
        return None

    def retry_at(
        self,
        tx: Session,
        organization: Organization,
        channel: str,
        recipient: str,
        *,
        now: datetime,
    ) -> datetime | None:
        """Return until when the next message to a recipient has to wait; None if it need not."""
        at = waits_until(tx, organization.id, self._aim(channel, recipient))
        return at if at is not None and at > now else None

    def forgive(
        self, tx: Session, organization: Organization, channel: str, recipient: str
    ) -> None:
        """Let the next message to a recipient wait no more, after a right code; the caps stay.

        Where one is being sent at this moment its wait stays: nobody whose answer was right waits
        for a message to somebody else who has the same number.
        """
        mine = cooldown_of(organization.id, self._aim(channel, recipient))
        free = sa.select(SendCooldown.recipient_hash).where(mine).with_for_update(skip_locked=True)
        for found in tx.scalars(free).all():
            tx.execute(
                sa.delete(SendCooldown).where(mine, SendCooldown.recipient_hash == found),
                execution_options={"synchronize_session": False},
            )

    def sent(
        self,
        tx: Session,
        organization: Organization,
        channel: str,
        recipient: str,
        *,
        now: datetime,
    ) -> None:
        """Count, for its country and channel, a code that is sent."""
        self._count(tx, SendScope.SENT, organization, self._aim(channel, recipient), now)

    def confirmed(
        self,
        tx: Session,
        organization: Organization,
        channel: str,
        recipient: str,
        *,
        now: datetime,
    ) -> None:
        """Count, for its country and channel, a code that came back right."""
        self._count(tx, SendScope.CONFIRMED, organization, self._aim(channel, recipient), now)

    def takes_notices(self, tx: Session, organization: Organization, number: str) -> bool:
        """Tell whether a number may be texted what happened to its user, however much was sent."""
        aim, rules = self._aim("sms", number), self._rules.of(tx, organization)
        return unreachable(organization.id, aim, rules) is None

    def count_notice(
        self, tx: Session, organization: Organization, *, now: datetime, capped: bool
    ) -> bool:
        """Count a notice by the phone network in the budget.

        Args:
            capped: whether a spent budget stops it; it never stops one of a single deed.

        Returns:
            Whether it may go.
        """
        rules = self._rules.of(tx, organization)
        cap = rules.monthly_budget if capped else None
        if add(tx, Slot(organization.id, SendScope.BUDGET, Window.MONTH), 1, cap, now) is None:
            return False
        self._ring(tx, organization, rules, now)
        return True

    def conversion(self, tx: Session, organization: Organization) -> list[Conversion]:
        """Return what became of the codes of the last 30 days, by country and channel."""
        return self._figures.conversion(tx, organization)

    def _aim(self, channel: str, recipient: str) -> Aim:
        return aim_at(self._vault, Target(channel=channel, recipient=recipient))

    def _count(
        self, tx: Session, scope: SendScope, organization: Organization, aim: Aim, now: datetime
    ) -> None:
        key = f"{aim.country}:{aim.channel}"
        add(tx, Slot(organization.id, scope, Window.DAY, key), 1, None, now)

    def _charge(
        self,
        tx: Session,
        address: str | None,
        user: User,
        aims: Sequence[Aim],
        rules: Rules,
        now: datetime,
    ) -> Bar | None:
        """Change every count, or none, and return the first thing that is in the way."""
        with tx.begin_nested() as savepoint:
            bar = wait(tx, user.organization_id, aims, rules, now)
            bar = bar or self._fill(tx, address, user, aims, rules, now)
            if bar is not None:
                savepoint.rollback()
        return bar

    def _fill(
        self,
        tx: Session,
        address: str | None,
        user: User,
        aims: Sequence[Aim],
        rules: Rules,
        now: datetime,
    ) -> Bar | None:
        causes: dict[Slot, Aim] = {}
        amounts: Counter[Slot] = Counter()
        for aim in aims:
            for slot in slots(self._vault, address, user, aim, rules):
                causes.setdefault(slot, aim)
                amounts[slot] += 1
        for slot in sorted(amounts, key=lambda one: one.order):
            if add(tx, slot, amounts[slot], most(slot, rules), now) is None:
                is_budget = slot.scope is SendScope.BUDGET
                return Bar(
                    reason=Reason.BUDGET_SPENT if is_budget else Reason.SEND_LIMIT,
                    aim=causes[slot],
                    slot=slot,
                    retry_at=slot.window.ends(now),
                )
        return None

    def _ring(self, tx: Session, organization: Organization, rules: Rules, now: datetime) -> None:
        """Record once a month that most of the budget is spent."""
        budget = self._figures.budget(tx, organization, rules, now)
        if budget.sent < budget.alarm_at:
            return
        if add(tx, Slot(organization.id, SendScope.ALARM, Window.MONTH, "alarm"), 1, 1, now):
            self._audit.record(
                tx,
                EventKind.SENDING_BUDGET_ALARMED,
                SYSTEM,
                organization_id=organization.id,
                sent=budget.sent,
                budget=budget.most,
                percent=rules.alarm_percent,
            )

    def _tell(
        self,
        tx: Session,
        *,
        address: str | None,
        organization_id: uuid.UUID,
        user_id: uuid.UUID,
        bar: Bar,
        rules: Rules,
        now: datetime,
    ) -> None:
        """Count a refusal, and record the first of its kind in a window: not each of a flood."""
        if bar.slot is None:
            return
        is_first = add_refused(tx, bar.slot, now) == 1
        if bar.reason is Reason.BUDGET_SPENT:
            self._stop(tx, organization_id, rules, now)
        elif is_first:
            number = bar.aim.number
            is_prefix = bar.slot.scope is SendScope.PREFIX
            self._audit.record(
                tx,
                EventKind.SENDING_REFUSED,
                Actor(name=SYSTEM.name, address=address),
                organization_id=organization_id,
                user_id=user_id,
                reason=bar.reason.value,
                limit=bar.slot.scope.value,
                channel=bar.aim.channel,
                country=bar.aim.country,
                sort=number.sort.value if number else None,
                prefix=number.prefix(rules.prefix_digits) if number and is_prefix else None,
            )

    def _stop(self, tx: Session, organization_id: uuid.UUID, rules: Rules, now: datetime) -> None:
        """Record once a month, for each budget that was set in it, that it is spent."""
        key = f"stop at {rules.monthly_budget}"
        if add(tx, Slot(organization_id, SendScope.ALARM, Window.MONTH, key), 1, 1, now):
            self._audit.record(
                tx,
                EventKind.SENDING_BUDGET_SPENT,
                SYSTEM,
                organization_id=organization_id,
                budget=rules.monthly_budget,
            )
