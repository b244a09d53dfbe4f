"""Codes of letters and digits: how each kind is made, and what can be one."""

from __future__ import annotations

import re
from string import ascii_uppercase, digits
from types import ModuleType

import pytest

from app.factors import bypass_code, magic_link, recovery_code

EVERY_MARK = digits + "".join(one for one in ascii_uppercase if one not in "ILOU")


def test_a_new_code_is_shown_in_groups_and_is_never_digits_alone() -> None:
    mark, not_digits = f"[{EVERY_MARK}]", r"(?=.*[A-Z])"
    usual, long = recovery_code.new_code(), recovery_code.new_code(23)
    assert re.fullmatch(rf"{not_digits}({mark}{{4}}-){{3}}{mark}{{4}}", usual)
    assert re.fullmatch(rf"{not_digits}({mark}{{4}}-){{5}}{mark}{{3}}", long)
    assert re.fullmatch(rf"{not_digits}{mark}{{5}}-{mark}{{5}}", bypass_code.new_code())


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (recovery_code, EVERY_MARK[-16:]),
        (recovery_code, EVERY_MARK),
        (recovery_code, "abcd-efgh jkmn\u2011pqrs"),
        (recovery_code, "OOOO-LLLL-IIII-AAAA"),  # read as 0000-1111-1111-AAAA
        (bypass_code, EVERY_MARK[-10:]),
        (bypass_code, "abcde-fghjk"),
        (magic_link, EVERY_MARK[-6:]),
        (magic_link, "abc def"),
    ],
)
def test_what_could_be_one_is_worth_an_attempt(kind: ModuleType, answer: str) -> None:
    assert kind.well_formed(answer)


@pytest.mark.parametrize(
    ("kind", "length"), [(recovery_code, 16), (bypass_code, 10), (magic_link, 6)]
)
def test_what_can_not_be_one_is_not(kind: ModuleType, length: int) -> None:
    good = EVERY_MARK[-length:]
    longest = EVERY_MARK if kind is recovery_code else good
    spoiled = {
        "too short": good[1:],
        "too long": f"{longest}A",
        "digits alone": "1" * length,
        "a letter of none": f"U{good[1:]}",
        "a letter of another alphabet": f"\u0416{good[1:]}",
        "nothing": "",
    }
    assert [name for name, one in spoiled.items() if kind.well_formed(one)] == []


def test_a_short_code_is_never_digits_alone() -> None:
    assert magic_link.short_code(bytes([31] * 7)) == "ZZZZZZ"
    assert magic_link.short_code(bytes([0] * 6 + [10])) == "00000A"
