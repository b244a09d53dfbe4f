"""A mail server in one line, as the deployment's settings name it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.policy import default
from urllib.parse import SplitResult, unquote, urlsplit

_ADDRESS = re.compile(r"[!-?A-~]+@[a-z0-9-]+(\.[a-z0-9-]+)*", re.I)
_LIKE = "must be an address such as smtp://user:password@mail.example.com:587"


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """Where mail is handed in, and how.

    Attributes:
        security: `starttls`, `tls` or `none`.
        port: None for the usual one.
    """

    host: str
    security: str
    port: int | None = None
    username: str = ""
    password: str = field(default="", repr=False)


def parse(url: str) -> MailServer:
    """Read `smtp://` (STARTTLS), `smtps://` (TLS), or `smtp://…?tls=none` (neither).

    Raises:
        ValueError: it is none of these; the message tells nothing of what is in it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_LIKE) from None
    if parts.path.strip("/") or parts.fragment or not parts.hostname or port == 0:
        raise ValueError(_LIKE)
    return MailServer(
        host=parts.hostname,
        security=_security(parts),
        port=port,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _security(parts: SplitResult) -> str:
    known = {("smtp", ""): "starttls", ("smtps", ""): "tls", ("smtp", "tls=none"): "none"}
    security = known.get((parts.scheme, parts.query))
    if security is None:
        raise ValueError(_LIKE + ", or smtps://…, or smtp://…?tls=none")
    return security


def sender(text: str) -> tuple[str, str]:
    """Read `Name <address>` or a bare address, and return both; the name may be "".

    Raises:
        ValueError: it is neither.
    """
    found = default.header_factory("From", " ".join(text.split()))
    if (
        found.defects
        or len(found.addresses) != 1
        or not _ADDRESS.fullmatch(found.addresses[0].addr_spec)
    ):
        raise ValueError("must read such as Gatehouse <mfa@example.com>")
    return found.addresses[0].display_name, found.addresses[0].addr_spec
