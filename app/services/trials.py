"""Trials: an administrator goes through an application's real ask, and sees the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from app import jose
from app.crypto import Vault, new_token
from app.errors import Invalid, NotFound
from app.models import (
    AdministratorSession,
    Application,
    Door,
    Environment,
    GatewaySession,
    Organization,
    SessionStatus,
    User,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.directory import Directory
from app.services.enrollment import Enrollment
from app.services.gateway_sessions import GatewaySessions
from app.services.standing import is_suspended
from app.services.trial_ways import Check, Judged, Trial, Way

_STATE = "trial of an application"
_NONCE_BITS = 128


@dataclass(frozen=True, kw_only=True)
class Tried:
    """How a trial ended.

    Attributes:
        status: of the gateway session.
        judged: what an application makes of it.
    """

    session: GatewaySession
    status: SessionStatus
    judged: Judged

    @property
    def token(self) -> str:
        """The result or ID token; empty if there is none."""
        return self.judged.token

    @property
    def header(self) -> jose.Claims:
        """What stands in the token's header, if it is ours."""
        return self.judged.header

    @property
    def claims(self) -> jose.Claims:
        """What the token says, if it is ours."""
        return self.judged.claims

    @property
    def checks(self) -> list[Check]:
        """All that an application looks at, in order, as far as it got."""
        return self.judged.checks

    @property
    def passed(self) -> bool:
        """Whether an application would let the user in."""
        return bool(self.checks) and all(check.passed for check in self.checks)


class Trials:
    """Opens gateway sessions that come back to the admin area, and judges what they bring.

    Args:
        ways: what each door does of it.
    """

    def __init__(
        self,
        vault: Vault,
        directory: Directory,
        enrollment: Enrollment,
        gateway_sessions: GatewaySessions,
        ways: Mapping[Door, Way],
        audit: Audit,
    ) -> None:
        self._vault = vault
        self._directory = directory
        self._enrollment = enrollment
        self._gateway_sessions = gateway_sessions
        self._ways = ways
        self._audit = audit

    def begin(
        self,
        tx: Session,
        actor: Actor,
        by: AdministratorSession,
        organization: Organization,
        application: Application,
        email: str,
    ) -> str:
        """Ask for a user as the application does, and return where the browser goes.

        Args:
            by: the session of the administrator who tries, to which the way back is bound.

        Raises:
            Invalid: `email` names nobody who could be verified.
            Refusal: as `GatewaySessions.open` does.
        """
        user, nonce = self._user(tx, organization, email), new_token(_NONCE_BITS)
        trial = Trial(
            organization=organization,
            application=application,
            user=user,
            name=email.strip(),
            back=self._gateway_sessions.trial_address(organization, application),
            state=self._vault.hash(_bound(by, application, nonce), purpose=_STATE),
            nonce=nonce,
        )
        begun = self._ways[application.door].begin(tx, actor, trial)
        self._audit.record(
            tx,
            EventKind.APPLICATION_TRIED,
            actor,
            user=user,
            gateway_session=begun.session,
            application_id=application.id,
            name=application.name,
        )
        return begun.url

    def finish(
        self,
        tx: Session,
        actor: Actor,
        by: AdministratorSession,
        organization: Organization,
        application: Application,
        brought: Mapping[str, str],
    ) -> Tried | None:
        """Judge what the browser brought back as the application would, and use it up.

        Returns:
            None if this administrator's session has begun no such trial.
        """
        session = self._session(tx, organization, application, brought.get("state", ""))
        if session is None:
            return None
        bound = _bound(by, application, session.nonce or "")
        if not self._vault.matches(bound, session.state, purpose=_STATE):
            return None
        status = self._gateway_sessions.status(session)
        judged = self._ways[application.door].judge(tx, actor, session, brought)
        return Tried(session=session, status=status, judged=judged or Judged(checks=[]))

    def _session(
        self, tx: Session, organization: Organization, application: Application, state: str
    ) -> GatewaySession | None:
        """Return the trial's session that a browser came back from with this `state`."""
        address = self._gateway_sessions.trial_address(organization, application)
        return tx.scalar(
            sa.select(GatewaySession)
            .where(
                GatewaySession.application_id == application.id,
                GatewaySession.redirect_uri == address,
                GatewaySession.state == state.replace("\0", ""),  # PostgreSQL takes none
                GatewaySession.found(),
            )
            .options(
                joinedload(GatewaySession.user).joinedload(User.organization),
                joinedload(GatewaySession.application),
            )
        )

    def _user(self, tx: Session, organization: Organization, email: str) -> User:
        """Return the user with whom an application is tried.

        Raises:
            Invalid: `email` names nobody who could be verified.
        """
        try:
            user = self._directory.find(tx, organization, email.strip())
        except NotFound:
            told = f"{organization.name} has no user with this address. Check it, or add the user."
            raise Invalid("email", told) from None
        if is_suspended(user):
            told = "This user is suspended. Lift the suspension first, or choose another one."
            raise Invalid("email", told)
        if organization.environment is Environment.SANDBOX:
            return user
        ground = self._enrollment.ground(tx, user, forced=False)
        if ground is not None and ground.takes_word:
            raise Invalid(
                "email",
                "This user has no method yet. What is set up here would be yours, not theirs. "
                "Invite them to enroll first.",
            )
        return user


def _bound(by: AdministratorSession, application: Application, nonce: str) -> str:
    return f"{by.id}:{application.id}:{nonce}"
