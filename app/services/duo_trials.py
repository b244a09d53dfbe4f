"""Duo trials: an administrator goes the way of a Duo client, and sees the ID token that comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.crypto import Vault, new_token
from app.models import (
    AdministratorSession,
    Application,
    Door,
    GatewaySession,
    Organization,
    ResponseType,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.duo_clients import DuoClients
from app.services.duo_sessions import DuoSessions
from app.services.duo_tokens import LEEWAY, Proved
from app.services.gateway_sessions import Ask, GatewaySessions
from app.services.trials import Check, Trials, Tried

_STATE = "trial of a Duo client"
_NONCE_BITS = 128


class DuoTrials:
    """Opens a visit that comes back to the admin area, and exchanges the code that it brings."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        trials: Trials,
        gateway_sessions: GatewaySessions,
        duo_clients: DuoClients,
        duo_sessions: DuoSessions,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._trials = trials
        self._gateway_sessions = gateway_sessions
        self._clients = duo_clients
        self._duo_sessions = duo_sessions
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
        user, nonce = self._trials.user(tx, organization, email), new_token(_NONCE_BITS)
        ask = Ask(
            user=str(user.id),
            redirect_uri=self._gateway_sessions.trial_address(organization, application),
            state=self._vault.hash(_bound(by, application, nonce), purpose=_STATE),
            response_type=ResponseType.CODE,
            door=Door.DUO,
            asked={"name": email.strip(), "nonce": nonce, "duo_code": True},
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

    def finish(
        self,
        tx: Session,
        actor: Actor,
        by: AdministratorSession,
        application: Application,
        *,
        state: str,
        code: str,
    ) -> Tried | None:
        """Exchange the code that the browser brought back, and judge the ID token as an SDK does.

        Args:
            code: empty if the browser brought none.

        Returns:
            None if this administrator's session has begun no such trial.
        """
        session = self._trials.session(tx, application, state)
        if session is None:
            return None
        bound = _bound(by, application, session.asked["nonce"])
        if not self._vault.matches(bound, session.state, purpose=_STATE):
            return None
        status = self._gateway_sessions.status(session)
        if not code:
            return Tried(session=session, status=status, header={}, claims={}, checks=[])
        client = self._clients.of(tx, application)
        proved = Proved(client=client, secret=self._clients.secrets(client)[0])
        granted = self._duo_sessions.exchange(
            tx, actor, proved, code=code, redirect_uri=session.redirect_uri
        )
        token = granted.id_token if granted else ""
        header, claims, checks = self._judged(session, proved, token)
        return Tried(
            session=session, status=status, token=token, header=header, claims=claims, checks=checks
        )

    def _judged(
        self, session: GatewaySession, proved: Proved, token: str
    ) -> tuple[jose.Claims, jose.Claims, list[Check]]:
        once = Check(
            name="code",
            passed=bool(token),
            wanted="not exchanged before",
            found="exchanged now" if token else "exchanged before, or too old",
        )
        if not token:
            return {}, {}, [once]
        claims = jose.verify_shared(token, secret=proved.secret)
        signed = Check(
            name="shared", passed=True, wanted="by the client secret, HS512", found="by it, HS512"
        )
        checks = [once, signed, *self._comparisons(session, proved, claims)]
        return jose.header(token), claims, checks

    def _comparisons(
        self, session: GatewaySession, proved: Proved, claims: jose.Claims
    ) -> Iterator[Check]:
        wanted = {
            "iss": self._duo_sessions.issuer,
            "aud": proved.client.client_id,
            "nonce": session.asked["nonce"],
            "preferred_username": session.asked["name"],
        }
        for name, value in wanted.items():
            found = claims.get(name)
            yield Check(name=name, passed=found == value, wanted=str(value), found=str(found))
        now = self._clock.now()
        yield Check(
            name="exp",
            passed=now.timestamp() < claims["exp"] + LEEWAY.total_seconds(),
            wanted=f"after {now:%H:%M:%S} UTC",
            found=f"{datetime.fromtimestamp(claims['exp'], UTC):%H:%M:%S} UTC",
        )


def _bound(by: AdministratorSession, application: Application, nonce: str) -> str:
    return f"{by.id}:{application.id}:{nonce}"
