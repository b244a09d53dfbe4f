"""Appointments: which organization an administrator runs, and as what."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from app.clock import Clock
from app.db import lock, touched_one
from app.errors import NotFound, Refusal
from app.models import (
    Administrator,
    AdministratorRole,
    AdministratorSession,
    Organization,
    Role,
    User,
)
from app.services.administrator_sessions import AdministratorSessions, Admitted
from app.services.administrators import Administrators
from app.services.audit import Actor, Audit, EventKind

_WITH_USER = joinedload(Administrator.user).joinedload(User.organization)


@dataclass(frozen=True, kw_only=True)
class Seated:
    """An organization that an administrator runs, and as what."""

    organization: Organization
    role: Role


class Appointments:
    """Finds who runs what, and changes it; an organization always has an owner."""

    def __init__(
        self,
        clock: Clock,
        administrators: Administrators,
        sessions: AdministratorSessions,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._sessions = sessions
        self._administrators = administrators
        self._audit = audit

    def seats(self, tx: Session, administrator: Administrator) -> list[Seated]:
        """Return the organizations that an administrator runs, by name."""
        rows = tx.execute(
            sa.select(Organization, AdministratorRole.role)
            .join(AdministratorRole, AdministratorRole.organization_id == Organization.id)
            .where(
                AdministratorRole.administrator_id == administrator.id,
                Organization.deleted_at.is_(None),
            )
            .order_by(Organization.name, Organization.environment)
        )
        return [Seated(organization=one, role=role) for one, role in rows]

    def of(self, tx: Session, organization: Organization) -> list[AdministratorRole]:
        """Return who runs an organization, by name."""
        rows = tx.scalars(
            sa.select(AdministratorRole)
            .join(Administrator)
            .where(AdministratorRole.organization_id == organization.id)
            .options(
                joinedload(AdministratorRole.administrator)
                .joinedload(Administrator.user)
                .joinedload(User.organization)
            )
            .order_by(Administrator.name, Administrator.email_key)
        )
        return list(rows)

    def find(
        self, tx: Session, organization: Organization, administrator_id: uuid.UUID
    ) -> AdministratorRole:
        """Return what somebody is in an organization.

        Raises:
            NotFound: nobody of this id runs it.
        """
        found = tx.scalar(
            sa.select(AdministratorRole)
            .where(
                AdministratorRole.organization_id == organization.id,
                AdministratorRole.administrator_id == administrator_id,
            )
            .options(
                joinedload(AdministratorRole.administrator)
                .joinedload(Administrator.user)
                .joinedload(User.organization)
            )
        )
        if found is None:
            raise NotFound("administrator")
        return found

    def appoint(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        administrator: Administrator,
        role: Role,
    ) -> None:
        """Give somebody a role in an organization that they don't run yet.

        Raises:
            Refusal: `already_administrator`.
        """
        lock(tx, Organization.id, organization.id)
        if tx.get(AdministratorRole, (administrator.id, organization.id)):
            raise already(administrator.email)
        tx.add(
            AdministratorRole(
                administrator_id=administrator.id,
                organization_id=organization.id,
                role=role,
                created_at=self._clock.now(),
            )
        )
        tx.flush()
        self._record(
            tx, EventKind.ADMINISTRATOR_APPOINTED, actor, organization, administrator, role
        )

    def change_role(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        seat: AdministratorRole,
        role: Role,
        *,
        by: AdministratorSession,
    ) -> Admitted | None:
        """Give an administrator another role, at once; see `renew` for their sessions.

        Raises:
            Refusal: `last_owner`.
        """
        lock(tx, Organization.id, organization.id)
        tx.refresh(seat, ["role"])
        if role is not Role.OWNER:
            self._demand_another_owner(tx, seat)
        seat.role = role
        tx.flush()
        self._record(
            tx, EventKind.ADMINISTRATOR_ROLE_CHANGED, actor, organization, seat.administrator, role
        )
        self._administrators.tell(
            tx,
            actor,
            seat.administrator,
            "administrator_role",
            run=organization.name,
            role=role.value,
        )
        return self.renew(tx, seat.administrator, by=by)

    def renew(
        self, tx: Session, administrator: Administrator, *, by: AdministratorSession
    ) -> Admitted | None:
        """Let no session go on under a secret from before its rights changed.

        Args:
            by: the session in which that was done: if it is the administrator's own, it goes on
                under the new secret that is returned; every other one ends.
        """
        if by.administrator_id == administrator.id:
            return self._sessions.rotate(tx, by)
        self._sessions.end_all(tx, administrator)
        return None

    def remove(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        seat: AdministratorRole,
        *,
        by: AdministratorSession,
    ) -> Admitted | None:
        """Let somebody run an organization no longer, at once; see `renew` for their sessions.

        Raises:
            Refusal: `last_owner`.
            NotFound: somebody else was faster.
        """
        lock(tx, Organization.id, organization.id)
        self._demand_another_owner(tx, seat)
        mine = sa.delete(AdministratorRole).where(
            AdministratorRole.administrator_id == seat.administrator_id,
            AdministratorRole.organization_id == organization.id,
        )
        if not touched_one(tx, mine):
            raise NotFound("administrator")
        self._record(
            tx,
            EventKind.ADMINISTRATOR_REMOVED,
            actor,
            organization,
            seat.administrator,
            seat.role,
        )
        self._administrators.tell(
            tx, actor, seat.administrator, "administrator_role", run=organization.name, role=None
        )
        return self.renew(tx, seat.administrator, by=by)

    def _demand_another_owner(self, tx: Session, seat: AdministratorRole) -> None:
        if seat.role is not Role.OWNER:
            return
        others = sa.select(AdministratorRole.administrator_id).where(
            AdministratorRole.organization_id == seat.organization_id,
            AdministratorRole.administrator_id != seat.administrator_id,
            AdministratorRole.role == Role.OWNER,
        )
        if tx.scalar(others.limit(1)) is None:
            raise Refusal(
                "last_owner",
                "There must be an owner. Make somebody else an owner first.",
                status=409,
            )

    def _record(
        self,
        tx: Session,
        kind: EventKind,
        actor: Actor,
        organization: Organization,
        administrator: Administrator,
        role: Role,
    ) -> None:
        self._audit.record(
            tx,
            kind,
            actor,
            organization_id=organization.id,
            administrator=administrator.email,
            role=role.value,
        )


def already(email: str) -> Refusal:
    """Return the refusal to make somebody what they are."""
    return Refusal("already_administrator", f"{email} is an administrator here already.")
