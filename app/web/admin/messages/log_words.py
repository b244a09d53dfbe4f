"""The delivery log in words: what became of a message, what it was, and why it failed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from app.models import Message, MessageStatus
from app.services.send_attempts import MOST_KEPT, Attempt, attempts_of

STATUSES = {
    MessageStatus.QUEUED: ("Waiting", ""),
    MessageStatus.SENDING: ("Sending", ""),
    MessageStatus.SENT: ("Sent", "own"),
    MessageStatus.DELIVERED: ("Delivered", "ok"),
    MessageStatus.FAILED: ("Failed", "bad"),
    MessageStatus.CAPTURED: ("Captured", ""),
}
"""What each is called, and its tone."""

MEANS = {
    MessageStatus.QUEUED: "It waits for its turn, or for another try.",
    MessageStatus.SENDING: "A sender has it at this moment.",
    MessageStatus.SENT: "The provider took it. Whether it arrived, nobody has said.",
    MessageStatus.DELIVERED: "The provider says that it arrived.",
    MessageStatus.FAILED: "It was not sent, or did not arrive. It is not tried again.",
    MessageStatus.CAPTURED: "The sandbox sends nothing. The message can be read in the inbox.",
}

NAMES = {
    "administrator_role": "Notice: role of an administrator",
    "answers_refused": "Notice: wrong codes tried",
    "authenticator_added": "Notice: method added",
    "authenticator_imported": "Notice: method imported",
    "authenticator_removed": "Notice: method removed",
    "authenticator_renamed": "Notice: method renamed",
    "authenticators_reset": "Notice: methods reset",
    "browser_trusted": "Notice: browser trusted",
    "browsers_forgotten": "Notice: browsers trusted no more",
    "bypass_code_given": "Notice: bypass code given",
    "bypass_code_used": "Notice: bypass code used",
    "code": "Code",
    "email_changed": "Notice: email address changed",
    "enrollment_invitation": "Invitation to enroll",
    "magic_link": "Magic link",
    "password_changed": "Notice: password changed",
    "phone_number_changed": "Notice: phone number changed",
    "recovery_code_used": "Notice: recovery code used",
    "recovery_codes": "Recovery codes",
    "recovery_codes_made": "Notice: new recovery codes",
    "reenrollment_approved": "Notice: re-enrollment approved",
    "user_added": "Notice: account added",
    "user_deleted": "Notice: account deleted",
    "user_freeze_lifted": "Notice: changes possible again",
    "user_suspended": "Notice: account suspended",
    "user_suspension_lifted": "Notice: suspension lifted",
    "user_unlocked": "Notice: account unlocked",
    "webhook_off": "Notice: webhook switched off",
}
"""What each text of `templates/messages` is, when it is sent."""

WHY = {
    "no_provider": "no provider carries this channel",
    "expired": "it was too old to be sent",
    "withdrawn": "nobody wanted it any more",
    "internal_error": "Gatehouse itself failed",
    "timeout": "no answer in time",
    "unreachable": "the provider could not be reached",
    "certificate": "the provider’s certificate is not right",
    "address_not_allowed": "the provider’s address may not be called",
    "invalid_recipient": "the recipient can’t be used",
    "invalid_setting": "a setting of the account can’t be used",
}
"""Our own codes; a vendor's stand as they are, with its words beside them."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One line of what happened to a message.

    Attributes:
        tone: of a line of a timeline.
        code: stable, of what went wrong.
        words: the provider's own.
    """

    at: datetime
    text: str
    tone: str = ""
    code: str = ""
    words: str = ""


def name_of(message: Message) -> str:
    """Return what a message was."""
    return NAMES.get(message.name, message.name.replace("_", " ").capitalize())


def why(message: Message) -> str:
    """Return in few words why a message failed, or what it waits for; empty if nothing did."""
    return WHY.get(message.error or "", message.error or "")


def steps(message: Message) -> list[Step]:
    """Return what happened to a message, the newest first."""
    return [*_steps(message)][::-1]


def is_shortened(message: Message) -> bool:
    """Tell whether only the newest of what providers said was kept."""
    return len(message.attempts) >= MOST_KEPT


def _steps(message: Message) -> Iterator[Step]:
    yield Step(at=message.created_at, text="Written")
    for one in attempts_of(message):
        yield _step(one)
    if message.delivered_at:
        words = f"{message.provider} says that it arrived" if message.provider else "It arrived"
        yield Step(at=message.delivered_at, text=words, tone="ok")


def _step(one: Attempt) -> Step:
    if not one.code:
        return Step(at=one.at, text=f"{one.provider} took it", words=one.detail)
    if one.reported:
        text = f"{one.provider} says that it did not arrive"
    elif one.doubtful:
        text = f"{one.provider} may have taken it: its answer was lost"
    else:
        text = f"{one.provider} did not take it"
    tone = "warn" if one.doubtful else "bad"
    return Step(at=one.at, text=text, tone=tone, code=one.code, words=one.detail)
