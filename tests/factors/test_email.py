"""Codes by e-mail claim no more than a mailbox proves (NIST SP 800-63B-4, 3.1.3.1)."""

from __future__ import annotations

from app.factors import MESSAGE_CODES
from app.services.assurance import Facts, reached

EMAIL = MESSAGE_CODES["email"]


def test_it_earns_what_a_mailbox_proves_and_no_more() -> None:
    email = reached(Facts(kind=EMAIL.kind))
    assert (email.amr, email.acr) == (("otp",), "urn:gatehouse:acr:email")


def test_a_code_may_have_as_many_digits_as_the_organization_set() -> None:
    assert len(EMAIL.new_code()) == 6
    for digits in range(6, 11):
        code = EMAIL.new_code(digits)
        assert len(code) == digits
        assert EMAIL.well_formed(code)


def test_two_codes_are_no_answer_where_one_is_asked_for() -> None:
    assert not EMAIL.well_formed("123456 654321")
