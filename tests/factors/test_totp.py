"""Codes from an authenticator app, against the RFCs and against an authenticator not ours."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from app.factors import SECRET_FACTORS
from app.factors.base import Accepted, Outcome, Reason, Refused, Subject, Tolerance
from tests.actors import Phone

TOTP = SECRET_FACTORS["totp"]
RFC_SECRET = b"12345678901234567890"
NOON = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def step_of(moment: datetime) -> int:
    return int(moment.timestamp()) // 30


def judged(code: str, now: datetime = NOON, *, last_step: int = -1) -> Outcome:
    return TOTP.check(
        RFC_SECRET, code, now=now, last_step=last_step, parameters={}, tolerance=Tolerance()
    )


def phone() -> Phone:
    return Phone(TOTP.prompt(RFC_SECRET, Subject(issuer="Harbor", label="ada"), {}).view["uri"])


def code(steps: int = 0, now: datetime = NOON) -> str:
    return phone().code(now, steps)


# RFC 4226 appendix D: the counters 0 to 9, each the first moment of its step.
HOTP = [
    *("755224", "287082", "359152", "969429", "338314"),
    *("254676", "287922", "162583", "399871", "520489"),
]


@pytest.mark.parametrize(("counter", "expected"), list(enumerate(HOTP)))
def test_the_codes_of_rfc_4226_are_accepted(counter: int, expected: str) -> None:
    assert judged(expected, at(counter * 30)) == Accepted(step=counter)


# RFC 6238 appendix B, SHA-1; a code of six digits is the end of one of eight.
@pytest.mark.parametrize(
    ("seconds", "eight_digits"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_codes_of_rfc_6238_are_accepted(seconds: int, eight_digits: str) -> None:
    assert judged(eight_digits[-6:], at(seconds)) == Accepted(step=seconds // 30)
    assert judged(eight_digits, at(seconds)) == Refused(reason=Reason.WRONG)


@pytest.mark.skipif(
    shutil.which("oathtool") is None and not os.environ.get("CI"),
    reason="oathtool is not installed; a check that counts has it",
)
@pytest.mark.parametrize(
    "moment",
    [
        datetime(1970, 1, 1, 0, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 0, 29, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC),
        datetime(2040, 2, 29, 23, 59, 59, tzinfo=UTC),  # more seconds than 31 bits hold
        datetime(2110, 6, 15, 8, 30, 1, tzinfo=UTC),  # more than 32 hold
    ],
    ids=str,
)
def test_an_authenticator_that_is_not_ours_shows_the_same_codes(moment: datetime) -> None:
    secret = TOTP.begin_enrollment()
    shown = subprocess.run(
        [
            "oathtool",
            "--totp",
            "--base32",
            f"--now={moment:%Y-%m-%d %H:%M:%S} UTC",
            TOTP.prompt(secret, Subject(issuer="Harbor", label="ada"), {}).view["key"],
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert TOTP.check(
        secret, shown, now=moment, last_step=-1, parameters={}, tolerance=Tolerance()
    ) == Accepted(step=step_of(moment))


@pytest.mark.parametrize("second", [0, 15, 29])
def test_this_step_and_one_on_either_side_are_accepted_and_no_other(second: int) -> None:
    now = NOON.replace(second=second)
    outcomes = {steps: judged(code(steps, now), now) for steps in range(-4, 5)}
    accepted = {steps for steps, outcome in outcomes.items() if isinstance(outcome, Accepted)}
    assert accepted == {-1, 0, 1}
    assert all(outcomes[steps] == Accepted(step=step_of(now) + steps) for steps in accepted)


@pytest.mark.parametrize("steps", [-20, -3, -2, 2, 3, 20])
def test_a_code_of_another_time_tells_how_far_the_clock_is_off(steps: int) -> None:
    told = Refused(reason=Reason.CLOCK_OFF, step=step_of(NOON) + steps, drift=steps * 30)
    assert judged(code(steps)) == told


def test_of_two_times_that_have_the_same_code_the_nearer_tells_how_far_the_clock_is_off() -> None:
    secret = b"%020d" % 1350
    told = TOTP.check(
        secret, "025157", now=NOON, last_step=-1, parameters={}, tolerance=Tolerance()
    )
    assert told == Refused(reason=Reason.CLOCK_OFF, step=step_of(NOON) + 3, drift=90)  # not -480


def test_where_it_is_strict_no_code_comes_before_its_time() -> None:
    outcomes = [
        TOTP.check(
            RFC_SECRET,
            code(steps),
            now=NOON,
            last_step=-1,
            parameters={},
            tolerance=Tolerance(strict=True),
        )
        for steps in (-1, 0, 1)
    ]
    early = Refused(reason=Reason.CLOCK_OFF, step=step_of(NOON) + 1, drift=30)
    assert outcomes == [Accepted(step=step_of(NOON) - 1), Accepted(step=step_of(NOON)), early]


def test_a_short_seed_that_was_taken_over_works() -> None:
    short = RFC_SECRET[:10]
    app = Phone(TOTP.prompt(short, Subject(issuer="Harbor", label="ada"), {}).view["uri"])
    judged = TOTP.check(
        short, app.code(NOON), now=NOON, last_step=-1, parameters={}, tolerance=Tolerance()
    )
    assert judged == Accepted(step=step_of(NOON))


@pytest.mark.parametrize("steps", [-21, 21, 2880])
def test_a_code_of_a_far_time_is_merely_wrong(steps: int) -> None:
    assert judged(code(steps)) == Refused(reason=Reason.WRONG)


def test_a_step_is_used_up_with_all_before_it() -> None:
    now = step_of(NOON)
    replayed = Refused(reason=Reason.REPLAYED)
    assert judged(code(0), last_step=now) == replayed
    assert judged(code(-1), last_step=now) == replayed
    assert judged(code(1), last_step=now) == Accepted(step=now + 1)
    assert judged(code(0), last_step=now + 1) == replayed
    assert judged(code(1), last_step=now + 1) == replayed


def test_a_used_code_stays_used_for_as_long_as_it_is_in_the_window() -> None:
    used = judged(code(0))
    assert isinstance(used, Accepted)
    for seconds in (1, 29, 30, 54):
        later = judged(code(0), NOON + timedelta(seconds=seconds), last_step=used.step)
        assert later == Refused(reason=Reason.REPLAYED), seconds


def test_a_leading_zero_is_part_of_the_code() -> None:
    now = next(moment for n in range(1000) if code(0, moment := at(30 * n)).startswith("0"))
    full = code(0, now)
    assert judged(full, now) == Accepted(step=step_of(now))
    for short in (full[1:], str(int(full)), full.lstrip("0"), f" {full[1:]}", full[1:] + "0"):
        assert isinstance(judged(short, now), Refused), short
    assert not TOTP.well_formed(full[1:])


@pytest.mark.parametrize(
    "spelled",
    [
        "{0} {1}",
        " {0}{1}\r\n",
        "{0}\t{1}",
        "{0}\N{NO-BREAK SPACE}{1}",
        "{0}\N{NARROW NO-BREAK SPACE}{1}",
        "{0}\N{IDEOGRAPHIC SPACE}{1}",
        "{0}-{1}",
        "{0}\N{NON-BREAKING HYPHEN}{1}",
        "{0}\N{EN DASH}{1}",
        "\N{ZERO WIDTH NO-BREAK SPACE}{0}{1}\N{ZERO WIDTH SPACE}",
        "\N{LEFT-TO-RIGHT MARK}{0}{1}",
    ],
    ids=ascii,
)
def test_what_is_copied_along_with_a_code_does_not_matter(spelled: str) -> None:
    pasted = spelled.format(code()[:3], code()[3:])
    assert TOTP.well_formed(pasted)
    assert isinstance(judged(pasted), Accepted)


@pytest.mark.parametrize(
    "zero",
    ["\N{FULLWIDTH DIGIT ZERO}", "\N{ARABIC-INDIC DIGIT ZERO}", "\N{DEVANAGARI DIGIT ZERO}"],
    ids=ascii,
)
def test_digits_of_any_script_are_digits(zero: str) -> None:
    typed = "".join(chr(ord(zero) + int(digit)) for digit in code())
    assert TOTP.well_formed(typed)
    assert isinstance(judged(typed), Accepted)


@pytest.mark.parametrize(
    "spoiled",
    [
        "{0}0",
        "0{0}",
        "{0}{0}",
        "{0},{0}",
        "{0}/000000",
        "{0}.0",
        "+{0}",
        "_{0}",
        "%{0}",
        '["{0}"]',
        "{0}\ud800",
        "{0}\N{SUPERSCRIPT TWO}",
        "{0}\N{COMBINING ACUTE ACCENT}",
    ],
    ids=ascii,
)
def test_a_right_code_with_anything_else_is_judged_and_refused(spoiled: str) -> None:
    answer = spoiled.format(code())
    assert TOTP.well_formed(answer)
    assert judged(answer) == Refused(reason=Reason.WRONG)


@pytest.mark.parametrize("spoiled", ["{0}e0", "{0}L", "code {0}"])
def test_a_right_code_among_letters_is_refused_whether_judged_or_not(spoiled: str) -> None:
    answer = spoiled.format(code())
    assert not TOTP.well_formed(answer)
    assert judged(answer) == Refused(reason=Reason.WRONG)


@pytest.mark.parametrize(
    "answer", ["", " ", "12345", "one two", "abcdef", "\0" * 6, "\N{ROMAN NUMERAL ONE}" * 6]
)
def test_what_can_not_be_a_code_is_not_worth_an_attempt(answer: str) -> None:
    assert not TOTP.well_formed(answer)
    assert isinstance(judged(answer), Refused)


def test_secrets_are_fresh_and_hold_160_bits() -> None:
    secrets = {TOTP.begin_enrollment() for _ in range(1000)}
    assert len(secrets) == 1000
    assert {len(secret) for secret in secrets} == {20}
    key = TOTP.prompt(RFC_SECRET, Subject(issuer="Harbor", label="ada"), {}).view["key"]
    assert len(key) == 32
    assert base64.b32decode(key) == RFC_SECRET


def scanned(issuer: str, label: str) -> tuple[str, str, dict[str, list[str]]]:
    """Read the address as authenticator apps do: label before the query, split at its colon."""
    uri = TOTP.prompt(RFC_SECRET, Subject(issuer=issuer, label=label), {}).view["uri"]
    assert uri.isascii()
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("otpauth", "totp", "")
    shown_issuer, _, account = unquote(parts.path.removeprefix("/"), errors="strict").partition(":")
    return shown_issuer, account, parse_qs(parts.query, errors="strict", strict_parsing=True)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Harbor", "Harbor"),
        # No colon can stand in an issuer or a label: it is what parts the two.
        ("Acmé & Co: 1", "Acmé & Co 1"),
        ("50 % + ½ #1? = yes/no", "50 % + ½ #1? = yes/no"),
        ("港口 🔑", "港口 🔑"),
        ("a%3Ab", "a%3Ab"),
    ],
)
def test_issuer_and_label_reach_the_phone_as_they_are_written(name: str, shown: str) -> None:
    issuer, account, settings = scanned(name, name)
    assert (issuer, account) == (shown, shown)
    assert settings["issuer"] == [shown]
    assert base64.b32decode(settings["secret"][0]) == RFC_SECRET


def test_the_phone_is_told_nothing_but_what_every_app_understands() -> None:
    _, _, settings = scanned("Harbor", "ada@harbor.example")
    settings.pop("secret")
    settings.pop("issuer")
    usual = {"algorithm": ["SHA1"], "digits": ["6"], "period": ["30"]}
    assert settings.items() <= usual.items()
