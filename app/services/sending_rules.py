"""What an organization allows of messages with codes: countries, caps, waits, and the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.clock import Clock
from app.config import Config
from app.db import lock
from app.errors import Invalid
from app.models import Organization, SendingRules
from app.services.audit import Actor, Audit, EventKind
from app.services.phone_numbers import COUNTRIES, country_of_locale

_RANGES = {
    "per_number_day": range(1, 1_001),
    "per_user_day": range(1, 1_001),
    "per_address_hour": range(1, 10_001),
    "per_prefix_hour": range(1, 100_001),
    "prefix_digits": range(2, 9),
    "per_organization_day": range(1, 10_000_001),
    "emails_per_organization_day": range(1, 10_000_001),
    "monthly_budget": range(1, 100_000_001),
    "alarm_percent": range(1, 101),
}
_MOST_COOLDOWNS = 10
_COOLDOWN_SECONDS = range(10, 86_401)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What holds for an organization.

    Attributes:
        countries: whose numbers are texted and called, by their codes of ISO 3166.
        risk_accepted: whether the phone network may be offered beside nothing stronger.
        per_number_day: messages to one recipient in a day, whatever the spelling.
        per_user_day: messages to one user in a day.
        per_address_hour: messages that one client address (of IPv6: one network of 64 bits)
            causes in an hour.
        per_prefix_hour: messages in an hour to numbers that begin alike.
        prefix_digits: so many digits after the country code they share.
        per_organization_day: messages by the phone network in a day.
        emails_per_organization_day: messages by e-mail in a day.
        monthly_budget: messages by the phone network in a calendar month.
        alarm_percent: of the budget.
        cooldowns: seconds between two messages to the same recipient; the last one stays.
    """

    countries: tuple[str, ...]
    risk_accepted: bool = False
    per_number_day: int = 20
    per_user_day: int = 30
    per_address_hour: int = 60
    per_prefix_hour: int = 30
    prefix_digits: int = 5
    per_organization_day: int = 1_000
    emails_per_organization_day: int = 10_000
    monthly_budget: int = 10_000
    alarm_percent: int = 80
    cooldowns: tuple[int, ...] = (30, 60, 120, 300, 900)

    @property
    def alarm_at(self) -> int:
        """The number of messages in a month that rings the alarm."""
        return max(1, -(-self.monthly_budget * self.alarm_percent // 100))


class Rulebook:
    """Reads and changes what organizations allow."""

    def __init__(self, config: Config, clock: Clock, audit: Audit) -> None:
        self._default_country = config.default_country
        self._clock = clock
        self._audit = audit

    def of(self, tx: Session, organization: Organization) -> Rules:
        """Return what holds for an organization now."""
        return self._read(organization, tx.get(SendingRules, organization.id))

    def change(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        *,
        why: str | None = None,
        **changes: Any,
    ) -> Rules:
        """Change what an organization allows, and return what holds from then on.

        Args:
            why: the administrator's reason.
            changes: fields of `Rules`; None puts one back to what is usual.

        Raises:
            Invalid: a field can't have that value.
        """
        lock(tx, Organization.id, organization.id)
        row = tx.get(SendingRules, organization.id, populate_existing=True)
        before = self._read(organization, row)
        if row is None:
            row = SendingRules(organization_id=organization.id, parameters={})
            tx.add(row)
        row.parameters = _changed(row.parameters, changes)
        row.updated_at = self._clock.now()
        tx.flush()
        after = self._read(organization, row)
        if after != before:
            self._record(tx, actor, organization, before, after, why)
        return after

    def proposed(self, tx: Session, organization: Organization, **changes: Any) -> Rules:
        """Return what would hold after a change, which is checked and not made.

        Raises:
            Invalid: a field can't have that value.
        """
        row = tx.get(SendingRules, organization.id)
        proposed = SendingRules(parameters=_changed(row.parameters if row else {}, changes))
        return self._read(organization, proposed)

    def home(self, organization: Organization) -> tuple[str, ...]:
        """Return the countries that are allowed if nobody says which: the organization's own.

        Its locale names it, such as CA for fr-CA; else the deployment's default country stands in.
        """
        return (country_of_locale(organization.locale) or self._default_country,)

    def _read(self, organization: Organization, row: SendingRules | None) -> Rules:
        values: dict[str, Any] = {"countries": self.home(organization)}
        for name, value in row.parameters.items() if row else ():
            values[name] = tuple(value) if isinstance(value, list) else value
        return Rules(**values)

    def _record(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        before: Rules,
        after: Rules,
        why: str | None,
    ) -> None:
        old, new = asdict(before), asdict(after)
        changed = [name for name in new if new[name] != old[name]]
        self._audit.record(
            tx,
            EventKind.SENDING_RULES_CHANGED,
            actor,
            organization_id=organization.id,
            why=why,
            changed=" ".join(changed),
            before=_listed(old, changed),
            after=_listed(new, changed),
            risk_accepted=after.risk_accepted,
            countries=" ".join(after.countries),
            monthly_budget=after.monthly_budget,
        )


def _listed(values: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return values by their names, such as `per_user_day 30; cooldowns 30 60`."""
    told = {name: values[name] for name in names}
    return "; ".join(
        f"{name} {' '.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in told.items()
    )


def _changed(kept: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return what a row is to keep: what was set, whether or not that is usual."""
    wanted = {name: value for name, value in changes.items() if value is not None}
    for name, value in wanted.items():
        _check(name, value)
    left = {name: value for name, value in kept.items() if name not in changes}
    return {**left, **{name: _normal(name, value) for name, value in wanted.items()}}


def _normal(name: str, value: Any) -> Any:
    if name == "countries":
        return sorted(set(value))
    return list(value) if name == "cooldowns" else value


def _check(name: str, value: Any) -> None:
    if name in _RANGES and (type(value) is not int or value not in _RANGES[name]):
        span = _RANGES[name]
        raise Invalid(name, f"use a number from {span.start} to {span.stop - 1}.")
    if name == "risk_accepted" and not isinstance(value, bool):
        raise Invalid(name, "use true or false.")
    if name == "countries" and not _are_countries(value):
        raise Invalid(name, "name at least one country, each by its two letters, such as FR.")
    if name == "cooldowns" and not _are_cooldowns(value):
        span = _COOLDOWN_SECONDS
        raise Invalid(
            name,
            f"use 1 to {_MOST_COOLDOWNS} numbers of seconds, each from {span.start} to "
            f"{span.stop - 1} and none less than the one before it.",
        )


def _are_countries(value: Any) -> bool:
    listed = isinstance(value, list | tuple | set | frozenset)
    return (
        listed
        and len(value) > 0
        and all(isinstance(one, str) and one in COUNTRIES for one in value)
    )


def _are_cooldowns(value: Any) -> bool:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= _MOST_COOLDOWNS:
        return False
    if not all(type(one) is int and one in _COOLDOWN_SECONDS for one in value):
        return False
    return list(value) == sorted(value)
