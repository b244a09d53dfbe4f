"""Cryptr's gateway redirect: reading what an application's address asks (api-facts a.10)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.config import Config
from app.errors import NotFound, Refusal
from app.models import Application, CryptrClient, Door, Organization
from app.services.application_reach import own_to
from app.services.applications import Applications
from app.services.audit import Actor, Audit, EventKind
from app.services.gateway_sessions import origin_of
from app.services.subjects import Subjects

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST_STATE = 1024
_DEFAULT_SCOPE = "openid email profile"
SCOPES = tuple(_DEFAULT_SCOPE.split())
"""What of the scopes that are asked has a meaning here; the rest is not granted."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a browser brings from an application.

    Attributes:
        organization: whose user comes.
        email: as the application prefills it; it proves nothing.
        asked: what the exchange of the code needs: `code_challenge` and `scope`.
        by_link: whether a link to the mailbox tells who comes.
    """

    application: Application
    organization: Organization
    redirect_uri: str
    state: str
    locale: str | None
    email: str
    asked: dict[str, Any]
    by_link: bool


class Misdirected(Exception):
    """What is wrong has to be told to the application, which is known and may be answered.

    Args:
        description: for the developer.
    """

    def __init__(self, redirect_uri: str, state: str, description: str) -> None:
        super().__init__(description)
        self.redirect_uri = redirect_uri
        self.state = state
        self.description = description


class CryptrEntries:
    """Reads the query of the gateway redirect, and keeps the settings of its applications."""

    def __init__(
        self, config: Config, applications: Applications, subjects: Subjects, audit: Audit
    ) -> None:
        self._account_domain = config.account_domain
        self._applications = applications
        self._subjects = subjects
        self._audit = audit

    def create(
        self, tx: Session, actor: Actor, *, identifies_by_link: bool = True, **application: Any
    ) -> Application:
        """Register an application of this door; it has no secret, as its code runs in browsers.

        Args:
            application: see `Applications.create`.

        Raises:
            Invalid: a field can't be used.
        """
        made, _ = self._applications.create(tx, actor, door=Door.CRYPTR, **application)
        tx.flush()
        tx.add(CryptrClient(application_id=made.id, identifies_by_link=identifies_by_link))
        return made

    def settings(self, tx: Session, application: Application) -> CryptrClient:
        """Return what holds for an application of this door."""
        return tx.get_one(CryptrClient, application.id)

    def change(
        self, tx: Session, actor: Actor, application: Application, *, identifies_by_link: bool
    ) -> None:
        """Change how users of an application are identified."""
        settings = self.settings(tx, application)
        if settings.identifies_by_link == identifies_by_link:
            return
        settings.identifies_by_link = identifies_by_link
        owners: set[uuid.UUID | None] = {*own_to(application)}
        for organization_id in owners or {None}:
            self._audit.record(
                tx,
                EventKind.APPLICATION_UPDATED,
                actor,
                organization_id=organization_id,
                application_id=application.id,
                client_id=application.client_id,
                name=application.name,
                changed="identifies_by_link",
            )

    def read(self, tx: Session, account_domain: str, query: Mapping[str, str]) -> Entry:
        """Return what the query asks.

        Raises:
            NotFound: the deployment has another account domain.
            Refusal: `application_not_found`, `redirect_uri_not_registered`,
                `organization_unknown`: it is not safe to answer, so the user is told.
            Misdirected: anything else is wrong; the application is told.
        """
        if account_domain != self._account_domain:
            raise NotFound("account domain")
        application = self.application(tx, query.get("client_id", ""))
        redirect_uri = query.get("redirect_uri", "")
        if redirect_uri not in application.redirect_uris:
            raise Refusal(
                "redirect_uri_not_registered",
                "redirect_uri: it is not one of the application's, compared letter by letter.",
            )
        state = query.get("client_state", "")
        if wrong := _wrong(query):
            raise Misdirected(redirect_uri, state if _fits(state) else "", wrong)
        organization = self._subjects.organization(tx, application, query.get("organization"))
        return Entry(
            application=application,
            organization=organization,
            redirect_uri=redirect_uri,
            state=state,
            locale=query.get("locale"),
            email=query.get("email", ""),
            asked={
                "code_challenge": query["code_challenge"],
                "scope": _scopes(query.get("scope") or _DEFAULT_SCOPE),
            },
            by_link=self.settings(tx, application).identifies_by_link,
        )

    def knows_origin(self, tx: Session, origin: str) -> bool:
        """Tell whether an application of this door is answered at pages of this origin."""
        of_door = sa.select(Application.redirect_uris).where(
            Application.door == Door.CRYPTR, Application.deleted_at.is_(None)
        )
        return any(origin == origin_of(uri) for uris in tx.scalars(of_door) for uri in uris)

    def application(self, tx: Session, client_id: str) -> Application:
        """Return the application of this door with this `client_id`.

        Raises:
            Refusal: `application_not_found`.
        """
        found = self._applications.find(tx, client_id)
        if found is None or found.door is not Door.CRYPTR:
            raise Refusal(
                "application_not_found", "client_id: it names no application of this protocol."
            )
        return found


def _wrong(query: Mapping[str, str]) -> str | None:
    """Return what a developer has to mend, if anything."""
    state = query.get("client_state", "")
    if not _fits(state):
        return f"client_state: send 1 to {_LONGEST_STATE} printable characters."
    if query.get("code_challenge_method") != "S256":
        return "code_challenge_method: it must be S256 (RFC 7636)."
    if not _CHALLENGE.fullmatch(query.get("code_challenge", "")):
        return "code_challenge: it must be a SHA-256 digest in base64url (RFC 7636)."
    return None


def _fits(state: str) -> bool:
    return 0 < len(state.encode()) <= _LONGEST_STATE and state.isprintable()


def _scopes(text: str) -> list[str]:
    asked = text.split()
    return [scope for scope in SCOPES if scope in asked]
