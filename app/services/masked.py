"""Addresses as pages show them to whoever is about to prove that they reach them."""

from __future__ import annotations

import re

import phonenumbers

_DOTS = "•••••"
"""As many for every address, so that they tell nothing of its length."""
_SHOWN_DIGITS = 4
"""Of a phone number, after the code of its country."""


def masked(recipient: str) -> str:
    """Return an e-mail address or a number in E.164 with most of it hidden."""
    return _masked_number(recipient) if recipient.startswith("+") else _masked_email(recipient)


def readable(recipient: str) -> str:
    """Return an e-mail address, or a number in E.164 as people write it."""
    if not recipient.startswith("+"):
        return recipient
    shape = phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(phonenumbers.parse(recipient), shape)


def _masked_email(address: str) -> str:
    name, _, host = address.rpartition("@")
    return f"{name[:1]}{_DOTS}@{host}"


def _masked_number(number: str) -> str:
    """Hide each digit between the code of the country and the last four."""
    code, _, national = readable(number).partition(" ")
    hidden = max(0, sum(mark.isdigit() for mark in national) - _SHOWN_DIGITS)
    return f"{code} " + re.sub(r"\d", "•", national, count=hidden)
