"""The form of a channel: how its codes go."""

from __future__ import annotations

from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, SelectField, StringField
from wtforms.fields.choices import SelectChoice

from app.factors.message_code import LONGEST, SHORTEST
from app.services.channels import LONGEST_MINUTES, ChannelSettings
from app.services.method_settings import DUAL

_SENDERS = {
    "email": "The name beside the address. Empty: the name that the provider’s account has.",
    "sms": "A number, or a name of up to 11 letters and digits. Empty: that of the provider’s "
    "account.",
    "whatsapp": "A number such as +15005550006. Empty: that of the provider’s account.",
    "voice": "A number such as +15005550006. Empty: that of the provider’s account.",
}


def _minutes(number: int) -> str:
    return "1 minute" if number == 1 else f"{number} minutes"


class ChannelForm(FlaskForm):  # type: ignore[misc]
    """Digits, lifetime, and whom it is from; for dual, how many codes."""

    digits = SelectField(
        "Digits of a code",
        choices=[SelectChoice(str(one)) for one in range(SHORTEST, LONGEST + 1)],
    )
    minutes = SelectField(
        "A code works for",
        choices=[SelectChoice(str(one), _minutes(one)) for one in range(1, LONGEST_MINUTES + 1)],
    )
    sender = StringField("Sender", render_kw={"autocomplete": "off", "maxlength": 60})
    strict = BooleanField(
        "Strict",
        description="Another code goes to each address, and both are typed together. Else one code "
        "goes to both, and either may be read.",
    )

    def changes(self, kind: str) -> dict[str, Any]:
        """Return the settings that the form says."""
        wanted: dict[str, Any] = {
            "digits": int(self.digits.data),
            "minutes": int(self.minutes.data),
        }
        if kind == DUAL:
            return {**wanted, "strict": bool(self.strict.data)}
        return {**wanted, "sender": (self.sender.data or "").strip() or None}


def channel_form(kind: str, settings: ChannelSettings, *, sent: bool = False) -> ChannelForm:
    """Return the form of a channel, with what stands now or what was sent."""
    data = {
        "digits": str(settings.digits),
        "minutes": str(settings.minutes),
        "sender": settings.sender or "",
        "strict": settings.strict,
    }
    form: ChannelForm = ChannelForm(data=data) if sent else ChannelForm(formdata=None, data=data)
    form.sender.description = _SENDERS.get(kind, "")
    if kind == DUAL:
        del form.sender
    else:
        del form.strict
    return form


def lines(kind: str, settings: ChannelSettings) -> list[tuple[str, str]]:
    """Return each setting with its name, as a list reads."""
    told = [
        ("Digits of a code", str(settings.digits)),
        ("A code works for", _minutes(settings.minutes)),
    ]
    if kind == DUAL:
        return [*told, ("Strict", "Yes, two codes" if settings.strict else "No, one code")]
    return [*told, ("Sender", settings.sender or "That of the provider’s account")]


def summary(kind: str, settings: ChannelSettings) -> str:
    """Return how codes go in half a sentence, such as `6 digits for 10 minutes`."""
    told = f"{settings.digits} digits for {_minutes(settings.minutes)}"
    return f"{told}, another code to each address" if kind == DUAL and settings.strict else told
