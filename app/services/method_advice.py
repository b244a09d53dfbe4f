"""What the standards say of how an organization's codes work, in plain words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.factors.totp import USUAL
from app.services.totp_settings import TotpSettings

BITS_PER_CHARACTER = 5
_ENOUGH_BITS = 112
_ASVS_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What one standard says.

    Attributes:
        frowns: whether the setting is against it, and not only worth knowing.
    """

    says: str
    source: str
    frowns: bool = True


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings that go well together.

    Attributes:
        settings: an issuer and a way of sending are left as they are.
    """

    name: str
    about: str
    settings: TotpSettings


PRESETS = {
    "recommended": Preset(
        name="Recommended",
        about="What every authenticator app takes, with some patience for slow typing.",
        settings=TotpSettings(),
    ),
    "strict": Preset(
        name="Strict (ASVS)",
        about="OWASP ASVS 5.0 to the letter. A phone whose clock is off is refused.",
        settings=TotpSettings(window=0, strict=True, recovery_code_length=23),
    ),
    "cryptr": Preset(
        name="Like the Cryptr guides",
        about="Authenticator app and codes by SMS, which your application sends.",
        settings=TotpSettings(methods=("app", "sms")),
    ),
}
PRESET_FIELDS = (
    "methods",
    "digits",
    "period",
    "algorithm",
    "window",
    "strict",
    "recovery_codes",
    "recovery_code_length",
)


def accepted_seconds(settings: TotpSettings) -> int:
    """Return how long one code counts."""
    after = 0 if settings.strict else settings.window
    return settings.period * (settings.window + 1 + after)


def advice(settings: TotpSettings) -> list[Advice]:
    """Return what standards have to say of these settings, frowns first."""
    told = [*_of_time(settings), *_of_methods(settings), *_of_recovery(settings)]
    return sorted(told, key=lambda one: not one.frowns)


def _of_time(settings: TotpSettings) -> Iterator[Advice]:
    seconds = accepted_seconds(settings)
    if settings.window > 1:
        yield Advice(
            says=f"Codes of {settings.window} steps before now are accepted. One step is the most "
            "that is recommended: each more gives a guesser another chance.",
            source="RFC 6238, section 5.2",
        )
    if settings.period > _ASVS_SECONDS:
        yield Advice(
            says=f"A code is shown for {settings.period} seconds. 30 are recommended: whoever "
            "reads a code over somebody’s shoulder has longer to use it.",
            source="RFC 6238, section 5.2, and OWASP ASVS 5.0, 6.5.5",
        )
    if seconds > _ASVS_SECONDS:
        yield Advice(
            says=f"A code counts for {seconds} seconds in all. ASVS allows 30, RFC 6238 allows one "
            "step more for slow typing: the two disagree.",
            source="OWASP ASVS 5.0, 6.5.5",
            frowns=seconds > 3 * _ASVS_SECONDS,
        )
    if settings.parameters != {}:
        names = ", ".join(_CALLED[name] for name in USUAL if name in settings.parameters)
        yield Advice(
            says=f"Some apps ignore these and show wrong codes: {names}. Try the apps that your "
            "users have.",
            source="Key URI format of Google Authenticator",
        )


def _of_methods(settings: TotpSettings) -> Iterator[Advice]:
    if "sms" not in settings.methods:
        return
    alone = settings.methods == ("sms",)
    yield Advice(
        says="A text can be intercepted, and a number can be moved to another SIM. "
        + ("SMS must not be the only method: offer the app, too." if alone else "Tell your users."),
        source="NIST SP 800-63B-4, 3.1.3.3: the telephone network is restricted",
    )


def _of_recovery(settings: TotpSettings) -> Iterator[Advice]:
    bits = settings.recovery_code_length * BITS_PER_CHARACTER
    if bits < _ENOUGH_BITS:
        yield Advice(
            says=f"A recovery code holds {bits} random bits. Below {_ENOUGH_BITS} a stolen "
            "database must not be enough to guess it. Gatehouse keeps the key of its hashes "
            "outside the database; 23 characters need no such trust.",
            source="NIST SP 800-63B-4, 3.1.2.2, and OWASP ASVS 5.0, 6.5.2",
            frowns=False,
        )
    if settings.recovery_codes == 1:
        yield Advice(
            says="After its one recovery code a user has none left. A new one should follow at "
            "once.",
            source="NIST SP 800-63B-4, 4.2.1.1",
        )


_CALLED = {"digits": "number of digits", "period": "seconds", "algorithm": "algorithm"}
