"""One user: what they have, what is locked and why, what happened, and what can be done."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from babel import Locale, UnknownLocaleError
from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.factors.passkey import provider_of
from app.models import AuthenticatorStatus, User
from app.services.audit import EventKind
from app.services.roles import Action
from app.services.user_states import UserStatus
from app.web.admin.desk import Seat, page, render
from app.web.admin.event_words import METHODS
from app.web.admin.notices import way_of
from app.web.admin.timeline import lines
from app.web.support import services

NEWEST = 20
COURSE_OF_A_VISIT = (
    EventKind.GATEWAY_SESSION_OPENED,
    EventKind.GATEWAY_SESSION_ENTERED,
    EventKind.RESULT_ISSUED,
    EventKind.RESULT_REDEEMED,
)
"""What every visit leaves behind; the audit page shows it, here it would hide the rest."""
_OF_ITS_OWN = {"given_name", "family_name", "locale"}
"""Parts of a profile that the page shows elsewhere."""
_LONGEST = 200

STATES = {
    UserStatus.SUSPENDED: ("Suspended", ""),
    UserStatus.LOCKED: ("Locked", "bad"),
    UserStatus.ENROLLED: ("Enrolled", "ok"),
    UserStatus.REENROLLMENT: ("Re-enrollment due", "warn"),
    UserStatus.OVERDUE: ("Overdue", "warn"),
    UserStatus.PENDING: ("Not enrolled yet", "own"),
}

blueprint = Blueprint(
    "admin_user", __name__, url_prefix="/admin/<environment>/<domain>/users/<uuid:user_id>"
)


@dataclass(frozen=True, kw_only=True)
class Offered:
    """What makes sense to do about this user now; the role decides besides."""

    invite: bool
    unlock: bool
    approve: bool
    bypass: bool


@blueprint.get("")
@page(Action.SEE_USERS)
def show(tx: Session, seat: Seat, user_id: uuid.UUID) -> ResponseReturnValue:
    """Show all that is known of a user."""
    user = find(tx, seat, user_id)
    theirs = services().authenticators.of(tx, user)
    locks = services().user_locks.of(tx, user, theirs)
    events = services().audit.newest(tx, user, most=NEWEST, but=COURSE_OF_A_VISIT)
    browsers = services().trusted_browsers.of(tx, user)
    named = {one.application_id for one in events} | {one.application_id for one in browsers}
    applications = services().applications.names(tx, filter(None, named))
    return render(
        "admin/user/show.html",
        seat,
        user=user,
        name=name_of(user),
        call=call_name(user),
        state=STATES[services().user_states.now(tx, seat.organization).of(user, theirs)],
        authenticators=theirs,
        methods=METHODS,
        provider_of=provider_of,
        locks=locks,
        recovery=services().authenticators.recovery(tx, user),
        bypass_code=services().bypass_codes.current(tx, user),
        invitation=services().enrollment_invitations.current(tx, user),
        due=services().enrollment.is_due(tx, user),
        offered=_offered(tx, user, locked=bool(locks)),
        browsers=browsers,
        entra_accounts=services().entra_connections.all_of(tx, user),
        browser_applications=applications,
        timeline=lines(events, applications),
        total=services().audit.count(tx, user),
        language=_language(user),
        more=_more(user),
        way=way_of(user),
    )


def find(tx: Session, seat: Seat, user_id: uuid.UUID, *, locked: bool = False) -> User:
    """Return the user whom the address names.

    Raises:
        NotFound: the organization has no such user.
    """
    return services().directory.find(tx, seat.organization, str(user_id), locked=locked)


def back(user: User) -> str:
    """Return the address of the user's page."""
    return url_for("admin_user.show", user_id=user.id)


def name_of(user: User) -> str:
    """Return what people call a user: the name in the profile, else the address or number."""
    parts = (user.profile.get(part) for part in ("given_name", "family_name"))
    return " ".join(part for part in parts if isinstance(part, str) and part) or user.label


def call_name(user: User) -> str:
    """Return how sentences call a user: by the given name, else by all there is."""
    given = user.profile.get("given_name")
    return given if isinstance(given, str) and given else name_of(user)


def _offered(tx: Session, user: User, *, locked: bool) -> Offered:
    present = user.suspended_at is None
    limited = user.reenrollments > 0 or services().enrollment.is_due(tx, user)
    return Offered(
        invite=present and services().enrollment_invitations.fits(tx, user),
        unlock=locked
        or user.frozen_at is not None
        or user.failures > 0
        or user.recovery_failures > 0,
        approve=limited and not user.reenrollment_approved,
        bypass=present,
    )


def _language(user: User) -> str | None:
    """Return the name of the user's language, or the tag as it is."""
    tag = user.profile.get("locale")
    if not isinstance(tag, str) or not tag:
        return None
    try:
        return Locale.parse(tag, sep="-" if "-" in tag else "_").get_display_name("en") or tag
    except (UnknownLocaleError, ValueError):
        return tag


def _more(user: User) -> list[tuple[str, str]]:
    """Return the rest of the profile, as text that is not too long for a page."""
    rest = {name: value for name, value in user.profile.items() if name not in _OF_ITS_OWN}
    return [(name, _short(value)) for name, value in sorted(rest.items())]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


PRESENT = (AuthenticatorStatus.ACTIVE, AuthenticatorStatus.SUSPENDED)
