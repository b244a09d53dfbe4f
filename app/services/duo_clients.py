"""Duo clients: applications that speak Duo Universal, with the id and secret of its form."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.crypto import Vault, new_characters
from app.models import Application, Door, DuoClient, Organization
from app.services.applications import Applications
from app.services.audit import Actor

_ID = re.compile(r"DI[A-Z0-9]{18}")
_SECRET_LENGTH = 40
_CAPITALS = string.ascii_uppercase + string.digits
_LETTERS = string.ascii_letters + string.digits
_SECRET, _PREVIOUS = "secret", "previous_secret"
"""Columns, by which what is sealed knows its place."""


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A new Duo client, and its secret, which is told this once."""

    client: DuoClient
    secret: str = field(repr=False)


class DuoClients:
    """Creates and finds Duo clients, and keeps their secrets, by which both sides sign."""

    def __init__(self, vault: Vault, applications: Applications) -> None:
        self._vault = vault
        self._applications = applications

    def create(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        *,
        name: str,
        redirect_uris: Sequence[str],
        methods: Sequence[str] = (),
        creates_users: bool = True,
        vouches_for_first_factor: bool = False,
    ) -> Registered:
        """Register an application of one organization that speaks Duo Universal.

        Args:
            creates_users: whether somebody whom it names, and we don't know, becomes a user and
                sets up a method right away, as Duo does.
            vouches_for_first_factor: whether its users proved a first factor before they are sent.

        Raises:
            Invalid: a field can't be used.
        """
        secret = new_characters(_SECRET_LENGTH, _LETTERS)
        application, _ = self._applications.create(
            tx,
            actor,
            environment=organization.environment,
            name=name,
            redirect_uris=redirect_uris,
            organizations=[organization],
            vouches_for_first_factor=vouches_for_first_factor,
            methods=methods,
            door=Door.DUO,
            creates_users=creates_users,
            secret=secret,
        )
        client = DuoClient(
            application_id=application.id,
            application=application,
            client_id=f"DI{new_characters(18, _CAPITALS)}",
            secret=self._sealed(application, secret, _SECRET),
        )
        tx.add(client)
        tx.flush()
        return Registered(client=client, secret=secret)

    def replace_secret(
        self,
        tx: Session,
        actor: Actor,
        application: Application,
        *,
        overlap: timedelta = timedelta(0),
        instead_of: str | None = None,
    ) -> str:
        """Give a Duo client a new secret and return it; see `Applications.replace_secret`."""
        secret = new_characters(_SECRET_LENGTH, _LETTERS)
        self._applications.replace_secret(
            tx, actor, application, overlap=overlap, instead_of=instead_of, secret=secret
        )
        client = self.of(tx, application)
        tx.refresh(client, ["secret"])  # of two that replace at once, the second replaces
        before = self._opened(application, client.secret, _SECRET)
        keeps = overlap > timedelta(0)
        client.previous_secret = self._sealed(application, before, _PREVIOUS) if keeps else None
        client.secret = self._sealed(application, secret, _SECRET)
        return secret

    def of(self, tx: Session, application: Application) -> DuoClient:
        """Return what an application with the door of Duo is known by there."""
        return tx.get_one(DuoClient, application.id)

    def find(self, tx: Session, client_id: str) -> DuoClient | None:
        """Return the client with this id, unless its application was deleted."""
        if not _ID.fullmatch(client_id):
            return None
        found = sa.select(DuoClient).join(DuoClient.application)
        return tx.scalar(
            found.where(DuoClient.client_id == client_id, Application.deleted_at.is_(None))
        )

    def secrets(self, client: DuoClient) -> list[str]:
        """Return the secrets by which the client may sign now, the newest first."""
        application, previous = client.application, client.previous_secret
        current = self._opened(application, client.secret, _SECRET)
        if previous is None or self._applications.overlaps_until(application) is None:
            return [current]
        return [current, self._opened(application, previous, _PREVIOUS)]

    def _sealed(self, application: Application, secret: str, column: str) -> str:
        return self._vault.seal(secret.encode(), place=_place(application, column))

    def _opened(self, application: Application, sealed: str, column: str) -> str:
        return self._vault.open(sealed, place=_place(application, column)).decode()


def _place(application: Application, column: str) -> str:
    return f"duo_clients.{column}:{application.id}"
