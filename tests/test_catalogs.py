"""Every text that a user reads is in the catalogs, translated, and no other is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from app.texts import CATALOGS, LANGUAGES

ROOT = Path(__file__).parent.parent
TEMPLATE = CATALOGS / "messages.pot"
TRANSLATED = [language for language in LANGUAGES if language != "en"]


def catalog(language: str) -> Catalog:
    with (CATALOGS / language / "LC_MESSAGES/messages.po").open("rb") as file:
        return read_po(file, locale=language)


def texts(found: Catalog) -> list[tuple[str, str]]:
    """Return what is said and how it is translated, in any order of reading."""
    return sorted((_flat(message.id), _flat(message.string)) for message in found if message.id)


def _flat(text: Any) -> str:
    return text if isinstance(text, str) else "\n".join(text)


def test_the_template_of_the_catalogs_is_up_to_date(tmp_path: Path) -> None:
    fresh = tmp_path / "messages.pot"
    pybabel = Path(sys.executable).with_name("pybabel")
    options = ["-F", "pyproject.toml", "--no-location", "--sort-output", "--omit-header"]
    command = [str(pybabel), "-q", "extract", *options, "--no-wrap", "-o", str(fresh), "."]
    subprocess.run(command, cwd=ROOT, check=True)
    assert fresh.read_text() == TEMPLATE.read_text(), "type: make messages"


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_and_none_is_left_over(language: str) -> None:
    with TEMPLATE.open("rb") as file:
        wanted = {message.id for message in read_po(file) if message.id}
    translated = catalog(language)
    found = {message.id: message for message in translated if message.id}
    assert set(found) == wanted
    for message in found.values():
        assert not message.fuzzy, message.id
        said: Any = message.string
        assert all(text.strip() for text in ([said] if isinstance(said, str) else said))
        assert not list(message.check(translated)), message.id


@pytest.mark.parametrize("language", TRANSLATED)
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    with (CATALOGS / language / "LC_MESSAGES/messages.mo").open("rb") as file:
        compiled = texts(read_mo(file))
    assert compiled == texts(catalog(language)), "type: make messages"
