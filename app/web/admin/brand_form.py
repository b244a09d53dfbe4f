"""The form of the branding page: what is published, or what was typed."""

from __future__ import annotations

import base64
import binascii

from flask import request
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import (
    BooleanField,
    HiddenField,
    SelectField,
    StringField,
    TextAreaField,
    URLField,
)
from wtforms.fields.choices import SelectChoice

from app.services import brand_logos, brand_texts
from app.services.brand_texts import HelpText
from app.services.brands import Look, Typed
from app.texts import LANGUAGES

LANGUAGE_NAMES = {"en": "English", "fr": "Français"}
"""Each as its own speakers write it."""

PAGES = {"challenge": "Asking for a code", "enroll": "First visit", "recover": "Recovery code"}
"""Hosted pages that a preview shows."""


class BrandForm(FlaskForm):  # type: ignore[misc]
    """Everything that makes a brand; the texts are added below, for each language."""

    name = StringField(
        "Name people recognise",
        description="Stands on every page, in messages, and in apps that are added from now on.",
        render_kw={"autocomplete": "organization", "maxlength": 100, "required": True},
    )
    logo = FileField(
        "Logo",
        description=(
            f"PNG, JPEG, WebP or GIF, square, at least {brand_logos.LEAST_SIDE} pixels, up to "
            f"{brand_logos.MOST_BYTES // 1024**2} MB. It sits on white in both modes."
        ),
        render_kw={"accept": "image/png,image/jpeg,image/webp,image/gif"},
    )
    remove_logo = BooleanField("Remove the logo")
    kept_logo = HiddenField()
    """A logo that was judged in an earlier round and is not published yet."""
    colour = StringField(
        "Brand colour",
        description="Used for the main button, links and progress. We choose the text on it.",
        render_kw={"spellcheck": "false", "autocomplete": "off", "required": True},
    )
    dark_colour = StringField(
        "Brand colour on dark screens",
        description="Leave it empty, and it follows from the other.",
        render_kw={"spellcheck": "false", "autocomplete": "off"},
    )
    page = SelectField("Page", choices=[SelectChoice(*one) for one in PAGES.items()])
    language = SelectField(
        "Language", choices=[SelectChoice(one, LANGUAGE_NAMES[one]) for one in LANGUAGES]
    )

    def typed(self) -> Typed:
        """Return what was typed, with the file that came or was kept."""
        sent = request.files.get("logo")
        logo = sent.stream.read() if sent is not None and sent.filename else self._kept()
        return Typed(
            name=self.name.data or "",
            colour=self.colour.data or "",
            dark_colour=self.dark_colour.data or "",
            texts={
                language: HelpText(
                    **{part: self[f"{language}_{part}"].data or "" for part in _PARTS}
                )
                for language in LANGUAGES
            },
            logo=None if self.remove_logo.data else logo,
            removes_logo=bool(self.remove_logo.data),
        )

    @property
    def shown(self) -> tuple[str, str]:
        """Which page the preview shows, and in which language."""
        page, language = self.page.data, self.language.data
        return (
            page if page in PAGES else next(iter(PAGES)),
            language if language in LANGUAGES else LANGUAGES[0],
        )

    def _kept(self) -> bytes | None:
        try:
            return base64.b64decode(self.kept_logo.data or "", validate=True) or None
        except (binascii.Error, ValueError):
            return None


_PARTS = ("help", "link", "label")

for _language in LANGUAGES:
    _about = {
        f"{_language}_help": TextAreaField(
            "Where to get help",
            description=(
                "Shown under Help on every hosted page. "
                f"Up to {brand_texts.LONGEST_HELP} characters."
            ),
            render_kw={"rows": 3, "lang": _language},
        ),
        f"{_language}_link": URLField(
            "Link to support",
            description="A page (https:), an email address (mailto:) or a phone number (tel:).",
            render_kw={"autocomplete": "off", "spellcheck": "false"},
        ),
        f"{_language}_label": StringField(
            "What the link is called",
            description="Empty shows its address.",
            render_kw={"autocomplete": "off", "lang": _language},
        ),
    }
    for _name, _field in _about.items():
        setattr(BrandForm, _name, _field)


def published(look: Look) -> BrandForm:
    """Return a form that says what is published now."""
    texts = {
        f"{language}_{part}": getattr(brand_texts.read(look.texts, language), part)
        for language in LANGUAGES
        for part in _PARTS
    }
    return BrandForm(
        formdata=None,
        name=look.name,
        colour=look.main_colour,
        dark_colour=look.dark_colour or "",
        **texts,
    )


def keep_logo(form: BrandForm, look: Look) -> None:
    """Let the next round of the form bring the logo that this one brought."""
    form.kept_logo.data = base64.b64encode(look.logo or b"").decode()
