"""The texts of messages: Jinja2 templates and the catalogs, without a web request."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.support import NullTranslations, Translations
from jinja2 import Environment, FileSystemLoader, StrictUndefined

LANGUAGES = ["en", "fr"]
CATALOGS = Path(__file__).parent / "translations"
_TEMPLATES = Path(__file__).parent.parent / "templates" / "messages"


@dataclass(frozen=True, kw_only=True)
class Text:
    """A message in one language."""

    subject: str
    body: str


def language_of(*wishes: str | None) -> str | None:
    """Return the first wish (a language tag) that we speak, as the language of a catalog."""
    for wish in filter(None, wishes):
        language = wish.replace("_", "-").split("-")[0].lower()
        if language in LANGUAGES:
            return language
    return None


def message(name: str, language: str, *, channel: str = "email", **facts: object) -> Text:
    """Return a message; its template's first line is the subject.

    Args:
        name: of the template, `templates/messages/<name>.<channel>.txt`.
        language: one of `LANGUAGES`.
        facts: what the template names; a missing one is an error.
    """
    subject, _, body = (
        _environment(language).get_template(f"{name}.{channel}.txt").render(facts).partition("\n")
    )
    return Text(subject=subject.strip(), body=body.strip() + "\n")


def as_html(text: Text, language: str, *, code: str | None = None) -> str:
    """Return a message as a page for mail programs, with its styles inside (they load none).

    Args:
        language: of the text.
        code: what is to stand out, if there is one.
    """
    blocks = [block.split("\n") for block in text.body.strip().split("\n\n")]
    letter = _html().get_template("_letter.email.html")
    return letter.render(subject=text.subject, blocks=blocks, language=language, code=code)


@cache
def _html() -> Environment:
    """Return the templates of mail as pages; these escape what they are given."""
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _environment(language: str) -> Environment:
    environment = Environment(  # noqa: S701  (plain text has nothing to escape)
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    catalog: NullTranslations = Translations.load(CATALOGS, [language])
    environment.install_gettext_translations(catalog, newstyle=True)  # type: ignore[attr-defined]
    return environment
