"""Applications: relying parties, their secrets, and where they may be answered."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import lock, touched_one
from app.errors import NotFound, Refusal
from app.models import Application, Door, Environment, Organization
from app.services.application_changes import ApplicationChanges, change
from app.services.application_methods import checked_methods
from app.services.application_reach import (
    own_to,
    page_of,
    select_applications,
    select_serving,
    select_shared,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.credentials import Credentials, checked_name
from app.services.redirect_uris import checked_redirect_uris

SECRET_PREFIX = "ghs_"  # noqa: S105 (for secret scanners; not a secret)


class Applications:
    """Creates, finds and authenticates relying parties."""

    def __init__(self, clock: Clock, vault: Vault, audit: Audit) -> None:
        self._clock = clock
        self._credentials = Credentials[Application](
            clock, vault, prefix=lambda _: SECRET_PREFIX, purpose="application secret"
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
        vouches_for_first_factor: bool = False,
        methods: Sequence[str] = (),
        door: Door = Door.REST,
        creates_users: bool = False,
        secret: str | None = None,
    ) -> tuple[Application, str]:
        """Register an application; return it with its secret, which is shown this once.

        Args:
            redirect_uris: absolute https addresses (http for this machine only).
            organizations: those that it serves; none means all of the environment.
            vouches_for_first_factor: whether its users proved a first factor before they are sent.
            methods: by their names, those that it takes; none means all that are offered.
            door: the protocol that it speaks.
            creates_users: whether somebody whom it names, and we don't know, becomes a user.
            secret: its secret, where its protocol sets the form.

        Raises:
            Invalid: a field can't be used.
        """
        now = self._clock.now()
        application = Application(
            id=uuid.uuid4(),
            environment=environment,
            name=checked_name(name),
            redirect_uris=checked_redirect_uris(redirect_uris),
            organizations=list(organizations),
            vouches_for_first_factor=vouches_for_first_factor,
            methods=checked_methods(methods),
            door=door,
            creates_users=creates_users,
            created_at=now,
            updated_at=now,
        )
        secret = self._credentials.issue(application, secret)
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
        chosen = select_applications(environment, organization)
        return page_of(tx, chosen, Application.created_at.desc(), page=page, per_page=per_page)

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
        return _one(tx, select_applications(environment, organization), client_id)

    def shared(
        self,
        tx: Session,
        organization: Organization,
        *,
        page: int = 1,
        per_page: int | None = None,
    ) -> tuple[list[Application], int]:
        """Return a page of those that serve an organization along with others, and their number."""
        by_name = sa.func.lower(Application.name)
        return page_of(tx, select_shared(organization), by_name, page=page, per_page=per_page)

    def serving(self, tx: Session, organization: Organization, client_id: str) -> Application:
        """Return one of those that serve an organization: its own, or one of the operator's.

        Raises:
            NotFound: it is not among them.
        """
        return _one(tx, select_serving(organization), client_id)

    def is_own(self, application: Application, organization: Organization) -> bool:
        """Tell whether it serves this organization alone, which may then change it."""
        return own_to(application) == {organization.id}

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
        before = own_to(application)
        if changed := change(application, changes):
            application.updated_at = self._clock.now()
            told = before | own_to(application)  # who had it reads of the leaving, who has it, too
            kind, names = EventKind.APPLICATION_UPDATED, " ".join(changed)
            self._record(tx, kind, actor, application, told=told, changed=names)

    def replace_secret(
        self,
        tx: Session,
        actor: Actor,
        application: Application,
        *,
        overlap: timedelta = timedelta(0),
        instead_of: str | None = None,
        secret: str | None = None,
    ) -> str:
        """Give the application a new secret and return it.

        Args:
            overlap: how long the old one works on; without one it is dead at once.
            instead_of: the mark (`secret_mark`) of the secret that is meant; None means any.
            secret: the new one, where its protocol sets the form (see `DuoClients`).

        Raises:
            Invalid: the overlap is too long.
            Refusal: `secret_replaced`, if it was another one by now; `secret_not_replaceable`,
                where its protocol knows another secret, or none.
        """
        if application.door is Door.DUO and secret is None:
            raise _not_replaceable("The admin area replaces it.")
        if application.door in {Door.ENTRA, Door.CRYPTR}:
            raise _not_replaceable("It has none.")
        secret = self._credentials.replace(
            tx, application, overlap, instead_of=instead_of, secret=secret
        )
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

    def secret_mark(self, application: Application) -> str:
        """Return what changes whenever the secret does, and tells nothing of it."""
        return self._credentials.mark(application)

    def overlaps_until(self, application: Application) -> datetime | None:
        """Return until when the secret before this one works, if it still does."""
        return self._credentials.overlaps_until(application)

    def find(self, tx: Session, client_id: str) -> Application | None:
        """Return the application with this `client_id`, if there is one."""
        application_id = _uuid(client_id)
        found = tx.get(Application, application_id) if application_id else None
        return found if found is not None and found.deleted_at is None else None

    def names(self, tx: Session, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
        """Return how applications are called, also deleted ones."""
        named = sa.select(Application.id, Application.name).where(Application.id.in_(set(ids)))
        return {row.id: row.name for row in tx.execute(named)}

    def answered_at(
        self, tx: Session, organization: Organization, redirect_uri: str
    ) -> list[Application]:
        """Return those of our own API that serve it and registered this very address."""
        serving = tx.scalars(select_serving(organization).where(Application.door == Door.REST))
        return [one for one in serving if redirect_uri in one.redirect_uris]

    def authenticate(
        self, tx: Session, client_id: str, secret: str, *, door: Door = Door.REST
    ) -> Application | None:
        """Return the application whose credentials these are, if it speaks through this door."""
        application = self.find(tx, client_id)
        known = self._credentials.match(secret, application)
        return application if known and application and application.door is door else None

    def _record(
        self,
        tx: Session,
        kind: EventKind,
        actor: Actor,
        application: Application,
        *,
        told: Iterable[uuid.UUID] | None = None,
        **detail: Any,
    ) -> None:
        """Record a change for `told`, or whose own it is; one of several is the operator's."""
        owners: set[uuid.UUID | None] = {*(own_to(application) if told is None else told)}
        for organization_id in owners or {None}:
            self._audit.record(
                tx,
                kind,
                actor,
                organization_id=organization_id,
                application_id=application.id,
                client_id=application.client_id,
                name=application.name,
                **detail,
            )


def _not_replaceable(instead: str) -> Refusal:
    return Refusal(
        "secret_not_replaceable",
        f"This application’s protocol has no secret that is replaced here. {instead}",
        status=409,
    )


def _one(tx: Session, chosen: sa.Select[Application], client_id: str) -> Application:
    application = tx.scalar(chosen.where(Application.id == _uuid(client_id)))
    if application is None:
        raise NotFound("application")
    return application


def _uuid(client_id: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(client_id)
    except ValueError:
        return None
