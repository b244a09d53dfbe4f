"""Finding users by the beginning of what is known of them: ranges of indexes, never a pattern."""

from __future__ import annotations

import contextlib
import re
import uuid
from collections.abc import Iterator

import phonenumbers
import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from app.errors import Invalid
from app.models import Organization, User
from app.services.user_fields import checked_email, email_key, folded

MOST_TYPED = 200
_PUNCTUATION = re.compile(r"[\s().\-/\u2010-\u2015]")
_LEAST_DIGITS = 3
"""Fewer say nothing about a number without its country code."""
_LAST = "\U0010ffff"
_BEFORE_SURROGATES, _AFTER_SURROGATES = "\ud7ff", "\ue000"

Text = InstrumentedAttribute[str] | InstrumentedAttribute[str | None]


def matching(tx: Session, organization: Organization, typed: str) -> sa.CompoundSelect[uuid.UUID]:
    """Return the ids of the organization's users of whom something begins as typed.

    That is a name, a family name, an e-mail address, a phone number (with its country code or as
    it is written at home), or an external id; or the whole id of a user. Case and accents of
    names don't matter; nothing that is typed has a meaning of its own.
    """
    found = aliased(User)
    mine = sa.select(found.id).where(found.organization_id == organization.id)
    typed = typed.strip()[:MOST_TYPED].replace("\0", "\ufffd")
    ranges = [
        *(_begins(found.name_key, name) for name in _names(typed)),
        *(_begins(found.family_name_key, name) for name in _names(typed)),
        *(_begins(found.email_key, address) for address in _addresses(typed)),
        *(_begins(found.phone_number, number) for number in _numbers(tx, organization, typed)),
        *(_begins(found.external_id, name) for name in {typed, typed.lower(), typed.upper()}),
    ]
    if (user_id := _uuid(typed)) is not None:
        ranges.append(found.id == user_id)
    return sa.union(*(mine.where(one) for one in ranges))


def _begins(column: Text, prefix: str) -> sa.ColumnElement[bool]:
    """Return, as SQL, whether a column whose order is that of code points begins so."""
    beyond = _beyond(prefix)
    return column >= prefix if beyond is None else sa.and_(column >= prefix, column < beyond)


def _beyond(prefix: str) -> str | None:
    """Return the first text after all that begin so; None if nothing comes after them."""
    kept = prefix.rstrip(_LAST)
    if not kept:
        return None
    last = kept[-1]
    following = _AFTER_SURROGATES if last == _BEFORE_SURROGATES else chr(ord(last) + 1)
    return kept[:-1] + following


def _names(typed: str) -> set[str]:
    return {folded(typed)} - {""}


def _addresses(typed: str) -> set[str]:
    """Return how an address may be kept that begins so: as it is, or its domain in ASCII."""
    spellings = {typed.lower()}
    with contextlib.suppress(Invalid):
        spellings.add(email_key(checked_email(typed)))
    return spellings


def _numbers(tx: Session, organization: Organization, typed: str) -> Iterator[str]:
    """Yield how a number may be kept, in E.164, that begins with the digits typed."""
    plain = _PUNCTUATION.sub("", typed)
    digits = plain.removeprefix("+")
    if not re.fullmatch(r"[0-9]+", digits):
        return
    if plain != digits:
        yield f"+{digits}"
        return
    if len(digits) < _LEAST_DIGITS:
        return
    yield f"+{digits.removeprefix('00')}"
    for code in calling_codes(tx, organization):
        for national in _significant(code, digits):
            yield f"+{code}{national}"


def _significant(code: int, digits: str) -> set[str]:
    """Return the digits of a number in its country, also without what is dialled before it."""
    region = phonenumbers.region_code_for_country_code(code)
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or ""
    return {digits, digits.removeprefix(trunk)} - {""}


def calling_codes(tx: Session, organization: Organization) -> list[int]:
    """Return the country codes of the organization's numbers, by one look-up for each."""
    codes: list[int] = []
    after = "+"
    while True:
        number = tx.scalar(
            sa.select(User.phone_number)
            .where(User.organization_id == organization.id, User.phone_number >= after)
            .order_by(User.phone_number)
            .limit(1)
        )
        if number is None:
            return codes
        code = phonenumbers.parse(number).country_code or 0
        codes.append(code)
        after = _beyond(f"+{code}") or ""


def _uuid(typed: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(typed)
    except ValueError:
        return None
