"""Phone numbers: one normal form for all spellings, and which are never texted or called."""

from __future__ import annotations

import pytest

from app.errors import Invalid
from app.services.phone_numbers import (
    Sort,
    checked_phone_number,
    country_of_locale,
    parse,
    parse_e164,
)

MOBILE = "+33612345678"


@pytest.mark.parametrize(
    "spelling",
    [
        "+33612345678",
        "+33 6 12 34 56 78",
        "+33 (0)6 12 34 56 78",
        "+330612345678",
        "+33-6.12.34/56 78",
        "  +33612345678  ",
        "+33\u00a06\u202f12345678",
        "+33\u200b612345678",
        "＋３３６１２３４５６７８",  # noqa: RUF001
        "+٣٣٦١٢٣٤٥٦٧٨",
    ],
)
def test_all_spellings_of_a_number_are_one(spelling: str) -> None:
    assert parse(spelling).e164 == MOBILE
    assert checked_phone_number(spelling) == MOBILE


@pytest.mark.parametrize(
    ("spelling", "country"),
    [
        ("06 12 34 56 78", "FR"),
        ("0033 6 12 34 56 78", "FR"),
        ("011 33 6 12 34 56 78", "US"),
        ("+33612345678", "US"),
    ],
)
def test_on_a_page_the_country_may_go_without_saying(spelling: str, country: str) -> None:
    assert parse(spelling, country=country).e164 == MOBILE


def test_without_a_country_a_number_has_to_say_its_own() -> None:
    for spelling in ("0612345678", "0033612345678", "33612345678"):
        with pytest.raises(Invalid):
            parse(spelling)


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "+",
        "+33",
        "+3361234567",
        "+336123456789",
        "+999999999999",
        "+447700900123",
        "call +33612345678 now",
        "+1 415 FLOWERS",
        "tel:+33612345678",
        "+33612345678 ext. 5",
        "+33612345678,,5",
        "+33612345678;ext=5",
        "+33612345678#5",
        "+33612345678;phone-context=+44",
        "\x00+33612345678",
        "+" + "3" * 5000,
        "+5215512345678",
    ],
)
@pytest.mark.parametrize("country", [None, "FR"])
def test_what_is_no_plain_valid_number_is_refused(junk: str, country: str | None) -> None:
    with pytest.raises(Invalid) as refused:
        parse(junk, country=country)
    assert refused.value.field == "phone_number"


def test_a_backend_writes_e164_to_the_letter() -> None:
    assert parse_e164(MOBILE).e164 == MOBILE
    assert parse_e164("+15005550006").e164 == "+15005550006"
    for spelling in (
        "+33 612345678",
        "33612345678",
        "0612345678",
        "+330612345678",
        "+33612345678\n",
        "＋33612345678",  # noqa: RUF001
        "+3３612345678",  # noqa: RUF001
        "+447700900123",
        "",
    ):
        with pytest.raises(Invalid):
            parse_e164(spelling)


@pytest.mark.parametrize(
    ("number", "country"),
    [
        (MOBILE, "FR"),
        ("+262692123456", "RE"),
        ("+14155552671", "US"),
        ("+15062345678", "CA"),
        ("+18762101234", "JM"),
        ("+447400123456", "GB"),
        ("+447781123456", "GG"),
        ("+77011234567", "KZ"),
        ("+79123456789", "RU"),
        ("+15005550006", "US"),
    ],
)
def test_a_number_tells_its_country_also_where_several_share_a_code(
    number: str, country: str
) -> None:
    assert parse(number).country == country


@pytest.mark.parametrize(
    ("number", "sort"),
    [
        ("+33612345678", Sort.MOBILE),
        ("+14155552671", Sort.FIXED_LINE_OR_MOBILE),
        ("+15005550006", Sort.TEST),
    ],
)
def test_where_a_person_reads_texts_and_hears_calls_both_go(number: str, sort: Sort) -> None:
    found = parse(number)
    assert found.sort is sort
    assert all(found.takes(channel) for channel in ("sms", "whatsapp", "voice"))


@pytest.mark.parametrize(
    ("number", "sort"), [("+33123456789", Sort.FIXED_LINE), ("+33970012345", Sort.VOIP)]
)
def test_fixed_lines_are_called_and_not_texted(number: str, sort: Sort) -> None:
    found = parse(number)
    assert found.sort is sort
    assert found.takes("voice")
    assert not found.takes("sms")
    assert not found.takes("whatsapp")


@pytest.mark.parametrize(
    ("number", "sort"),
    [
        ("+33899123456", Sort.PREMIUM_RATE),
        ("+19005551234", Sort.PREMIUM_RATE),
        ("+449098790123", Sort.PREMIUM_RATE),
        ("+33810123456", Sort.SHARED_COST),
        ("+491801234567", Sort.SHARED_COST),
        ("+33800123456", Sort.TOLL_FREE),
        ("+18005551234", Sort.TOLL_FREE),
        ("+447012345678", Sort.PERSONAL),
        ("+15215550006", Sort.PERSONAL),
        ("+447640123456", Sort.PAGER),
        ("+443331234567", Sort.UNIVERSAL_ACCESS),
        ("+881612345678", Sort.SATELLITE),
        ("+870773123456", Sort.SATELLITE),
        ("+882161234567", Sort.SATELLITE),
        ("+883510012345", Sort.SATELLITE),
        ("+80012345678", Sort.WORLDWIDE),
        ("+80812345678", Sort.WORLDWIDE),
        ("+878101234567890", Sort.WORLDWIDE),
        ("+979123456789", Sort.WORLDWIDE),
    ],
)
def test_what_is_dear_or_reaches_no_person_gets_nothing_by_any_channel(
    number: str, sort: Sort
) -> None:
    found = parse(number)
    assert found.sort is sort
    assert not any(found.takes(channel) for channel in ("sms", "whatsapp", "voice"))


def test_a_prefix_is_the_country_and_the_first_digits() -> None:
    assert parse(MOBILE).prefix(5) == "FR +3361234"
    assert parse(MOBILE).prefix(2) == "FR +3361"
    assert parse("+14155552671").prefix(5) == "US +141555"


def test_a_prefix_always_stands_for_a_thousand_numbers_at_least() -> None:
    assert parse(MOBILE).prefix(8) == "FR +33612345"
    assert parse("+687721234").prefix(8) == "NC +687721"


@pytest.mark.parametrize(
    ("locale", "country"),
    [
        ("fr-FR", "FR"),
        ("fr_CA", "CA"),
        ("zh-Hans-CN", "CN"),
        ("fr", None),
        ("es-419", None),
        ("xx-ZZ", None),
        ("not a locale", None),
        ("", None),
        (None, None),
    ],
)
def test_a_locale_may_name_a_country(locale: str | None, country: str | None) -> None:
    assert country_of_locale(locale) == country
