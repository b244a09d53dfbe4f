"""Invitations: links by which people become administrators, or start over."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from app.clock import Clock
from app.config import Config
from app.crypto import Vault, new_token
from app.db import touched_one
from app.errors import NotFound, Refusal
from app.models import (
    Administrator,
    AdministratorRole,
    AdministratorSession,
    Invitation,
    Organization,
    Role,
)
from app.services.administrator_sessions import Admitted
from app.services.administrators import Administrators
from app.services.appointments import Appointments, already
from app.services.audit import Actor, Audit, EventKind
from app.services.enrollment import Enrollment
from app.services.user_fields import checked_email, email_key

LASTS = timedelta(days=7)
PATH = "/admin/invitation"
_PURPOSE = "administrator invitation"


@dataclass(frozen=True, kw_only=True)
class Invited:
    """A new invitation, and its link, which is told only here."""

    invitation: Invitation
    link: str = field(repr=False)


class Invitations:
    """Makes invitations, and takes them up once."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        vault: Vault,
        administrators: Administrators,
        appointments: Appointments,
        enrollment: Enrollment,
        audit: Audit,
    ) -> None:
        self._base_url = config.base_url
        self._clock = clock
        self._vault = vault
        self._administrators = administrators
        self._appointments = appointments
        self._enrollment = enrollment
        self._audit = audit

    def invite(
        self, tx: Session, actor: Actor, organization: Organization, *, email: str, role: Role
    ) -> Invited:
        """Invite somebody to run an organization; an older invitation of theirs dies.

        Raises:
            Invalid: it is not an address.
            Refusal: `already_administrator`.
        """
        address = checked_email(email)
        known = self._administrators.named(tx, address)
        if known and tx.get(AdministratorRole, (known.id, organization.id)):
            raise already(address)
        return self._make(tx, actor, organization, address, role)

    def start_over(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        seat: AdministratorRole,
        *,
        phone_too: bool,
        shared: bool = False,
    ) -> Invited:
        """Let an administrator choose a new password, and with it a new second factor if asked.

        Nothing of the old is touched before the link is used.

        Args:
            phone_too: whether the second factor is lost, too.
            shared: whether it is the operator who asks, who may where others depend on it, too.

        Raises:
            Refusal: `shared_administrator`, if other organizations depend on this person, too.
        """
        administrator = seat.administrator
        if not shared and len(self._appointments.seats(tx, administrator)) > 1:
            raise Refusal(
                "shared_administrator",
                f"{administrator.email} runs other organizations, too. Ask the operator for "
                "gatehouse administrators start-over.",
                status=409,
            )
        return self._make(
            tx, actor, organization, administrator.email, seat.role, renews=True, forgets=phone_too
        )

    def open_ones(self, tx: Session, organization: Organization) -> list[Invitation]:
        """Return the organization's invitations that can still be taken up, newest first."""
        its = Invitation.organization_id == organization.id
        mine = sa.select(Invitation).where(its, *self._open())
        return list(tx.scalars(mine.order_by(Invitation.created_at.desc(), Invitation.id)))

    def open_one(
        self, tx: Session, organization: Organization, invitation_id: uuid.UUID
    ) -> Invitation:
        """Return one of the invitations that `open_ones` lists.

        Raises:
            NotFound: it is not among them.
        """
        mine = (Invitation.id == invitation_id, Invitation.organization_id == organization.id)
        found = tx.scalar(sa.select(Invitation).where(*mine, *self._open()))
        if found is None:
            raise NotFound("invitation")
        return found

    def withdraw(
        self, tx: Session, actor: Actor, organization: Organization, invitation_id: uuid.UUID
    ) -> Invitation:
        """Let an invitation work no more.

        Raises:
            NotFound: there is none that could.
        """
        found = self.open_one(tx, organization, invitation_id)
        mine = sa.update(Invitation).where(Invitation.id == found.id, *self._open())
        if not touched_one(tx, mine.values(revoked_at=self._clock.now())):
            raise NotFound("invitation")
        self._record(tx, EventKind.INVITATION_WITHDRAWN, actor, found)
        return found

    def find(self, tx: Session, token: str) -> Invitation | None:
        """Return the invitation with this token, if it can still be taken up."""
        hashes = self._vault.hashes(token, purpose=_PURPOSE)
        return tx.scalar(
            sa.select(Invitation)
            .join(Organization)
            .where(
                Invitation.token_hash.in_(hashes),
                Organization.deleted_at.is_(None),
                *self._open(),
            )
            .options(joinedload(Invitation.organization))
        )

    def known(self, tx: Session, invitation: Invitation) -> Administrator | None:
        """Return the administrator whom an invitation is for, if there is one already."""
        return self._administrators.named(tx, invitation.email)

    def accept(
        self, tx: Session, peer: Actor, invitation: Invitation, *, name: str, password_hash: str
    ) -> Administrator:
        """Take an invitation up as somebody new, or start over.

        Args:
            password_hash: of the password chosen now.

        Raises:
            Refusal: `invitation_used`; `sign_in_first`, if the address has an administrator
                already and the invitation doesn't renew the password.
            Invalid: the name can't be used.
        """
        self._use(tx, invitation)
        administrator = self.known(tx, invitation)
        actor = _invited(invitation, peer)
        if invitation.renews_password:
            if administrator is None:
                raise _used()
            self._administrators.set_password(tx, actor, administrator, password_hash)
            if invitation.forgets_authenticators:
                home = administrator.user.organization
                self._enrollment.reset(tx, actor, home, administrator.user, reopen=True)
        elif administrator is not None:
            raise Refusal("sign_in_first", "Sign in, then open the link again.", status=409)
        else:
            administrator = self._administrators.create(
                tx, actor, email=invitation.email, name=name, password_hash=password_hash
            )
            self._appoint(tx, actor, invitation, administrator)
        self._record(tx, EventKind.INVITATION_ACCEPTED, actor, invitation)
        return administrator

    def join(
        self, tx: Session, actor: Actor, invitation: Invitation, session: AdministratorSession
    ) -> Admitted | None:
        """Take an invitation up in this session, which goes on under a new secret.

        Raises:
            Refusal: `invitation_used`; `invited_another`.
        """
        administrator = session.administrator
        if administrator.email_key != invitation.email_key or invitation.renews_password:
            raise Refusal(
                "invited_another",
                f"The invitation is for {invitation.email}. Sign out, then open the link again.",
                status=409,
            )
        self._use(tx, invitation)
        self._appoint(tx, actor, invitation, administrator)
        self._record(tx, EventKind.INVITATION_ACCEPTED, actor, invitation)
        return self._appointments.renew(tx, administrator, by=session)

    def _appoint(
        self, tx: Session, actor: Actor, invitation: Invitation, administrator: Administrator
    ) -> None:
        organization = invitation.organization
        self._appointments.appoint(tx, actor, organization, administrator, invitation.role)

    def _make(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        address: str,
        role: Role,
        *,
        renews: bool = False,
        forgets: bool = False,
    ) -> Invited:
        now, token = self._clock.now(), new_token()
        older = sa.update(Invitation).where(
            Invitation.organization_id == organization.id,
            Invitation.email_key == email_key(address),
            *self._open(),
        )
        tx.execute(older.values(revoked_at=now))
        invitation = Invitation(
            id=uuid.uuid4(),
            organization_id=organization.id,
            organization=organization,
            email=address,
            email_key=email_key(address),
            role=role,
            renews_password=renews,
            forgets_authenticators=forgets,
            token_hash=self._vault.hash(token, purpose=_PURPOSE),
            invited_by=actor.label,
            created_at=now,
            expires_at=now + LASTS,
        )
        tx.add(invitation)
        tx.flush()
        self._record(tx, EventKind.INVITATION_CREATED, actor, invitation)
        return Invited(invitation=invitation, link=f"{self._base_url}{PATH}?token={token}")

    def _use(self, tx: Session, invitation: Invitation) -> None:
        use = (
            sa.update(Invitation)
            .where(Invitation.id == invitation.id, *self._open())
            .values(accepted_at=self._clock.now())
        )
        if not touched_one(tx, use):
            raise _used()

    def _open(self) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > self._clock.now(),
        )

    def _record(self, tx: Session, kind: EventKind, actor: Actor, invitation: Invitation) -> None:
        self._audit.record(
            tx,
            kind,
            actor,
            organization_id=invitation.organization_id,
            email=invitation.email,
            role=invitation.role.value,
            renews_password=invitation.renews_password,
            forgets_authenticators=invitation.forgets_authenticators,
        )


def _invited(invitation: Invitation, peer: Actor) -> Actor:
    return Actor(
        name="administrator", label=invitation.email, address=peer.address, device=peer.device
    )


def _used() -> Refusal:
    return Refusal("invitation_used", "This invitation was used or is over.", status=409)
