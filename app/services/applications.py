"""Applications: relying parties, their secrets, and where they may be answered."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import lock, touched_one
from app.errors import Invalid, NotFound
from app.models import Application, Environment, Organization
from app.services.audit import Actor, Audit, EventKind
from app.services.credentials import Credentials, checked_name

SECRET_PREFIX = "ghs_"  # noqa: S105 (for secret scanners; not a secret)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_URI = re.compile(r"[!-~]{1,2000}")
"""Printable ASCII without spaces: nothing that a browser would strip or rewrite."""
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)(:[0-9]{1,5})?")
"""A host, at most with a port; it will stand in our Content-Security-Policy: no `;`, no `*`."""


@dataclass(frozen=True, kw_only=True)
class ApplicationChanges:
    """What is to be different about an application; None leaves a thing as it is.

    Attributes:
        organizations: those that it serves; an empty list means all of the environment.
    """

    name: str | None = None
    redirect_uris: Sequence[str] | None = None
    organizations: Sequence[Organization] | None = None


class Applications:
    """Creates, finds and authenticates relying parties."""

    def __init__(self, clock: Clock, vault: Vault, audit: Audit) -> None:
        self._clock = clock
        self._credentials = Credentials(
            clock, vault, prefix=SECRET_PREFIX, purpose="application secret"
        )
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
        now = self._clock.now()
        application = Application(
            id=uuid.uuid4(),
            environment=environment,
            name=checked_name(name),
            redirect_uris=_checked_redirect_uris(redirect_uris),
            organizations=list(organizations),
            created_at=now,
            updated_at=now,
        )
        secret = self._credentials.issue(application)
        tx.add(application)
        self._record(tx, EventKind.APPLICATION_CREATED, actor, application)
        return application, secret

    def page(
        self,
        tx: Session,
        environment: Environment,
        organization: Organization | None = None,
        *,
        page: int = 1,
        per_page: int | None = None,
    ) -> tuple[list[Application], int]:
        """Return a page of an environment's applications, newest first, and their number.

        Args:
            organization: only those that serve this one and no other.
            per_page: None means all of them.
        """
        chosen = _applications(environment, organization)
        total = tx.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
        newest = chosen.order_by(Application.created_at.desc(), Application.id)
        rows = tx.scalars(newest.limit(per_page).offset((page - 1) * (per_page or 0)))
        return list(rows), total

    def named(
        self,
        tx: Session,
        environment: Environment,
        organization: Organization | None,
        client_id: str,
    ) -> Application:
        """Return one of the applications that `page` lists.

        Raises:
            NotFound: it is not among them.
        """
        chosen = _applications(environment, organization)
        application = tx.scalar(chosen.where(Application.id == _uuid(client_id)))
        if application is None:
            raise NotFound("application")
        return application

    def update(
        self, tx: Session, actor: Actor, application: Application, changes: ApplicationChanges
    ) -> None:
        """Change an application.

        Raises:
            Invalid: a field can't be used.
            NotFound: somebody deleted it at this moment.
        """
        lock(tx, Application.id, application.id)
        tx.refresh(application)
        if application.deleted_at is not None:
            raise NotFound("application")
        changed = []
        if changes.name is not None:
            application.name = checked_name(changes.name)
            changed.append("name")
        if changes.redirect_uris is not None:
            application.redirect_uris = _checked_redirect_uris(changes.redirect_uris)
            changed.append("redirect_uris")
        if changes.organizations is not None:
            application.organizations = list(changes.organizations)
            changed.append("organizations")
        if changed:
            application.updated_at = self._clock.now()
            self._audit.record(
                tx,
                EventKind.APPLICATION_UPDATED,
                actor,
                client_id=application.client_id,
                changed=" ".join(changed),
            )

    def replace_secret(
        self,
        tx: Session,
        actor: Actor,
        application: Application,
        *,
        overlap: timedelta = timedelta(0),
    ) -> str:
        """Give the application a new secret and return it.

        Args:
            overlap: how long the old one works on; without one it is dead at once.

        Raises:
            Invalid: the overlap is too long.
        """
        secret = self._credentials.replace(tx, application, overlap)
        self._record(tx, EventKind.APPLICATION_SECRET_REPLACED, actor, application)
        return secret

    def delete(self, tx: Session, actor: Actor, application: Application) -> None:
        """Let an application, its secrets and its gateway sessions be found by nobody any more.

        Raises:
            NotFound: somebody deleted it at this moment.
        """
        delete = (
            sa.update(Application)
            .where(Application.id == application.id, Application.deleted_at.is_(None))
            .values(deleted_at=self._clock.now())
        )
        if not touched_one(tx, delete):
            raise NotFound("application")
        self._record(tx, EventKind.APPLICATION_DELETED, actor, application)

    def overlaps_until(self, application: Application) -> datetime | None:
        """Return until when the secret before this one works, if it still does."""
        return self._credentials.overlaps_until(application)

    def find(self, tx: Session, client_id: str) -> Application | None:
        """Return the application with this `client_id`, if there is one."""
        application_id = _uuid(client_id)
        found = tx.get(Application, application_id) if application_id else None
        return found if found is not None and found.deleted_at is None else None

    def answered_at(
        self, tx: Session, organization: Organization, redirect_uri: str
    ) -> list[Application]:
        """Return those that serve the organization and registered this very address."""
        serving = sa.or_(
            Application.organizations.any(Organization.id == organization.id),
            ~Application.organizations.any(),
        )
        found = tx.scalars(_applications(organization.environment, None).where(serving))
        return [one for one in found if redirect_uri in one.redirect_uris]

    def authenticate(self, tx: Session, client_id: str, secret: str) -> Application | None:
        """Return the application whose credentials these are."""
        application = self.find(tx, client_id)
        return application if self._credentials.match(secret, application) else None

    def _record(
        self,
        tx: Session,
        kind: EventKind,
        actor: Actor,
        application: Application,
    ) -> None:
        self._audit.record(tx, kind, actor, client_id=application.client_id)


def _applications(
    environment: Environment, organization: Organization | None
) -> sa.Select[Application]:
    """Select applications; of an organization only those that are its own entirely."""
    chosen = sa.select(Application).where(
        Application.environment == environment, Application.deleted_at.is_(None)
    )
    if organization is None:
        return chosen
    mine, others = Organization.id == organization.id, Organization.id != organization.id
    return chosen.where(Application.organizations.any(mine), ~Application.organizations.any(others))


def _checked_redirect_uris(uris: Sequence[str]) -> list[str]:
    if not uris:
        raise Invalid("redirect_uris", "register at least one.")
    return [checked_redirect_uri(uri) for uri in uris]


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


def _uuid(client_id: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(client_id)
    except ValueError:
        return None
