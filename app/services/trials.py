"""Trials: an administrator goes through an application's real ask, and sees the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from app import jose
from app.clock import Clock
from app.config import Config
from app.crypto import Vault, new_token
from app.errors import Invalid, NotFound, Refusal
from app.models import (
    AdministratorSession,
    Application,
    Environment,
    GatewaySession,
    KeyUse,
    Organization,
    SessionStatus,
    User,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.directory import Directory
from app.services.enrollment import Enrollment
from app.services.gateway_sessions import Ask, GatewaySessions
from app.services.signing_keys import LEEWAY_SECONDS, SigningKeys
from app.services.standing import is_suspended
from app.services.tokens import RESULT_TYP

_STATE = "trial of an application"
_NONCE_BITS = 128


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that an application has to look at.

    Attributes:
        name: of the claim, or `signature` or `once`.
        wanted: what it has to be.
        found: what it is.
    """

    name: str
    passed: bool
    wanted: str
    found: str


@dataclass(frozen=True, kw_only=True)
class Tried:
    """How a trial ended.

    Attributes:
        status: of the gateway session.
        token: the result as the browser brought it; empty if it brought none.
        header: of the result; empty if its signature is not ours, as are the claims.
        checks: all that an application does with a result, in order, as far as they got.
    """

    session: GatewaySession
    status: SessionStatus
    token: str = ""
    header: jose.Claims
    claims: jose.Claims
    checks: list[Check]

    @property
    def passed(self) -> bool:
        """Whether an application would let the user in."""
        return bool(self.checks) and all(check.passed for check in self.checks)


class Trials:
    """Opens gateway sessions that come back to the admin area, and judges what they bring."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        vault: Vault,
        directory: Directory,
        enrollment: Enrollment,
        gateway_sessions: GatewaySessions,
        signing_keys: SigningKeys,
        audit: Audit,
    ) -> None:
        self._issuer = config.base_url
        self._clock = clock
        self._vault = vault
        self._directory = directory
        self._enrollment = enrollment
        self._gateway_sessions = gateway_sessions
        self._signing_keys = signing_keys
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
        """Open a real gateway session for a user, and return where the browser goes.

        Args:
            by: the session of the administrator who tries, to which the way back is bound.

        Raises:
            Invalid: `email` names nobody who could be verified.
            Refusal: as `GatewaySessions.open` does.
        """
        user = self.user(tx, organization, email)
        nonce = new_token(_NONCE_BITS)
        ask = Ask(
            user=str(user.id),
            redirect_uri=self._gateway_sessions.trial_address(organization, application),
            state=self._vault.hash(_bound(by, application, nonce), purpose=_STATE),
            nonce=nonce,
            internal=True,
        )
        opened = self._gateway_sessions.open(tx, actor, organization, application, ask)
        self._audit.record(
            tx,
            EventKind.APPLICATION_TRIED,
            actor,
            user=user,
            gateway_session=opened.session,
            name=application.name,
        )
        return opened.url

    def session(self, tx: Session, application: Application, state: str) -> GatewaySession | None:
        """Return the trial's session that a browser came back from with this `state`."""
        session = tx.scalar(
            sa.select(GatewaySession)
            .where(
                GatewaySession.application_id == application.id,
                GatewaySession.state == state.replace("\0", ""),  # PostgreSQL takes none
                GatewaySession.found(),
            )
            .options(
                joinedload(GatewaySession.user).joinedload(User.organization),
                joinedload(GatewaySession.application),
            )
        )
        trial = session is not None and self._gateway_sessions.is_trial(session)
        return session if trial else None

    def user(self, tx: Session, organization: Organization, email: str) -> User:
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

    def finish(
        self,
        tx: Session,
        actor: Actor,
        by: AdministratorSession,
        organization: Organization,
        application: Application,
        *,
        session_id: str,
        state: str,
        result: str,
    ) -> Tried | None:
        """Judge what the browser brought back as the application would, and use the result up.

        Args:
            result: empty if the browser brought none.

        Returns:
            None if this administrator's session has begun no such trial.
        """
        try:
            session = self._gateway_sessions.find(tx, organization, session_id, application)
        except NotFound:
            return None
        bound = _bound(by, application, session.nonce or "")
        known = self._vault.matches(bound, session.state, purpose=_STATE)
        if not (known and self._gateway_sessions.is_trial(session) and state == session.state):
            return None
        status = self._gateway_sessions.status(session)
        if not result:
            return Tried(session=session, status=status, header={}, claims={}, checks=[])
        return self._judged(tx, actor, session, result, status)

    def _judged(
        self, tx: Session, actor: Actor, session: GatewaySession, token: str, status: SessionStatus
    ) -> Tried:
        try:
            keys = self._signing_keys.published(tx, KeyUse.RESULT)
            claims = jose.verify(token, typ=RESULT_TYP, keys=keys)
            header = jose.header(token)
        except jose.BadToken:
            unsigned = Check(
                name="signature",
                passed=False,
                wanted="by one of the published keys",
                found="by none of them, or the result was changed",
            )
            return Tried(
                session=session, status=status, token=token, header={}, claims={}, checks=[unsigned]
            )
        signed = Check(
            name="signature",
            passed=True,
            wanted="by one of the published keys",
            found=f"{header['alg']}, key {header['kid']}",
        )
        checks = [signed, *self._comparisons(session, claims), self._in_time(claims)]
        if all(check.passed for check in checks):
            checks.append(self._used_up(tx, actor, session, token))
        return Tried(
            session=session, status=status, token=token, header=header, claims=claims, checks=checks
        )

    def _comparisons(self, session: GatewaySession, claims: jose.Claims) -> Iterator[Check]:
        organization = session.user.organization
        wanted = {
            "iss": self._issuer,
            "aud": session.application.client_id,
            "nonce": session.nonce,
            "sub": str(session.user_id),
            "org": organization.domain,
            "env": organization.environment.value,
        }
        for name, value in wanted.items():
            found = claims.get(name)
            yield Check(name=name, passed=found == value, wanted=str(value), found=str(found))

    def _in_time(self, claims: jose.Claims) -> Check:
        now = self._clock.now()
        until = datetime.fromtimestamp(claims["exp"], UTC)
        return Check(
            name="exp",
            passed=now.timestamp() < claims["exp"] + LEEWAY_SECONDS,
            wanted=f"after {now:%H:%M:%S} UTC",
            found=f"{until:%H:%M:%S} UTC",
        )

    def _used_up(self, tx: Session, actor: Actor, session: GatewaySession, token: str) -> Check:
        """Redeem the result, so that it works once."""
        try:
            first = self._gateway_sessions.redeem(tx, actor, session, token) is not None
            found = "redeemed now" if first else "redeemed before"
        except Refusal as refusal:  # the user was suspended on the way
            first, found = False, refusal.message
        return Check(name="once", passed=first, wanted="not redeemed before", found=found)


def _bound(by: AdministratorSession, application: Application, nonce: str) -> str:
    return f"{by.id}:{application.id}:{nonce}"
