"""Assurance: what a result says was reached, and how, from the facts of its verification alone.

`amr` has values of RFC 8176 and no others; `acr` has `phr` and `phrh` of OpenID Connect EAP ACR
Values 1.0, and names of ours where no standard has one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from app.factors import bypass_code, magic_link, nothing, recovery_code, trusted_browser
from app.models import Authenticator, KeyStorage

PASSKEY = "passkey"
PHRH, PHR = "phrh", "phr"
OTP, SMS, EMAIL = "urn:gatehouse:acr:otp", "urn:gatehouse:acr:sms", "urn:gatehouse:acr:email"
CLASSES = (PHRH, PHR, OTP, SMS, EMAIL)
"""What an application may ask as its minimum, the strongest first."""

_METHODS: dict[str, tuple[tuple[str, ...], str]] = {
    "totp": (("otp",), OTP),
    "sms": (("sms", "otp"), SMS),
    "whatsapp": (("otp",), SMS),
    "voice": (("tel", "otp"), SMS),
    "email": (("otp",), EMAIL),
    "dual": (("otp",), EMAIL),  # either address is enough, so it counts as the weaker one
    magic_link.KIND: (("otp",), EMAIL),
    recovery_code.KIND: (("otp",), "urn:gatehouse:acr:recovery"),
    bypass_code.KIND: ((), "urn:gatehouse:acr:bypass"),
    trusted_browser.KIND: ((), "urn:gatehouse:acr:trusted_browser"),
    nothing.KIND: ((), "urn:gatehouse:acr:none"),
}
"""`amr` and `acr` of all but passkeys. What proves nothing that the user has earns no `amr`."""

_KEYS = {KeyStorage.HARDWARE: "hwk", KeyStorage.SYNCED: "swk", KeyStorage.UNPROVEN: "pop"}
METHODS_TOLD = frozenset(
    {value for amr, _ in _METHODS.values() for value in amr} | {*_KEYS.values(), "user", "mfa"}
)
"""All values of `amr` that a result can have."""
_SECOND = {OTP, SMS}
"""Beside a first factor that the application vouches for, these are a second one. A mailbox often
is the first one itself, and what stands in for a lost authenticator is none."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of how a user was confirmed.

    Attributes:
        kind: of the factor; of a code, by which channel it came; of what stood in for a factor.
        user_verified: whether the authenticator itself checked who holds it, and said so signed
            (WebAuthn's UV flag).
        key: how the private key is kept, of a factor that has one.
        vouched: whether the application is registered as vouching for the first factor.
    """

    kind: str
    user_verified: bool = False
    key: KeyStorage | None = None
    vouched: bool = False


@dataclass(frozen=True, kw_only=True)
class Assurance:
    """What a result says of that.

    Attributes:
        amr: methods used (RFC 8176); `mfa` only if two factors are known of.
        acr: the class reached.
        method: the precise method.
    """

    amr: tuple[str, ...]
    acr: str
    method: str


def reached(facts: Facts) -> Assurance:
    """Return what these facts come to."""
    if facts.kind == PASSKEY:
        return _by_key(facts)
    amr, acr = _METHODS[facts.kind]
    if facts.vouched and acr in _SECOND:
        amr = (*amr, "mfa")
    return Assurance(amr=amr, acr=acr, method=facts.kind)


def _by_key(facts: Facts) -> Assurance:
    """Return what a passkey comes to: one with user verification is two factors by itself."""
    key = facts.key or KeyStorage.UNPROVEN
    two = facts.user_verified or facts.vouched
    hardware = key is KeyStorage.HARDWARE and facts.user_verified
    return Assurance(
        amr=(_KEYS[key], "user", *(("mfa",) if two else ())),
        acr=PHRH if hardware else PHR,
        method=PASSKEY,
    )


def satisfies(acr: str, wanted: Sequence[str]) -> bool:
    """Tell whether a class is one of those that are wanted, or above one; nothing wanted is met.

    What is no class of ours, such as that of a recovery code, satisfies no wish.
    """
    if not wanted:
        return True
    lowest = max(CLASSES.index(one) for one in wanted)
    return acr in CLASSES[: lowest + 1]


def suits(authenticator: Authenticator, wanted: Sequence[str]) -> bool:
    """Tell whether an authenticator can reach what is wanted at all."""
    key = authenticator.parameters.get("key")
    best = Facts(kind=authenticator.kind, user_verified=True, key=KeyStorage(key) if key else None)
    return satisfies(reached(best).acr, wanted)


def suitable(kinds: Collection[str], wanted: Sequence[str], *, attested: bool) -> set[str]:
    """Return those kinds of which a new authenticator can be expected to reach what is wanted.

    Args:
        attested: whether only passkeys are taken whose maker vouches for their hardware.
    """
    key = KeyStorage.HARDWARE if attested else None
    best = {kind: reached(Facts(kind=kind, user_verified=True, key=key)).acr for kind in kinds}
    return {kind for kind, acr in best.items() if satisfies(acr, wanted)}


def known(values: Iterable[str]) -> list[str]:
    """Return the classes that we know, each once and as they were ordered."""
    return [one for one in dict.fromkeys(values) if one in CLASSES]
