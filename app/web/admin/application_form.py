"""The form of an application: its name, its addresses, and what it vouches for."""

from __future__ import annotations

from typing import Any

from wtforms import BooleanField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import ValidationError

from app.models import Application
from app.services import redirect_uris
from app.services.application_methods import NAMES, named_methods
from app.services.credentials import checked_name
from app.web.admin.event_words import METHODS
from app.web.admin.once import OnceForm
from app.web.admin.told import Checked

_WORDS = {"app": "Authenticator app"}
CHOICES = {
    name: _WORDS.get(name) or METHODS[kind][:1].upper() + METHODS[kind][1:]
    for name, kind in NAMES.items()
}
"""Methods as administrators tick them."""


class ApplicationForm(OnceForm):
    """What an application is called, where its users go back to, and what they proved before."""

    name = StringField(
        "Name",
        validators=[Checked(checked_name, empty=True)],
        description="Users read it on every page that asks them for a code.",
        render_kw={"required": True, "maxlength": 100, "autocomplete": "off"},
    )
    redirect_uris = TextAreaField(
        "Redirect addresses",
        description="One a line. Results are sent to these alone, compared letter by letter. "
        "https only; http is for localhost.",
        render_kw={"rows": 4, "required": True, "spellcheck": "false", "autocapitalize": "none"},
    )

    vouches_for_first_factor = BooleanField(
        "It checks a first factor, such as a password, before it sends users here",
        description="Then a second one confirmed here counts as two: results say mfa in amr. An "
        "email never does.",
    )

    methods = SelectMultipleField(
        "Methods",
        choices=CHOICES,
        description="Tick none, and its users may confirm by all that the organization offers. "
        "Whoever has none of the ticked ones set up can’t get through.",
    )

    def validate_redirect_uris(self, field: TextAreaField) -> None:
        """Demand at least one, and that each can be registered."""
        looked = looked_at(field.data)
        wrong = sum(1 for _, reason in looked if reason)
        if not looked:
            raise ValidationError("Write at least one.")
        if len(looked) > redirect_uris.MOST:
            raise ValidationError(f"There are {len(looked)}. Write {redirect_uris.MOST} at most.")
        if wrong:
            raise ValidationError(f"{wrong} of {len(looked)} can’t be registered, as told below.")

    @property
    def common(self) -> dict[str, Any]:
        """What was typed of that which every application has, by the services' names."""
        return {
            "name": self.name.data or "",
            "redirect_uris": [uri for uri, _ in looked_at(self.redirect_uris.data)],
            "vouches_for_first_factor": bool(self.vouches_for_first_factor.data),
            "methods": self.methods.data or (),
        }


def stands(application: Application) -> dict[str, Any]:
    """Return what every application has, as the fields show it."""
    return {
        "name": application.name,
        "redirect_uris": "\n".join(application.redirect_uris),
        "vouches_for_first_factor": application.vouches_for_first_factor,
        "methods": named_methods(application.methods),
    }


def taken(application: Application) -> str:
    """Return which methods an application takes, in words."""
    names = [CHOICES[name] for name in named_methods(application.methods)]
    return ", ".join(names) or "All that are switched on"


def looked_at(typed: str | None) -> list[tuple[str, str | None]]:
    """Return each address that was typed, once, with what is wrong with it, if anything is."""
    lines = (line.strip(" \t") for line in (typed or "").replace("\r\n", "\n").split("\n"))
    return [(uri, redirect_uris.why_not(uri)) for uri in dict.fromkeys(lines) if uri]
