"""Phone numbers: one normal form for all spellings, and which are never texted or called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import phonenumbers
from babel import Locale, UnknownLocaleError
from phonenumbers import PhoneNumberType

from app.errors import Invalid

SMS, WHATSAPP, VOICE = "sms", "whatsapp", "voice"
PHONE_CHANNELS = frozenset({SMS, WHATSAPP, VOICE})
COUNTRIES = frozenset(phonenumbers.SUPPORTED_REGIONS)
"""Codes of ISO 3166 of all that have phone numbers."""

_WORLD = "001"
"""Where the library puts numbers that belong to no country."""
_SATELLITE_CODES = {870, 881, 882, 883}
_TEST_NUMBERS = "+1500555"
"""Reserved by vendors for trying their APIs; nobody holds them."""
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_STRANGE = re.compile(r"[^\W\d]|[\x00-\x08\x0b-\x1f\x7f;,@#*?]")
"""Letters (vanity numbers, extensions, URIs) and marks that no plain number is written with."""
_LONGEST_SPELLING = 40
_LEAST_HIDDEN = 3
"""So many digits at least a prefix leaves out, so that it stands for many numbers."""


class Sort(StrEnum):
    """What kind of number it is."""

    MOBILE = "mobile"
    FIXED_LINE = "fixed_line"
    FIXED_LINE_OR_MOBILE = "fixed_line_or_mobile"
    """Where nobody can tell, as in North America."""
    VOIP = "voip"
    TEST = "test"
    """Of a vendor, to try its API with; nobody holds it."""
    SATELLITE = "satellite"
    WORLDWIDE = "worldwide"
    """Of no country, such as +800."""
    PREMIUM_RATE = "premium_rate"
    SHARED_COST = "shared_cost"
    TOLL_FREE = "toll_free"
    PERSONAL = "personal"
    """It follows a person, at a price of its own."""
    PAGER = "pager"
    UNIVERSAL_ACCESS = "universal_access"
    """Of a company, whatever place answers."""
    VOICEMAIL = "voicemail"


_SORTS = {
    PhoneNumberType.MOBILE: Sort.MOBILE,
    PhoneNumberType.FIXED_LINE: Sort.FIXED_LINE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Sort.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.VOIP: Sort.VOIP,
    PhoneNumberType.PREMIUM_RATE: Sort.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST: Sort.SHARED_COST,
    PhoneNumberType.TOLL_FREE: Sort.TOLL_FREE,
    PhoneNumberType.PERSONAL_NUMBER: Sort.PERSONAL,
    PhoneNumberType.PAGER: Sort.PAGER,
    PhoneNumberType.UAN: Sort.UNIVERSAL_ACCESS,
    PhoneNumberType.VOICEMAIL: Sort.VOICEMAIL,
}
_TEXTED = frozenset({Sort.MOBILE, Sort.FIXED_LINE_OR_MOBILE, Sort.TEST})
_CALLED = _TEXTED | {Sort.FIXED_LINE, Sort.VOIP}


@dataclass(frozen=True, kw_only=True)
class PhoneNumber:
    """A valid number.

    Attributes:
        e164: its one normal form, such as +33612345678.
        country: the code of ISO 3166, or `001` for none.
        national: its digits without the code of the country.
    """

    e164: str
    country: str
    sort: Sort
    national: str

    def takes(self, channel: str) -> bool:
        """Tell whether messages by this channel of the phone network may go to such a number.

        What costs more than a usual one, reaches no person, or can't be heard there is refused;
        fixed lines and VoIP are called, not texted.
        """
        return self.sort in (_CALLED if channel == VOICE else _TEXTED)

    def prefix(self, digits: int) -> str:
        """Return the country and the first digits, which a whole block of numbers shares."""
        shown = max(1, min(digits, len(self.national) - _LEAST_HIDDEN))
        return f"{self.country} {self.e164.removesuffix(self.national)}{self.national[:shown]}"


def parse(value: str, *, country: str | None = None) -> PhoneNumber:
    """Return the number that was written, however it was spelled.

    Args:
        country: whose numbers may be written without a country code (pages); None demands one.

    Raises:
        Invalid: it is no valid number.
    """
    number = _read(value, country)
    if number is None or not phonenumbers.is_valid_number(number):
        raise Invalid("phone_number", "write it in E.164, such as +33612345678.")
    region = phonenumbers.region_code_for_number(number) or _WORLD
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return PhoneNumber(
        e164=e164,
        country=region,
        sort=_sort(number, e164, region),
        national=phonenumbers.national_significant_number(number),
    )


def parse_e164(value: str) -> PhoneNumber:
    """Return the number of a caller that has to write it in E.164 to the letter.

    Raises:
        Invalid: it is spelled in another way, or no valid number.
    """
    number = parse(value) if _E164.fullmatch(value) else None
    if number is None or number.e164 != value:
        raise Invalid("phone_number", "write it in E.164, such as +33612345678.")
    return number


def country_of(recipient: str) -> str:
    """Return the country of a number in E.164; empty for what is none, such as an address."""
    if not recipient.startswith("+"):
        return ""
    try:
        return parse(recipient).country
    except Invalid:
        return ""


def checked_phone_number(value: str) -> str:
    """Return the number in E.164, such as +33612345678.

    Raises:
        Invalid: it is not a valid number with its country code.
    """
    return parse(value).e164


def dialling_code(country: str) -> str:
    """Return what numbers of a country begin with, such as +33."""
    return f"+{phonenumbers.country_code_for_region(country)}"


def country_of_locale(locale: str | None) -> str | None:
    """Return the country that a language tag names, such as CA for fr-CA."""
    try:
        region = Locale.parse((locale or "").replace("_", "-"), sep="-").territory
    except (ValueError, UnknownLocaleError):
        return None
    return region if region in COUNTRIES else None


def _read(value: str, country: str | None) -> phonenumbers.PhoneNumber | None:
    if len(value) > _LONGEST_SPELLING or _STRANGE.search(value):
        return None
    try:
        return phonenumbers.parse(" ".join(value.split()), country)
    except phonenumbers.NumberParseException:
        return None


def _sort(number: phonenumbers.PhoneNumber, e164: str, region: str) -> Sort:
    if number.country_code in _SATELLITE_CODES:
        return Sort.SATELLITE
    if region == _WORLD:
        return Sort.WORLDWIDE
    if e164.startswith(_TEST_NUMBERS):
        return Sort.TEST
    return _SORTS[phonenumbers.number_type(number)]
