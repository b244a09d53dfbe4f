"""Which language a page speaks."""

from __future__ import annotations

from flask import Flask, g, request
from flask_babel import Babel, get_locale

from app.config import Config
from app.texts import CATALOGS, language_of


def speak(*wishes: str | None) -> None:
    """Choose the page's language: the first wish that we speak (request, user, organization)."""
    if language := language_of(*wishes):
        g.language = language


def init_app(app: Flask, config: Config) -> None:
    """Start the catalogs; what nobody wished for is left to the browser."""
    app.config["BABEL_TRANSLATION_DIRECTORIES"] = str(CATALOGS)
    Babel(app, default_locale="en", locale_selector=_language)
    app.jinja_env.globals["language"] = lambda: str(get_locale())


def _language() -> str:
    return g.get("language") or language_of(*request.accept_languages.values()) or "en"
