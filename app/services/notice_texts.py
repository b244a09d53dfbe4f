"""What notices say: all of it by e-mail, and in one sentence by SMS."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from babel.dates import format_datetime

from app import countries, texts
from app.models import Environment, Organization, User
from app.services.audit import Actor


def notice(
    organization: Organization,
    user: User,
    actor: Actor,
    name: str,
    language: str,
    facts: Mapping[str, Any],
    *,
    now: datetime,
    short: bool,
) -> texts.Text:
    """Return what a notice says.

    Args:
        name: of the text in `templates/messages`.
        facts: what else the text names.
        short: whether it goes by SMS, which says what its subject says.
    """
    by_administrator = _is_administrator(organization, actor)
    country = countries.name_of(actor.country, language) if actor.country else None
    where = ", ".join(filter(None, (actor.device, country, actor.address)))
    text = texts.message(
        name,
        language,
        organization=organization.name,
        user=user.label,
        time=format_datetime(now, "d MMMM y, HH:mm", locale=language),
        place=None if by_administrator else where,
        by_administrator=by_administrator,
        **facts,
    )
    if not short:
        return text
    return texts.message(
        "notice",
        language,
        channel="sms",
        organization=organization.name,
        what=text.subject,
        by_administrator=by_administrator,
        stop=facts.get("stop"),
    )


def _is_administrator(organization: Organization, actor: Actor) -> bool:
    """Tell whether somebody did it whose job it is; to themselves administrators are users."""
    is_own = organization.environment is Environment.ADMINISTRATION
    return actor.name.startswith("administrator:") and not is_own
