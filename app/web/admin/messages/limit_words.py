"""Rules for messages in words: what each is called, how it reads, what a change comes to."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cache

import phonenumbers
from babel import Locale

from app.services.phone_numbers import COUNTRIES
from app.services.send_counts import Window
from app.services.send_figures import Use
from app.services.sending_rules import Rules

NUMBERS = {
    "monthly_budget": (
        "Messages in a month",
        "By text message, WhatsApp and call. At the last one, sending stops.",
    ),
    "alarm_percent": ("Alarm at", "Percent of the month’s budget."),
    "per_organization_day": (
        "In a day, by phone",
        "By text message, WhatsApp and call, of the whole organization.",
    ),
    "emails_per_organization_day": ("In a day, by email", "Of the whole organization."),
    "per_number_day": ("To one recipient in a day", "However the number is written."),
    "per_user_day": ("To one user in a day", "By all channels."),
    "per_address_hour": ("For one client address in an hour", "From where codes are asked for."),
    "per_prefix_hour": (
        "To numbers that begin alike, in an hour",
        "Fraudsters rent whole blocks of them.",
    ),
    "prefix_digits": ("Digits that these share", "After the country code."),
}
"""Label and hint of each number, in the order of the form."""
COOLDOWNS = ("Waits", "Seconds between two messages to the same recipient. The last one stays.")
GROUPS = (
    ("Budget", ("monthly_budget", "alarm_percent")),
    ("The organization", ("per_organization_day", "emails_per_organization_day")),
    (
        "Each recipient and block of numbers",
        ("per_number_day", "per_user_day", "per_address_hour", "per_prefix_hour", "prefix_digits"),
    ),
)


@cache
def countries() -> dict[str, str]:
    """Return the name of each country that has phone numbers, with its code, by name."""
    names = Locale("en").territories
    told = {
        one: f"{names.get(one, one)} +{phonenumbers.country_code_for_region(one)}"
        for one in COUNTRIES
    }
    return dict(sorted(told.items(), key=lambda pair: _plain(pair[1])))


def _plain(name: str) -> str:
    """Return a name without accents, so that Å stands with A."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()


def country(code: str) -> str:
    """Return what a country is called, without the code of its numbers."""
    return str(Locale("en").territories.get(code, code))


def lines(rules: Rules, uses: Mapping[str, Use]) -> list[tuple[str, str, str]]:
    """Return each rule as a list reads: its name, how it is, how much of it is used."""
    return [
        (_name(name), _value(rules, name), used(uses[name]) if name in uses else "")
        for name in (*NUMBERS, "cooldowns")
    ]


def differences(before: Rules, after: Rules) -> list[tuple[str, str, str]]:
    """Return each rule that changes: its name, how it is, how it would be."""
    was, then = asdict(before), asdict(after)
    return [
        (_name(name), _value(before, name), _value(after, name))
        for name in ("countries", *NUMBERS, "cooldowns")
        if was[name] != then[name]
    ]


def used(use: Use) -> str:
    """Return how much of a cap is used, such as `Most today: 3, 2 refused.`."""
    since = {Window.HOUR: "this hour", Window.DAY: "today", Window.MONTH: "this month"}[use.window]
    head = f"Most {since}" if use.is_largest else since.capitalize()
    refused = f", {use.refused:,} refused" if use.refused else ""
    return f"{head}: {use.sent:,}{refused}."


def consequences(before: Rules, after: Rules, uses: Mapping[str, Use]) -> Iterator[str]:
    """Yield what a change comes to at once.

    Args:
        uses: how much of each cap is used, by its name.
    """
    for name, use in uses.items():
        was, then = getattr(before, name), getattr(after, name)
        if then <= use.sent and then != was:
            yield _stopped(name, use)
        elif was <= use.sent < then and name in _STOPS:
            yield f"{_STOPS[name].capitalize()} go out again at once."
    sent = uses["monthly_budget"].sent
    if after.alarm_at <= sent < min(before.alarm_at, after.monthly_budget):
        yield f"{sent:,} were sent this month. That is past the alarm, which rings at the next one."
    if gone := sorted(country(one) for one in {*before.countries} - {*after.countries}):
        yield f"Nobody with a number of {_listed(gone)} gets a code by phone any more."
    if new := sorted(country(one) for one in {*after.countries} - {*before.countries}):
        yield f"Codes also go to numbers of {_listed(new)}. They may cost more there."


_STOPS = {
    "monthly_budget": "codes by phone",
    "per_organization_day": "codes by phone",
    "emails_per_organization_day": "codes by email",
}
_ENDS = {
    Window.HOUR: "before the next hour",
    Window.DAY: "before midnight (UTC)",
    Window.MONTH: "before the next month",
}


_LARGEST = {
    "per_number_day": "One recipient was sent {sent} today.",
    "per_user_day": "One user was sent {sent} today.",
    "per_address_hour": "One client address caused {sent} this hour.",
    "per_prefix_hour": "One block of numbers was sent {sent} this hour.",
}


def _stopped(name: str, use: Use) -> str:
    if name in _STOPS:
        span = "this month" if use.window is Window.MONTH else "today"
        were = "1 was" if use.sent == 1 else f"{use.sent:,} were"
        return f"{were} sent {span}. So no {_STOPS[name]} go out {_ENDS[use.window]}."
    told = _LARGEST[name].format(sent=f"{use.sent:,}")
    return f"{told} What has reached the new number gets none {_ENDS[use.window]}."


def _name(name: str) -> str:
    if name == "countries":
        return "Countries"
    return COOLDOWNS[0] if name == "cooldowns" else NUMBERS[name][0]


def _value(rules: Rules, name: str) -> str:
    value = getattr(rules, name)
    if name == "countries":
        return _listed(sorted(country(one) for one in value))
    if name == "cooldowns":
        return ", ".join(map(str, value))
    return f"{value} %" if name == "alarm_percent" else f"{value:,}"


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"
