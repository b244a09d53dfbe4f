"""Enrollment invitations: links by which users set up, while they have nothing set up."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.config import Config
from app.crypto import Vault, new_token
from app.db import lock, touched_one
from app.errors import Invalid, Refusal
from app.models import (
    Application,
    Authenticator,
    AuthenticatorStatus,
    EnrollmentInvitation,
    Organization,
    User,
)
from app.services.application_reach import all_serving
from app.services.applications import Applications
from app.services.audit import Actor, Audit, EventKind
from app.services.delivery import Delivery
from app.services.gateway_sessions import Entered, GatewaySessions
from app.services.method_settings import MethodSettings
from app.services.standing import demand_unsuspended, is_suspended

LASTS = timedelta(days=7)
TOKEN_BITS = 192

_TOKEN = "enrollment invitation"  # noqa: S105


@dataclass(frozen=True, kw_only=True)
class Invited:
    """A new invitation, and its link, which is told only here and in the user's email."""

    row: EnrollmentInvitation
    address: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Found:
    """An invitation, for whom it is, and what its page names."""

    row: EnrollmentInvitation
    user: User
    organization: Organization
    application: Application


class EnrollmentInvitations:
    """Invites users, and lets a browser in that follows such a link."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        vault: Vault,
        method_settings: MethodSettings,
        applications: Applications,
        gateway_sessions: GatewaySessions,
        delivery: Delivery,
        audit: Audit,
    ) -> None:
        self._base_url = config.base_url
        self._clock = clock
        self._vault = vault
        self._method_settings = method_settings
        self._applications = applications
        self._gateway_sessions = gateway_sessions
        self._delivery = delivery
        self._audit = audit

    # The administrator

    def invite(self, tx: Session, actor: Actor, user: User, client_id: str) -> Invited:
        """Make a link in place of the one before, and mail it to the user.

        Args:
            client_id: of the application that its pages name.

        Raises:
            Invalid: no such application serves the organization.
            Refusal: `already_enrolled`, `totp_connection_inactive`, `user_suspended`.
        """
        lock(tx, User.id, user.id)
        tx.refresh(user, ["suspended_at"])
        self.demand_room(tx, user)
        application = self._applications.find(tx, client_id)
        if application is None or not application.serves(user.organization):
            raise Invalid("client_id", "choose one of the applications.")
        if not self._method_settings.hosted(tx, user.organization, application):
            raise Invalid("client_id", "it takes no method that is switched on here.")
        self._revoke(tx, actor, user)
        now, token = self._clock.now(), new_token(TOKEN_BITS)
        row = EnrollmentInvitation(
            id=uuid.uuid4(),
            user_id=user.id,
            application_id=application.id,
            token_hash=self._vault.hash(token, purpose=_TOKEN),
            created_at=now,
            expires_at=now + LASTS,
        )
        tx.add(row)
        tx.flush()
        self._audit.record(
            tx,
            EventKind.ENROLLMENT_INVITATION_CREATED,
            actor,
            user=user,
            application_id=application.id,
            days=LASTS.days,
        )
        address = f"{self._base_url}/enroll/{token}"
        self._mail(tx, actor, user, application, address)
        return Invited(row=row, address=address)

    def applications(self, tx: Session, organization: Organization) -> list[Application]:
        """Return those that an invitation may name, by their names."""
        return all_serving(tx, organization)

    def current(self, tx: Session, user: User) -> EnrollmentInvitation | None:
        """Return the invitation that the user could follow now."""
        return tx.scalar(sa.select(EnrollmentInvitation).where(*self._unused(user)).limit(1))

    def withdraw(self, tx: Session, actor: Actor, user: User) -> bool:
        """Let the user's link lead nowhere any more, and tell whether there was one."""
        withdrawn = self.current(tx, user) is not None
        self._revoke(tx, actor, user)
        if withdrawn:
            self._audit.record(tx, EventKind.ENROLLMENT_INVITATION_WITHDRAWN, actor, user=user)
        return withdrawn

    def fits(self, tx: Session, user: User) -> bool:
        """Tell whether the user has nothing, so that an invitation leads on."""
        return tx.scalar(sa.select(_has_nothing(user.id)))  # type: ignore[return-value]

    # The browser that follows it

    def find(self, tx: Session, token: str) -> Found | None:
        """Return the invitation with this token; looking at it changes nothing."""
        hashes = self._vault.hashes(token, purpose=_TOKEN)
        row = tx.execute(
            sa.select(EnrollmentInvitation, User, Organization, Application)
            .join(User, User.id == EnrollmentInvitation.user_id)
            .join(Organization, Organization.id == User.organization_id)
            .join(Application, Application.id == EnrollmentInvitation.application_id)
            .where(
                EnrollmentInvitation.token_hash.in_(hashes),
                Organization.deleted_at.is_(None),
                Application.deleted_at.is_(None),
            )
        ).first()
        if row is None:
            return None
        row.User.organization = row.Organization
        return Found(
            row=row.EnrollmentInvitation,
            user=row.User,
            organization=row.Organization,
            application=row.Application,
        )

    def is_open(self, tx: Session, found: Found) -> bool:
        """Tell whether following it now leads on."""
        row, now = found.row, self._clock.now()
        unused = row.used_at is None and row.revoked_at is None and now < row.expires_at
        serves = found.application.serves(found.organization)
        return unused and serves and not is_suspended(found.user) and self.fits(tx, found.user)

    def follow(self, tx: Session, actor: Actor, found: Found) -> Entered | None:
        """Use an invitation up: open a session for its user, bound to the browser that asks.

        Returns:
            None once it leads nowhere: used, replaced, too old, or the user has something.
        """
        user, now = found.user, self._clock.now()
        lock(tx, User.id, user.id)  # what the user has stays so until this is used
        tx.refresh(user, ["suspended_at"])
        if is_suspended(user) or not found.application.serves(found.organization):
            return None
        use = sa.update(EnrollmentInvitation).where(
            *self._unused(user),
            EnrollmentInvitation.id == found.row.id,
            _has_nothing(user.id),
        )
        if not touched_one(tx, use.values(used_at=now)):
            return None
        opened = self._gateway_sessions.open_for_invitation(tx, actor, found.application, user)
        tx.refresh(found.row)
        found.row.gateway_session_id = opened.session.id
        self._audit.record(
            tx,
            EventKind.ENROLLMENT_INVITATION_USED,
            actor,
            user=user,
            gateway_session=opened.session,
        )
        tx.flush()
        return self._gateway_sessions.bind(tx, actor, opened.session)

    def demand_room(self, tx: Session, user: User) -> None:
        """Refuse where an invitation would lead to nothing.

        Raises:
            Refusal: `already_enrolled`, `totp_connection_inactive`, `user_suspended`.
        """
        demand_unsuspended(user)
        if not self.fits(tx, user):
            raise Refusal(
                "already_enrolled",
                "The user has an authenticator. They add further ones themselves.",
            )
        if not self._method_settings.hosted(tx, user.organization):
            raise Refusal(
                "totp_connection_inactive",
                "No method is switched on, so there is nothing to set up. Switch one on under "
                "Methods first.",
            )

    def _revoke(self, tx: Session, actor: Actor, user: User) -> None:
        """Let links die, and sessions that one of them opened and in which nothing is set up."""
        begun = sa.select(EnrollmentInvitation.gateway_session_id).where(
            EnrollmentInvitation.user_id == user.id,
            EnrollmentInvitation.revoked_at.is_(None),
            EnrollmentInvitation.gateway_session_id.is_not(None),
        )
        for session_id in tx.scalars(begun).all() if self.fits(tx, user) else []:
            session = self._gateway_sessions.find(tx, user.organization, session_id or "")
            self._gateway_sessions.cancel(tx, actor, session)
        tx.execute(
            sa.update(EnrollmentInvitation)
            .where(
                EnrollmentInvitation.user_id == user.id, EnrollmentInvitation.revoked_at.is_(None)
            )
            .values(revoked_at=self._clock.now()),
            execution_options={"synchronize_session": False},
        )

    def _unused(self, user: User) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            EnrollmentInvitation.user_id == user.id,
            EnrollmentInvitation.used_at.is_(None),
            EnrollmentInvitation.revoked_at.is_(None),
            EnrollmentInvitation.expires_at > self._clock.now(),
        )

    def _mail(
        self, tx: Session, actor: Actor, user: User, application: Application, address: str
    ) -> None:
        self._delivery.notify(
            tx,
            actor,
            user.organization,
            user,
            "enrollment_invitation",
            application=application.name,
            link=address,
            lasts=LASTS,
            days=LASTS.days,
        )


def _has_nothing(user_id: uuid.UUID) -> sa.ColumnElement[bool]:
    kept = (AuthenticatorStatus.ACTIVE, AuthenticatorStatus.SUSPENDED)
    return ~sa.exists().where(Authenticator.user_id == user_id, Authenticator.status.in_(kept))
