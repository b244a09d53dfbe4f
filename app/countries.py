"""Countries: which two letters name one (ISO 3166-1 alpha-2), and what it is called."""

from __future__ import annotations

import re

from babel import Locale

_NONE_OF_THEM = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}
"""Two letters by which CLDR names something else."""
_LETTERS = len("FR")
_CODES = {code for code in map(str, Locale("en").territories) if len(code) == _LETTERS}
_HEADER = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")


def known(code: str | None) -> str | None:
    """Return the code if it names a country; None for anything else."""
    return code if code in _CODES - _NONE_OF_THEM else None


def name_of(code: str, language: str) -> str:
    """Return what a country is called in a language."""
    return str(Locale.parse(language).territories.get(code, code))


def checked_header(value: str | None, proxies: object) -> str | None:
    """Return the name of a header in which trusted proxies may say where a peer is.

    Raises:
        ValueError: it is no name of a header, or no proxy is trusted.
    """
    if value is None:
        return None
    if not _HEADER.fullmatch(value):
        raise ValueError("must be the name of a header, such as CF-IPCountry")
    if not proxies:
        raise ValueError("needs GATEHOUSE_TRUSTED_PROXIES beside it")
    return value
