"""The words of Harbor Notes: its notes, and what each check and each claim means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True)
class Note:
    """A note on the board, under a flag of the International Code of Signals."""

    flag: str
    signal: str
    title: str
    text: str
    by: str


NOTES = (
    Note(
        "p",
        "About to sail",
        "Saturday series, race four",
        "First start at 10:30 off the breakwater. Sign on at the clubhouse before 9:45. "
        "Two boats still need a hand forward.",
        "Race office, today",
    ),
    Note(
        "u",
        "You are running into danger",
        "The bar has moved south",
        "Sounded this morning: 1.2 metres at low water where the chart says 2.4. "
        "Leave the green buoy well to starboard.",
        "Pilot boat, yesterday",
    ),
    Note(
        "d",
        "Keep clear",
        "The boat crane rests until Thursday",
        "The slewing brake is with the fitter. "
        "Boats due ashore this week keep their place in the queue.",
        "Boatyard, Monday",
    ),
    Note(
        "k",
        "I wish to talk to you",
        "Who takes the lifeboat open day?",
        "We need six people for the quay and one who can make chowder for two hundred.",
        "Committee, last week",
    ),
)

CHECKS = {
    "state": "It answers a question that this browser asked, and answers it once.",
    "alg": "The signature uses an algorithm that we allow.",
    "signature": "The signature is good, by the published key that the result names.",
    "typ": "It is a Gatehouse result, not another kind of token.",
    "iss": "Our gateway made it.",
    "aud": "It is meant for Harbor Notes.",
    "exp": "It is fresh: a result lives two minutes.",
    "nonce": "It belongs to this very question.",
    "org": "It comes from our organization.",
    "env": "It comes from the environment that we run in.",
    "sub": "It is about the person who is signed in.",
    "redeem": "Gatehouse confirmed that this is its first and only use.",
}

FAILED_CHECKS = {
    "state": "This browser did not ask that question, or has had its answer already. "
    "It happens when a link is opened twice, or in another browser.",
    "alg": "The result is signed with an algorithm that we do not allow.",
    "signature": "The signature does not fit any key that the gateway publishes. "
    "The result was changed on its way, or somebody else made it.",
    "typ": "The token is signed, but it is not a result.",
    "iss": "Another gateway made this result.",
    "aud": "The result is meant for another application.",
    "exp": "The result is too old. It lives two minutes, and we allow one more for our clock.",
    "nonce": "The result answers another question than the one that was asked.",
    "org": "The result comes from another organization.",
    "env": "The result comes from another environment. A sandbox opens nothing here.",
    "sub": "The result is about somebody else than the person who is signed in.",
    "redeem": "Gatehouse says that this result is used up or not its own.",
}

ERRORS = {
    403: ("This form is too old", "It belongs to an earlier visit. Go to the start and try again."),
    404: ("Nothing is moored here", "No page has this address. Check it, or go to the start."),
    405: ("That is not how this page works", "Go to the start and use the buttons there."),
    413: ("That is too much", "Harbor Notes takes no more than 64 KB at once."),
}
UNEXPECTED = (
    "Harbor Notes ran aground",
    "The reason is in its log. Go to the start and try again.",
)

CLAIMS = {
    "status": "What happened: an authenticator was verified, a new one was enrolled, or a policy "
    "or a trusted browser let the user go on without.",
    "sub": "Who it is about, by id: never a name or an address.",
    "mfa_method": "The method that the user confirmed with.",
    "amr": "The methods, in the words of RFC 8176.",
    "acr": "The class that those methods reach.",
    "auth_time": "When the second step was confirmed.",
    "iss": "Who says so: the address of the gateway.",
    "aud": "Who it is said to: the client id of Harbor Notes.",
    "org": "The organization that the user belongs to.",
    "env": "Sandbox or production. Nothing crosses from one to the other.",
    "nonce": "The random value that we sent along with the question.",
    "sid": "The gateway session, for the audit trail.",
    "jti": "The id of the result. It can be redeemed once.",
    "iat": "When the result was signed.",
    "exp": "When it stops being good, two minutes later.",
}
TIMES = {"auth_time", "iat", "exp"}


@dataclass(frozen=True)
class Row:
    """A line of the table of claims."""

    name: str
    value: str
    plain: str
    meaning: str


def rows(claims: dict[str, Any]) -> list[Row]:
    """Return the claims in the order of the table; unknown ones come last."""
    names = [name for name in CLAIMS if name in claims]
    names += [name for name in claims if name not in CLAIMS]
    return [
        Row(name, _written(claims[name]), _clock(name, claims[name]), CLAIMS.get(name, ""))
        for name in names
    ]


def at(moment: float) -> str:
    """Return the time of day, as 14:32 UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M UTC")


def _written(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _clock(name: str, value: object) -> str:
    if name not in TIMES or not isinstance(value, int | float):
        return ""
    return datetime.fromtimestamp(value, UTC).strftime("%-d %B, %H:%M:%S UTC")
