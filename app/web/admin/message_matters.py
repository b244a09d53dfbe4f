"""What needs attention about messages, in words."""

from __future__ import annotations

from collections.abc import Callable

from app.models import MessageStatus
from app.services.attention import Found, Matter
from app.services.roles import Action
from app.web.admin.matter_words import Told, number_of
from app.web.admin.messages.words import CHANNEL
from app.web.support.pages import day

_LIMITS = "admin_messages_limits.index"


def _uncarried(found: Found) -> Told:
    channel = CHANNEL[found.name]
    return Told(
        icon=channel.icon,
        tone="bad",
        title=f"Nobody carries {channel.many}",
        says=f"{channel.name} is used here, and no provider that is on carries it. No code goes "
        "out that way.",
        endpoint="admin_messages_providers.index",
        button="Look at the providers",
        needs=Action.SEE_SETTINGS,
    )


def _channel_broken(found: Found) -> Told:
    channel = CHANNEL[found.name]
    return Told(
        icon=channel.icon,
        tone="bad",
        title=f"No {channel.many} go out",
        says=f"{number_of(found.number, 'message')} failed in the last 24 hours, and none was "
        "sent. Test the provider.",
        endpoint="admin_messages_providers.index",
        button="Look at the providers",
        needs=Action.SEE_SETTINGS,
    )


def _messages_failed(found: Found) -> Told:
    return Told(
        icon="send",
        tone="warn",
        title=f"{number_of(found.number, 'message')} failed in the last 24 hours",
        says="The log tells to whom, and what the provider said.",
        endpoint="admin_messages_log.index",
        values={"status": MessageStatus.FAILED.value},
        button="See failed messages",
        needs=Action.SEE_MESSAGES,
    )


def _budget_spent(found: Found) -> Told:
    return Told(
        icon="warning",
        tone="bad",
        title="The month’s budget for messages is spent",
        says=f"All {found.number:,} are sent. No code goes out by text message, WhatsApp or call "
        f"before {day(found.at) if found.at else ''}.",
        endpoint=_LIMITS,
        button="Look at the budget",
        needs=Action.SEE_SETTINGS,
    )


def _budget_low(found: Found) -> Told:
    return Told(
        icon="warning",
        tone="warn",
        title="Most of the month’s budget for messages is spent",
        says=f"{found.number:,} of {found.usual:,} are sent. At the last one, sending stops.",
        endpoint=_LIMITS,
        button="Look at the budget",
        needs=Action.SEE_SETTINGS,
    )


def _sends_capped(found: Found) -> Told:
    return Told(
        icon="warning",
        tone="bad",
        title="No more codes are sent by phone today",
        says=f"The day’s cap is reached; {number_of(found.number, 'message', 'was', 'were')} "
        "refused since. Look who causes them, or raise the cap.",
        endpoint=_LIMITS,
        button="Look at the caps",
        needs=Action.SEE_SETTINGS,
    )


WORDS: dict[Matter, Callable[[Found], Told]] = {
    Matter.BUDGET_SPENT: _budget_spent,
    Matter.UNCARRIED: _uncarried,
    Matter.CHANNEL_BROKEN: _channel_broken,
    Matter.SENDS_CAPPED: _sends_capped,
    Matter.MESSAGES_FAILED: _messages_failed,
    Matter.BUDGET_LOW: _budget_low,
}
