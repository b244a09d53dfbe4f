"""Entra connections: making and changing them, and whose account in Entra is which user."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from app.clock import Clock
from app.config import Config
from app.db import lock, touched_one
from app.errors import NotFound
from app.models import (
    Application,
    Door,
    EntraAccount,
    EntraConnection,
    Organization,
    User,
)
from app.services.application_changes import ApplicationChanges
from app.services.applications import Applications
from app.services.audit import Actor, Audit, EventKind
from app.services.entra_clouds import addresses
from app.services.entra_settings import (
    EntraSettings,
    checked_app_id,
    checked_keys,
    checked_tenant_ids,
)


class EntraConnections:
    """Keeps what an application has that Microsoft Entra comes through."""

    def __init__(
        self, config: Config, clock: Clock, applications: Applications, audit: Audit
    ) -> None:
        self._base_url = config.base_url
        self._clock = clock
        self._applications = applications
        self._audit = audit

    def create(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        *,
        name: str,
        settings: EntraSettings,
        methods: Sequence[str] = (),
    ) -> EntraConnection:
        """Make an application of this organization alone, and its connection.

        Entra needs none of the application's secrets, so none is told.

        Args:
            methods: by their names, those that it takes; none means all for which Entra has a word.

        Raises:
            Invalid: a field can't be used.
        """
        now = self._clock.now()
        connection = EntraConnection(id=uuid.uuid4(), created_at=now, updated_at=now)
        _set(connection, settings)
        application, _ = self._applications.create(
            tx,
            actor,
            environment=organization.environment,
            name=name,
            redirect_uris=[addresses(connection.cloud).redirect_uri],
            organizations=[organization],
            vouches_for_first_factor=True,
            methods=methods,
            door=Door.ENTRA,
            creates_users=settings.creates_users,
        )
        connection.application = application
        tx.add(connection)
        tx.flush()
        return connection

    def issuer(self, connection_id: uuid.UUID) -> str:
        """Return as whom we sign for a connection; its metadata is below this very address."""
        return f"{self._base_url}/entra/{connection_id}"

    def find(self, tx: Session, connection_id: uuid.UUID) -> EntraConnection:
        """Return a connection whose application is there.

        Raises:
            NotFound: there is none.
        """
        found = tx.get(EntraConnection, connection_id)
        if found is None or found.application.deleted_at is not None:
            raise NotFound("connection")
        return found

    def of(self, tx: Session, application: Application) -> EntraConnection:
        """Return the connection of an application of `Door.ENTRA`."""
        mine = sa.select(EntraConnection).where(EntraConnection.application_id == application.id)
        return tx.scalars(mine).one()

    def update(
        self,
        tx: Session,
        actor: Actor,
        connection: EntraConnection,
        *,
        name: str,
        settings: EntraSettings,
        methods: Sequence[str],
    ) -> None:
        """Change a connection and its application.

        Raises:
            Invalid: a field can't be used.
            NotFound: somebody deleted it at this moment.
        """
        lock(tx, EntraConnection.id, connection.id)
        before = _shown(connection)
        _set(connection, settings)
        uris = [addresses(connection.cloud).redirect_uri]
        application = connection.application
        changes = ApplicationChanges(
            name=name if name != application.name else None,
            redirect_uris=uris if uris != application.redirect_uris else None,
            methods=methods,
            creates_users=settings.creates_users,
        )
        self._applications.update(tx, actor, application, changes)
        after = _shown(connection)
        changed = [field for field, value in after.items() if value != before[field]]
        if changed:
            connection.updated_at = self._clock.now()
            self._record(
                tx, EventKind.ENTRA_CONNECTION_CHANGED, actor, connection, changed=" ".join(changed)
            )

    # Whose account is which user

    def linked(self, tx: Session, connection: EntraConnection, tid: str, oid: str) -> User | None:
        """Return the user to whom an account of Entra was linked."""
        found = sa.select(EntraAccount).where(
            EntraAccount.connection_id == connection.id,
            EntraAccount.tenant_id == tid,
            EntraAccount.object_id == oid,
        )
        account = tx.scalar(found.options(joinedload(EntraAccount.user)))
        return account.user if account else None

    def accounts_of(
        self, tx: Session, connection: EntraConnection, user: User
    ) -> list[EntraAccount]:
        """Return the accounts that are linked to a user: one of a directory at most."""
        found = sa.select(EntraAccount).where(
            EntraAccount.connection_id == connection.id, EntraAccount.user_id == user.id
        )
        return list(tx.scalars(found.order_by(EntraAccount.tenant_id)))

    def link(
        self,
        tx: Session,
        actor: Actor,
        connection: EntraConnection,
        user: User,
        *,
        tid: str,
        oid: str,
    ) -> None:
        """Let an account of Entra be this user from now on, whatever it is called.

        Raises:
            IntegrityError: the account, or the user, was linked at this moment.
        """
        account = EntraAccount(
            connection_id=connection.id,
            tenant_id=tid,
            object_id=oid,
            user_id=user.id,
            created_at=self._clock.now(),
        )
        with tx.begin_nested():
            tx.add(account)
        self._record(tx, EventKind.ENTRA_ACCOUNT_LINKED, actor, connection, user=user, oid=oid)

    def count(self, tx: Session, connection: EntraConnection) -> int:
        """Return how many accounts are linked through a connection."""
        mine = EntraAccount.connection_id == connection.id
        return tx.scalar(sa.select(sa.func.count()).select_from(EntraAccount).where(mine)) or 0

    def all_of(self, tx: Session, user: User) -> list[tuple[EntraAccount, str]]:
        """Return the accounts that are linked to a user, each with its application's name."""
        found = (
            sa.select(EntraAccount, Application.name)
            .join(EntraConnection, EntraConnection.id == EntraAccount.connection_id)
            .join(Application, Application.id == EntraConnection.application_id)
            .where(EntraAccount.user_id == user.id, Application.deleted_at.is_(None))
            .order_by(EntraAccount.created_at, EntraAccount.id)
        )
        return [(row.EntraAccount, row.name) for row in tx.execute(found)]

    def account(self, tx: Session, user: User, account_id: uuid.UUID) -> tuple[EntraAccount, str]:
        """Return one of those that `all_of` lists.

        Raises:
            NotFound: it is none of them.
        """
        for account, name in self.all_of(tx, user):
            if account.id == account_id:
                return account, name
        raise NotFound("account")

    def unlink(self, tx: Session, actor: Actor, user: User, account_id: uuid.UUID) -> None:
        """Forget that an account is this user's; who comes with it next is new.

        Raises:
            NotFound: it is none of theirs.
        """
        account, _ = self.account(tx, user, account_id)
        connection, oid = self.find(tx, account.connection_id), account.object_id
        if not touched_one(tx, sa.delete(EntraAccount).where(EntraAccount.id == account_id)):
            raise NotFound("account")
        self._record(tx, EventKind.ENTRA_ACCOUNT_UNLINKED, actor, connection, user=user, oid=oid)

    def _record(
        self,
        tx: Session,
        kind: EventKind,
        actor: Actor,
        connection: EntraConnection,
        *,
        user: User | None = None,
        changed: str = "",
        oid: str = "",
    ) -> None:
        application = connection.application
        detail: dict[str, Any] = {"oid": oid} if user else {"changed": changed}
        self._audit.record(
            tx,
            kind,
            actor,
            user=user,
            organization_id=next((one.id for one in application.organizations), None),
            application_id=application.id,
            client_id=application.client_id,
            name=application.name,
            **detail,
        )


def _set(connection: EntraConnection, settings: EntraSettings) -> None:
    connection.app_id = checked_app_id(settings.app_id)
    connection.tenant_ids = checked_tenant_ids(settings.tenant_ids)
    connection.cloud = settings.cloud
    connection.pinned_keys = checked_keys(settings.pinned_keys)
    connection.links_by_name = settings.links_by_name


def _shown(connection: EntraConnection) -> dict[str, object]:
    return {
        "app_id": connection.app_id,
        "tenant_ids": connection.tenant_ids,
        "cloud": connection.cloud,
        "pinned_keys": connection.pinned_keys,
        "links_by_name": connection.links_by_name,
    }
