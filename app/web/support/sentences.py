"""The table from refusal to sentence: what happened, then what to do."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask_babel import format_timedelta, get_locale, gettext

from app import countries
from app.factors import bypass_code, magic_link, recovery_code
from app.factors.base import Reason, Refused
from app.services import phone_numbers
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


def passkey_sentence(refused: Refused) -> str:
    """Return what the user reads about a passkey that was refused."""
    if refused.reason is Reason.LOCKED or refused.retry_at is not None:
        return _locked(refused.retry_at)
    return {
        Reason.MALFORMED: _("Your browser sent no passkey. Try again, or choose another way."),
        Reason.WRONG: _("That passkey was not accepted. Try again, or choose another way."),
        Reason.REPLAYED: _("That answer was already used. Use your passkey again."),
        Reason.EXPIRED: _("That took too long. Use your passkey again."),
        Reason.SUSPENDED: _("That passkey does not work any more. Choose another way."),
        Reason.ALREADY_ENROLLED: _("That passkey is in use already. Add another one."),
        Reason.TOO_WEAK: _(
            "A touch alone is not enough here. Use the PIN, fingerprint or face of your passkey, "
            "too."
        ),
        Reason.NOT_ALLOWED: _(
            "Your organization does not take this model. Use a security key that it gave you."
        ),
        Reason.COPIED: _(
            "There may be a copy of that passkey, so it is not taken. Choose another way, and tell "
            "an administrator."
        ),
        Reason.TOO_MANY: _("There were too many refusals. Start again from the application."),
    }[refused.reason]


def message_sentence(
    refused: Refused, typed: str, *, digits: int, two: bool, reference: str | None
) -> str:
    """Return what the user reads about a refused code from a message.

    Args:
        refused: why it was refused.
        typed: what the user typed.
        digits: how many a code has.
        two: whether two codes are needed, of which is never told which was wrong.
        reference: in the newest message.
    """
    if refused.reason is Reason.LOCKED or refused.retry_at is not None:
        return _locked(refused.retry_at)
    if refused.reason is Reason.MALFORMED:
        return _malformed_message(typed, digits, two=two)
    if refused.reason is Reason.WRONG:
        return _wrong_message(reference, two=two)
    return {
        Reason.REPLAYED: _(
            "That code does not work any more: it was used, or a newer one replaced it. Type the "
            "newest one."
        ),
        Reason.EXPIRED: _("That code is too old. Ask for a new one."),
        Reason.TOO_MANY: _("There were too many wrong codes. Start again from the application."),
    }[refused.reason]


def sending_sentence(
    refused: Refused, *, channel: str, organization: str, application: str, number: str | None
) -> str:
    """Return what the user reads if a code is not sent.

    Args:
        refused: why.
        channel: by which it would have gone.
        number: to which, in E.164, if to any.
    """
    if refused.reason is Reason.LOCKED:
        return _locked(refused.retry_at)
    if refused.reason is Reason.COUNTRY_NOT_ALLOWED:
        return _country_not_allowed(organization, number)
    if refused.reason is Reason.NUMBER_REFUSED:
        return _number_refused(channel)
    wait = in_words(refused.retry_at) if refused.retry_at else ""
    return {
        Reason.MALFORMED: _("That is not a phone number. Check each digit, and its country."),
        Reason.ALREADY_ENROLLED: _("Your codes can go there already. Use another one."),
        Reason.COOLDOWN: _(
            "The last code was sent a moment ago. You can ask for the next one in %(wait)s.",
            wait=wait,
        ),
        Reason.SEND_LIMIT: _(
            "So many codes were sent that we send no more for now. Wait %(wait)s, or choose "
            "another way.",
            wait=wait,
        ),
        Reason.BUDGET_SPENT: _(
            "%(organization)s sends no more codes by phone this month. Choose another way.",
            organization=organization,
        ),
        Reason.CHANNEL_OFF: _(
            "%(organization)s sends no codes this way. Choose another way.",
            organization=organization,
        ),
        Reason.NOT_VOUCHED: _(
            "You are trying %(application)s as an administrator, so nothing is sent to this user. "
            "Choose another way, or another user.",
            application=application,
        ),
        Reason.EXPIRED: _("This step is over. Go on with the page that opens now."),
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
    names = {6: _("six"), 7: _("seven"), 8: _("eight"), 9: _("nine"), 10: _("ten")}
    return names.get(number, str(number))


def country_name(code: str) -> str:
    """Return what a country is called in the language of the page."""
    return countries.name_of(code, str(get_locale()))


def _malformed(typed: str, digits: int) -> str:
    number = in_letters(digits)
    if not typed.strip():
        return _("Type the %(number)s digits that the app shows.", number=number)
    if recovery_code.well_formed(typed):
        return _("That looks like a recovery code. Choose “Use a recovery code” below.")
    return _("A code has %(number)s digits. Type all %(number)s that the app shows.", number=number)


def _malformed_message(typed: str, digits: int, *, two: bool) -> str:
    number = in_letters(digits)
    if not typed.strip(" /"):
        return _("Type both codes.") if two else _("Type the code from the message.")
    if recovery_code.well_formed(typed):
        return _("That looks like a recovery code. Choose “Use a recovery code” below.")
    if two:
        return _("Each code has %(number)s digits. Type all of both.", number=number)
    return _("A code has %(number)s digits. Type all %(number)s of the message.", number=number)


def _wrong_message(reference: str | None, *, two: bool) -> str:
    if two:
        return _("These codes are not right together. Check both messages.")
    if reference is None:
        return _("That code is not right.")
    return _(
        "That code is not right. Check the message with the reference %(reference)s.",
        reference=reference,
    )


def _country_not_allowed(organization: str, number: str | None) -> str:
    country = country_name(phone_numbers.parse(number).country) if number else ""
    return _(
        "%(organization)s sends no codes to numbers in %(country)s. Use another number, or choose "
        "another way.",
        organization=organization,
        country=country,
    )


def _number_refused(channel: str) -> str:
    if channel == "voice":
        return _("We can’t call this number. Use another one, or choose another way.")
    return _("We can’t send messages to this number. Use a mobile number, or choose another way.")


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
            "You have replaced your methods by recovery codes five times. Ask an "
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
