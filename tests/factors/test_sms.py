"""Codes that are delivered: random, six digits, and nothing else is worth an attempt."""

from __future__ import annotations

from collections import Counter

import pytest

from app.factors import MESSAGE_CODES
from app.services.assurance import Facts, reached

SMS = MESSAGE_CODES["sms"]


def test_a_code_is_six_digits_and_leading_zeros_are_among_them() -> None:
    codes = [SMS.new_code() for _ in range(10_000)]
    assert all(len(code) == 6 and code.isdigit() for code in codes)
    assert len(set(codes)) > 9_900
    for place in range(6):
        digits = Counter(code[place] for code in codes)
        assert len(digits) == 10
        assert all(800 < count < 1200 for count in digits.values()), digits  # six sigma


@pytest.mark.parametrize(
    "answer", ["123456", " 123 456 ", "123-456", "\u0661\u0662\u0663456", "000000"]
)
def test_what_a_person_types_for_a_code_is_one(answer: str) -> None:
    assert SMS.well_formed(answer)


@pytest.mark.parametrize(
    "answer", ["", "12345", "12345678901", "12345a", "abcdef", "123456 123456"]
)
def test_what_can_not_be_a_code_is_none(answer: str) -> None:
    assert not SMS.well_formed(answer)


def test_it_earns_what_rfc_8176_calls_it() -> None:
    sms = reached(Facts(kind=SMS.kind))
    assert (sms.amr, sms.acr) == (("sms", "otp"), "urn:gatehouse:acr:sms")
    assert SMS.hosted
