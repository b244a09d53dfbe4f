"""What the standards say of an organization's channels, in plain words."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from app.services.channels import ChannelSettings
from app.services.method_advice import Advice
from app.services.method_settings import DUAL
from app.services.phone_numbers import PHONE_CHANNELS

_EMAIL = "NIST SP 800-63B-4, 3.1.3.1"
_PHONE = "NIST SP 800-63B-4, 3.1.3.3 and 3.2.9, and OWASP ASVS 5.0, 6.6.1"


def advice(
    switched_on: Collection[str], *, stronger: bool, risk_accepted: bool, dual: ChannelSettings
) -> list[Advice]:
    """Return what standards have to say of the channels that are on, frowns first.

    Args:
        stronger: whether something is offered beside which the phone network may be.
        risk_accepted: whether an administrator accepted it alone.
    """
    told = [
        *(_of_phone(stronger, risk_accepted) if _by_phone(switched_on) else ()),
        *(_of_email(stronger) if "email" in switched_on else ()),
        *(_of_dual(dual) if DUAL in switched_on else ()),
    ]
    return sorted(told, key=lambda one: not one.frowns)


def _by_phone(switched_on: Collection[str]) -> bool:
    return not PHONE_CHANNELS.isdisjoint(switched_on) or DUAL in switched_on


def _of_phone(stronger: bool, risk_accepted: bool) -> Iterator[Advice]:
    yield Advice(
        says="A text or a call can be intercepted, and a number can be moved to another SIM. Offer "
        "something stronger beside it, and tell your users.",
        source=_PHONE,
    )
    if risk_accepted and not stronger:
        yield Advice(
            says="The phone network is the only way. The risk was accepted here; have a plan for "
            "something stronger.",
            source="NIST SP 800-63B-4, 3.2.9",
        )


def _of_email(stronger: bool) -> Iterator[Advice]:
    yield Advice(
        says="An email proves no device: whoever reads the mailbox has the code. "
        "It never raises the class of a result"
        + ("." if stronger else ", and nothing stronger is offered."),
        source=_EMAIL,
    )


def _of_dual(settings: ChannelSettings) -> Iterator[Advice]:
    if settings.strict:
        return
    yield Advice(
        says="Dual sends one code to both addresses, and either may be read: it is as strong as "
        "the weaker one. The strict form wants a code from each.",
        source=_EMAIL,
        frowns=False,
    )
