"""The table from refusal to sentence: what happened, then what to do."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask_babel import format_timedelta, gettext

from app.factors import bypass_code, magic_link, recovery_code
from app.factors.base import Reason, Refused
from app.web.support import services

_WORTH_A_MINUTE = 90


def _(text: str, **values: object) -> str:
    return str(gettext(text, **values))


def sentence(refused: Refused, typed: str, *, digits: int) -> str:
    """Return what the user reads about a refused code from the app.

    Args:
        refused: why it was refused.
        typed: what the user typed.
        digits: how many a code has.
    """
    if refused.reason is Reason.LOCKED or refused.retry_at is not None:
        return _locked(refused.retry_at)
    if refused.reason is Reason.MALFORMED:
        return _malformed(typed, digits)
    if refused.reason is Reason.CLOCK_OFF:
        return _clock_off(refused.drift or 0)
    return {
        Reason.WRONG: _("That code is not right. Type the code that the app shows now."),
        Reason.REPLAYED: _("That code was already used. Type the next one when it appears."),
        Reason.EXPIRED: _("This step is over. Go on with the page that opens now."),
        Reason.TOO_MANY: _("There were too many wrong codes. Start again from the application."),
    }[refused.reason]


def recovery_sentence(refused: Refused, typed: str, *, length: int) -> str:
    """Return what the user reads about a refused recovery code.

    Args:
        refused: why it was refused.
        typed: what the user typed.
        length: how many letters and digits a code has.
    """
    waits = refused.retry_at is not None and refused.reason is not Reason.RECOVERY_LIMITED
    if refused.reason is Reason.LOCKED or waits:
        return _locked(refused.retry_at)
    if refused.reason is Reason.MALFORMED:
        return _malformed_recovery(typed, length)
    return _recovery(refused)


def link_sentence(refused: Refused, typed: str) -> str:
    """Return what the user reads about a refused short code of a magic link."""
    if refused.reason is Reason.MALFORMED:
        if not typed.strip():
            return _("Type the code that the other browser shows.")
        return _(
            "The code has %(num)s letters and digits. Type all of them.", num=magic_link.LENGTH
        )
    return _("That code is not right. Check each letter and digit.")


def bypass_sentence(refused: Refused, typed: str) -> str:
    """Return what the user reads about a refused code from the help desk."""
    if refused.reason is Reason.MALFORMED:
        if not typed.strip():
            return _("Type the code that your help desk told you.")
        return _(
            "A code from your help desk has %(num)s letters and digits. Type all of them.",
            num=bypass_code.LENGTH,
        )
    return _(
        "That code is not right, was used, or is too old. Check each letter and digit, or ask "
        "your help desk for a new one."
    )


def in_words(moment: datetime) -> str:
    """Return how long it is until a moment, such as "15 minutes"."""
    left = max(moment - services().clock.now(), timedelta(seconds=1))
    return str(format_timedelta(left, granularity="second", threshold=1.2))


def in_letters(number: int) -> str:
    """Return a number of digits as it stands in a sentence, such as "six"."""
    return {6: _("six"), 7: _("seven"), 8: _("eight")}.get(number, str(number))


def _malformed(typed: str, digits: int) -> str:
    number = in_letters(digits)
    if not typed.strip():
        return _("Type the %(number)s digits that the app shows.", number=number)
    if recovery_code.well_formed(typed):
        return _("That looks like a recovery code. Choose “Use a recovery code” below.")
    return _("A code has %(number)s digits. Type all %(number)s that the app shows.", number=number)


def _malformed_recovery(typed: str, length: int) -> str:
    if not typed.strip():
        return _("Type one of the recovery codes that you saved.")
    return _("A recovery code has %(num)s letters and digits. Type all of them.", num=length)


def _recovery(refused: Refused) -> str:
    wait = in_words(refused.retry_at) if refused.retry_at else ""
    return {
        Reason.WRONG: _("That is not one of your recovery codes. Check each letter and digit."),
        Reason.REPLAYED: _("That recovery code was already used. Type another one."),
        Reason.RECOVERY_LIMITED: _(
            "Only one recovery code can be used in 24 hours. The next one works in %(wait)s.",
            wait=wait,
        ),
        Reason.REENROLLMENT_LIMIT: _(
            "You have replaced your authenticator with recovery codes five times. Ask an "
            "administrator to check that it’s you."
        ),
        Reason.EXPIRED: _("This step is over. Go on with the page that opens now."),
        Reason.TOO_MANY: _("There were too many wrong codes. Start again from the application."),
    }[refused.reason]


def _locked(retry_at: datetime | None) -> str:
    if retry_at is None:
        return _("There were too many wrong codes. Ask an administrator to unlock your account.")
    return _(
        "There were too many wrong codes. Wait %(wait)s, or try another way now.",
        wait=in_words(retry_at),
    )


def _clock_off(drift: int) -> str:
    seconds = abs(drift)
    if drift < 0:
        return _(
            "Your phone’s clock is about %(seconds)s seconds slow. Set it to automatic time, "
            "then type the next code.",
            seconds=seconds,
        )
    return _(
        "Your phone’s clock is about %(seconds)s seconds fast. Set it to automatic time, "
        "then type the next code.",
        seconds=seconds,
    )
