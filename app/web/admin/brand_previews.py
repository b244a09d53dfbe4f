"""Previews: the real hosted pages with made-up data, as a brand makes them look.

Each is a whole page inside the branding page's own answer (an iframe's `srcdoc`), so none of our
addresses can be framed, and nothing that somebody else wrote into a link can be shown.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from types import SimpleNamespace as Made
from typing import Any
from urllib.parse import quote

from flask import render_template, url_for
from flask_babel import force_locale

from app.factors import totp
from app.services.brands import Look
from app.services.totp_settings import TotpSettings
from app.web.support.branding import PageBrand

_PERSON = "you@example.com"
_KEY = "THISISNOTASECRETTHISISNOTASECRET"
_TEMPLATES = {
    "challenge": "factors/totp/challenge.html",
    "enroll": "factors/totp/enroll.html",
    "recover": "gateway/recover.html",
}


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A hosted page to look at.

    Attributes:
        scheme: `light` or `dark`.
        html: the whole document; it has no script, and its forms have no token.
    """

    scheme: str
    html: str


def previews(
    look: Look, application: str, settings: TotpSettings, page: str, language: str
) -> list[Preview]:
    """Return one page in both schemes.

    Args:
        application: name of the one that sends people here.
        settings: of new authenticators.
        page: `challenge`, `enroll` or `recover`.
        language: that the page speaks.
    """
    facts = _facts(look, application, settings)
    with force_locale(language):
        pages = {
            scheme: render_template(_TEMPLATES[page], **facts, **_frame(look, scheme))
            for scheme in ("light", "dark")
        }
    # A browser that may not focus a field in a frame says so in its console.
    return [
        Preview(scheme=scheme, html=html.replace(" required autofocus>", " required>"))
        for scheme, html in pages.items()
    ]


def _frame(look: Look, scheme: str) -> dict[str, Any]:
    """Return what stands in for the look of a visit, and for its form tokens."""
    address = url_for("admin_branding.sheet", colour=look.main_colour, dark_colour=look.dark_colour)
    brand = PageBrand(
        name=look.name,
        sheet=address if look.colours else None,
        logo=picture(look),
        texts=look.texts,
        scheme=scheme,
    )
    return {"brand_of_page": lambda: brand, "csrf_token": str}


def picture(look: Look) -> str | None:
    """Return a logo as an address that holds it."""
    if not look.logo:
        return None
    return f"data:image/png;base64,{b64encode(look.logo).decode()}"


def _facts(look: Look, application: str, settings: TotpSettings) -> dict[str, Any]:
    label = f"{quote(look.name, safe='')}:{quote(_PERSON)}"
    uri = f"otpauth://totp/{label}?secret={_KEY}&issuer={quote(look.name, safe='')}"
    return {
        "session": Made(short_id="preview", subject_authenticated=True),
        "organization": Made(name=look.name),
        "application": Made(name=application),
        "person": Made(label=_PERSON),
        "prompt": Made(view={"uri": uri, "key": _KEY}),
        "shown": totp.shown(settings.parameters),
        "recovery": Made(recovered=False),
        "state": Made(remaining=settings.recovery_codes, replaces=True),
        "codes_follow": True,
    }
