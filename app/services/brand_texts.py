"""What an organization says on the hosted pages, in each language: where its people find help."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from app.errors import Invalid
from app.texts import LANGUAGES

LONGEST_HELP, LONGEST_LINK, LONGEST_LABEL = 300, 500, 60

_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
_EMAIL = re.compile(r"mailto:[^\s@?&\"<>\\:/]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_PHONE = re.compile(r"tel:\+?[0-9][0-9().-]{2,30}")
_NO_URI = re.compile(r"[\x00-\x20\x7f-\x9f\\\"<>^`{|}]")
_SPACES = dict.fromkeys(map(ord, "\n\u00a0\u202f"), " ")
"""What else may stand in a text: French puts a narrow space before some signs."""
_RIGHT = (
    "write an address such as https://help.example.com, mailto:help@example.com or "
    "tel:+33123456789."
)


@dataclass(frozen=True, kw_only=True)
class HelpText:
    """What one language says about help.

    Attributes:
        help: plain text; line ends stay.
        link: `https:`, `mailto:` or `tel:`.
        label: what the link is called.
    """

    help: str = ""
    link: str = ""
    label: str = ""

    @property
    def name(self) -> str:
        """What the link is called, for want of a label its own address in short."""
        return self.label or self.link.partition(":")[2].removeprefix("//").rstrip("/")


@dataclass(frozen=True, kw_only=True)
class Help:
    """What a page in some language shows about help; either part may be in another one.

    Attributes:
        text: with the language that it is in, or nothing.
        link: with address and name, and the language of the name.
    """

    text: str
    text_language: str
    link: str
    link_name: str
    link_language: str


def cleaned(typed: HelpText) -> HelpText:
    """Return what one language says as we keep it."""
    return HelpText(
        help="\n".join(line.rstrip() for line in typed.help.strip().splitlines()),
        link=typed.link.strip(),
        label=" ".join(typed.label.split()),
    )


def faults(language: str, text: HelpText) -> list[Invalid]:
    """Return why parts of a text can't be shown; each names its field, `<language>_<part>`."""
    found = []
    if not _can_be_shown(text.help, LONGEST_HELP):
        told = f"use at most {LONGEST_HELP} printable characters; these are {len(text.help)}."
        found.append(Invalid(f"{language}_help", told))
    if text.link and not is_safe(text.link):
        found.append(Invalid(f"{language}_link", _RIGHT))
    if text.label and not text.link:
        found.append(Invalid(f"{language}_link", f"“{text.label}” leads nowhere yet: {_RIGHT}"))
    if not _can_be_shown(text.label, LONGEST_LABEL):
        told = f"use at most {LONGEST_LABEL} printable characters."
        found.append(Invalid(f"{language}_label", told))
    return found


def is_safe(link: str) -> bool:
    """Tell whether a link may stand on a page: it opens a page, a letter or a call, no program."""
    if len(link) > LONGEST_LINK or _NO_URI.search(link):
        return False
    if link.lower().startswith("https://"):
        return _names_host(link)
    return bool(_EMAIL.fullmatch(link) or _PHONE.fullmatch(link))


def read(stored: Mapping[str, Any], language: str) -> HelpText:
    """Return what is stored for a language; a link that may not be shown is left out."""
    known = stored.get(language) or {}
    text = HelpText(**{name: str(known.get(name) or "") for name in asdict(HelpText())})
    return text if is_safe(text.link) else replace(text, link="", label="")


def stored(texts: Mapping[str, HelpText]) -> dict[str, Any]:
    """Return texts as they are kept: only what says something."""
    full = {
        language: {name: value for name, value in asdict(text).items() if value}
        for language, text in texts.items()
    }
    return {language: parts for language, parts in full.items() if parts}


def help_in(texts: Mapping[str, Any], language: str) -> Help | None:
    """Return what a page in this language shows; what it lacks comes from another language."""
    order = [language, *(other for other in LANGUAGES if other != language)]
    known = {one: read(texts, one) for one in order}
    text = next((one for one in order if known[one].help), None)
    link = next((one for one in order if known[one].link), None)
    if text is None and link is None:
        return None
    return Help(
        text=known[text].help if text else "",
        text_language=text or language,
        link=known[link].link if link else "",
        link_name=known[link].name if link else "",
        link_language=link or language,
    )


def _can_be_shown(text: str, longest: int) -> bool:
    return len(text) <= longest and text.translate(_SPACES).isprintable()


def _names_host(link: str) -> bool:
    try:
        parts = urlsplit(link)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = host if port is None else f"{host}:{port}"
    return bool(_HOST.fullmatch(host)) and parts.netloc.lower() == plain
