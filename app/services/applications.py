"""Applications: relying parties, their secrets, and where they may be answered."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault, new_token
from app.errors import Invalid
from app.models import Application, Environment, Organization
from app.services.audit import Actor, Audit, EventKind

SECRET_PREFIX = "ghs_"  # noqa: S105 (for secret scanners; not a secret)
_PURPOSE = "application secret"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_URI = re.compile(r"[!-~]{1,2000}")
"""Printable ASCII without spaces: nothing that a browser would strip or rewrite."""
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(:[0-9]{1,5})?")
"""A host, at most with a port; it will stand in our Content-Security-Policy: no `;`, no `*`."""


class Applications:
    """Creates, finds and authenticates relying parties."""

    def __init__(self, clock: Clock, vault: Vault, audit: Audit) -> None:
        self._clock = clock
        self._vault = vault
        self._audit = audit

    def create(
        self,
        tx: Session,
        actor: Actor,
        *,
        environment: Environment,
        name: str,
        redirect_uris: Sequence[str],
        organizations: Sequence[Organization] = (),
    ) -> tuple[Application, str]:
        """Register an application; return it with its secret, which is shown this once.

        Args:
            redirect_uris: absolute https addresses (http for this machine only).
            organizations: those that it serves; none means all of the environment.

        Raises:
            Invalid: a field can't be used.
        """
        if not name.strip() or not name.isprintable():
            raise Invalid("name", "give it a printable name.")
        if not redirect_uris:
            raise Invalid("redirect_uris", "register at least one.")
        application = Application(
            id=uuid.uuid4(),
            environment=environment,
            name=name.strip(),
            secret_hash="",
            redirect_uris=[checked_redirect_uri(uri) for uri in redirect_uris],
            organizations=list(organizations),
            created_at=self._clock.now(),
        )
        secret = self._set_secret(application)
        tx.add(application)
        self._audit.record(
            tx, EventKind.APPLICATION_CREATED, actor, client_id=application.client_id
        )
        return application, secret

    def replace_secret(self, tx: Session, actor: Actor, application: Application) -> str:
        """Give the application a new secret and return it; the old one is dead at once."""
        self._audit.record(
            tx, EventKind.APPLICATION_SECRET_REPLACED, actor, client_id=application.client_id
        )
        return self._set_secret(application)

    def find(self, tx: Session, client_id: str) -> Application | None:
        """Return the application with this `client_id`, if there is one."""
        try:
            return tx.get(Application, uuid.UUID(client_id))
        except ValueError:
            return None

    def authenticate(self, tx: Session, client_id: str, secret: str) -> Application | None:
        """Return the application whose credentials these are."""
        application = self.find(tx, client_id)
        stored = application.secret_hash if application else None
        matches = self._vault.matches(secret, stored, purpose=_PURPOSE)
        return application if matches else None

    def _set_secret(self, application: Application) -> str:
        secret = SECRET_PREFIX + new_token()
        application.secret_hash = self._vault.hash(secret, purpose=_PURPOSE)
        return secret


def checked_redirect_uri(uri: str) -> str:
    """Return the address if results may be sent to it.

    It must say exactly one thing to every parser: absolute, https (http for this machine only),
    a plain host, no user, no fragment, no backslash (RFC 9700 section 4.1; RFC 8252 section 7.3).

    Raises:
        Invalid: it can't be registered.
    """
    wrong = Invalid(
        "redirect_uris", f"{uri[:200]!r} can't be used. Write one such as https://app.example/back."
    )
    if not _URI.fullmatch(uri) or any(mark in uri for mark in '\\#"<>^`{|}'):
        raise wrong
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not uri.startswith(f"{parts.scheme}://"):
        raise wrong
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise wrong
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise Invalid(
            "redirect_uris", f"{uri[:200]!r} must use https (http is for localhost only)."
        )
    return uri
