"""What needs attention, in words: one sentence and one action that leads to what settles it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from app.services.attention import Found, Matter
from app.services.audit import EventKind
from app.services.roles import Action
from app.services.user_states import UserStatus
from app.web.admin import message_matters
from app.web.admin.desk import Seat
from app.web.admin.matter_words import Told, number_of
from app.web.support.pages import clock, day


def told(seat: Seat, found: Iterable[Found], without: Collection[Matter] = ()) -> list[Told]:
    """Return the matters that this administrator can look after.

    Args:
        without: those that the page tells elsewhere.
    """
    words = [_WORDS[one.matter](one) for one in found if one.matter not in without]
    return [one for one in words if seat.may(one.needs)]


def _when(at: datetime | None) -> str:
    return f"{day(at)}, {clock(at)}" if at else ""


def _unsealed(found: Found) -> Told:
    return Told(
        icon="audit",
        tone="bad",
        title="The audit record is not being sealed",
        says=f"Nothing was sealed since {_when(found.at)}. Ask the operator to start the worker.",
        endpoint="admin_audit.index",
        button="See the audit record",
        needs=Action.SEE_AUDIT,
    )


def _methods_off(found: Found) -> Told:
    return Told(
        icon="methods",
        tone="bad",
        title="No method is on",
        says=f"{number_of(found.number, 'user', 'is', 'are')} enrolled and can’t confirm.",
        endpoint="admin_methods.index",
        button="Choose methods",
        needs=Action.SEE_SETTINGS,
    )


def _refusals(found: Found) -> Told:
    return Told(
        icon="warning",
        tone="warn",
        title="Far more refusals than usual",
        says=f"{found.number:,} answers were refused in the last 24 hours. "
        f"{found.usual:,} a day is usual.",
        endpoint="admin_audit.index",
        values={"kind": EventKind.VERIFICATION_REFUSED.value},
        button="See refused answers",
        needs=Action.SEE_AUDIT,
    )


def _frozen(found: Found) -> Told:
    return Told(
        icon="warning",
        tone="bad",
        title=f"{found.name} says that a change was not theirs",
        says=f"Everything is frozen since {_when(found.at)}. Look at it, then unlock.",
        endpoint="admin_user.show",
        values={"user_id": found.id},
        button="See the user",
        needs=Action.SEE_USERS,
    )


def _locked(found: Found) -> Told:
    return Told(
        icon="lock",
        tone="warn",
        title=f"{number_of(found.number, 'user', 'is', 'are')} locked",
        says="Too many wrong codes. Some locks end by themselves, others wait for you.",
        endpoint="admin_users.index",
        values={"status": UserStatus.LOCKED.value},
        button="See locked users",
        needs=Action.SEE_USERS,
    )


def _overdue(found: Found) -> Told:
    return Told(
        icon="clock",
        title=f"{number_of(found.number, 'user', 'is', 'are')} overdue",
        says="The policy requires a method, and they have none. They set one up at the next visit.",
        endpoint="admin_users.index",
        values={"status": UserStatus.OVERDUE.value},
        button="See overdue users",
        needs=Action.SEE_USERS,
    )


def _deadline(found: Found) -> Told:
    whom = f" for {found.name}" if found.name else ""
    return Told(
        icon="policy",
        title=f"A method is required{whom} from {day(found.at) if found.at else ''}",
        says=f"{number_of(found.number, 'user', 'has', 'have')} none yet.",
        endpoint="admin_policy.index",
        button="See the policy",
        needs=Action.SEE_SETTINGS,
    )


def _webhook_off(found: Found) -> Told:
    return Told(
        icon="webhook",
        tone="bad",
        title=f"The webhook {found.name} is off",
        says=f"Nothing could be delivered there, so it was switched off {_when(found.at)}.",
        endpoint="admin_webhooks.show",
        values={"webhook_id": found.id},
        button="See the webhook",
        needs=Action.SEE_SETTINGS,
    )


def _webhook_failing(found: Found) -> Told:
    return Told(
        icon="webhook",
        tone="warn",
        title=f"The webhook {found.name} fails",
        says=f"Nothing arrived there since {_when(found.at)}. It is tried again.",
        endpoint="admin_webhooks.show",
        values={"webhook_id": found.id},
        button="See the webhook",
        needs=Action.SEE_SETTINGS,
    )


def _import_failed(found: Found) -> Told:
    says = (
        f"{found.number:,} of its rows could not be taken over."
        if found.number
        else "It ended before all of its rows were taken over."
    )
    return Told(
        icon="users",
        tone="warn",
        title=f"The import of {found.name} is not complete",
        says=says,
        endpoint="admin_users_imports.show",
        values={"job_id": found.id},
        button="See the import",
        needs=Action.IMPORT_USERS,
    )


def _no_application(found: Found) -> Told:
    return Told(
        icon="window",
        title="No application sends users here",
        says="Connect one, and its users confirm with a second factor.",
        endpoint="admin_applications.new",
        button="Create an application",
        needs=Action.CHANGE_APPLICATIONS,
    )


def _one_owner(found: Found) -> Told:
    title = "There is only one owner" if found.number else "There is no owner"
    return Told(
        icon="gate",
        title=title,
        says="Without a second one, a lost phone locks this organization’s owner out.",
        endpoint="admin_administrators.index",
        button="See administrators",
        needs=Action.CHANGE_ADMINISTRATORS,
    )


def _application_secrets(found: Found) -> Told:
    return Told(
        icon="window",
        title=f"{found.name} still has two secrets",
        says=f"The old one works until {_when(found.at)}. Put the new one in place before.",
        endpoint="admin_applications.show",
        values={"client_id": found.id},
        button="See the application",
        needs=Action.SEE_SETTINGS,
    )


def _api_key_secrets(found: Found) -> Told:
    return Told(
        icon="code",
        title=f"The API key {found.name} still has two secrets",
        says=f"The old one works until {_when(found.at)}. Put the new one in place before.",
        endpoint="admin_api_keys.show",
        values={"client_id": found.id},
        button="See the API key",
        needs=Action.SEE_SETTINGS,
    )


def _key_rotated(found: Found) -> Told:
    return Told(
        icon="key",
        title="Another key signs results now",
        says=f"Since {_when(found.at)}. An application with a copy of the old one must renew it.",
        endpoint="admin_signing_keys.index",
        button="See signing keys",
        needs=Action.SEE_SETTINGS,
    )


_WORDS: dict[Matter, Callable[[Found], Told]] = {
    **message_matters.WORDS,
    Matter.UNSEALED: _unsealed,
    Matter.METHODS_OFF: _methods_off,
    Matter.REFUSALS: _refusals,
    Matter.FROZEN: _frozen,
    Matter.LOCKED: _locked,
    Matter.OVERDUE: _overdue,
    Matter.DEADLINE: _deadline,
    Matter.WEBHOOK_OFF: _webhook_off,
    Matter.WEBHOOK_FAILING: _webhook_failing,
    Matter.IMPORT_FAILED: _import_failed,
    Matter.NO_APPLICATION: _no_application,
    Matter.ONE_OWNER: _one_owner,
    Matter.APPLICATION_SECRETS: _application_secrets,
    Matter.API_KEY_SECRETS: _api_key_secrets,
    Matter.KEY_ROTATED: _key_rotated,
}
