"""Where results may be sent to: which addresses can be registered, and why others can't."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from app.errors import Invalid

MOST = 100
LONGEST = 2000
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NO_URI = re.compile(r'[\\"<>^`{|}]')
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(:[0-9]{1,5})?")
"""A host, at most with a port; it will stand in our Content-Security-Policy: no `;`, no `*`."""


def checked_redirect_uris(uris: Sequence[str]) -> list[str]:
    """Return the addresses if results may be sent to each.

    Raises:
        Invalid: there is none, or one can't be registered.
    """
    if not uris:
        raise Invalid("redirect_uris", "register at least one.")
    return [checked_redirect_uri(uri) for uri in uris]


def checked_redirect_uri(uri: str) -> str:
    """Return the address if results may be sent to it.

    Raises:
        Invalid: it can't be registered.
    """
    if reason := why_not(uri):
        told = f"{uri[:200]!r} {reason} Write one such as https://app.example/back."
        raise Invalid("redirect_uris", told)
    return uri


def why_not(uri: str) -> str | None:
    """Return what is wrong with an address, in a sentence that begins after it; None if nothing is.

    It must say exactly one thing to every parser: absolute, https (http for this machine only),
    a plain host, no user, no fragment, no backslash (RFC 9700 section 4.1; RFC 8252 section 7.3).
    """
    return _wrong_characters(uri) or _wrong_scheme(uri) or _wrong_host(uri)


def _wrong_characters(uri: str) -> str | None:
    if not uri:
        return "is empty."
    if len(uri) > LONGEST:
        return f"is longer than {LONGEST:,} characters."
    if any(ord(mark) <= 32 or ord(mark) == 127 for mark in uri):
        return "has a space or a control character in it."
    if not uri.isascii():
        return "has letters other than ASCII. Write a host as xn--… and a path with %…."
    if "#" in uri:
        return "has a fragment (#…), and results don’t travel in one."
    if odd := _NO_URI.search(uri):
        return f"has {odd[0]} in it, which browsers read in different ways."
    return None


def _wrong_scheme(uri: str) -> str | None:
    found = _SCHEME.match(uri)
    if uri.startswith(("https://", "http://")):
        return None
    if found is None:
        return "doesn’t begin with https://, so it names no website."
    if found[0].lower() in {"http:", "https:"}:
        return f"must begin with {found[0].lower()}// in small letters and with both slashes."
    return f"begins with {found[0]} and must use https, which leads to a website."


def _wrong_host(uri: str) -> str | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return "has a host or a port that can’t be one."
    if "@" in parts.netloc:
        return "has a name before the host (…@), which hides where it leads."
    if "*" in parts.netloc:
        return (
            "has a * in its host. Write each address in full; they are compared letter by letter."
        )
    if not _AUTHORITY.fullmatch(parts.netloc):
        return "has a host or a port that can’t be one."
    return _wrong_transport(parts)


def _wrong_transport(parts: SplitResult) -> str | None:
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        return "must use https (http is for localhost only)."
    return None
