"""Duo trials: a session as an SDK's request opens it, and the ID token that its code is worth."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.models import Door, GatewaySession, ResponseType
from app.services.audit import Actor
from app.services.duo_clients import DuoClients
from app.services.duo_sessions import DuoSessions
from app.services.duo_tokens import Proved
from app.services.gateway_sessions import Ask, GatewaySessions
from app.services.trial_ways import Begun, Check, Judged, Trial, compared, exchanged, in_time

_SIGNED = Check(
    name="shared", passed=True, wanted="by the client secret, HS512", found="by it, HS512"
)


class DuoTrials:
    """Does of a trial what an SDK for Duo does."""

    def __init__(
        self,
        clock: Clock,
        gateway_sessions: GatewaySessions,
        duo_clients: DuoClients,
        duo_sessions: DuoSessions,
    ) -> None:
        self._clock = clock
        self._gateway_sessions = gateway_sessions
        self._clients = duo_clients
        self._duo_sessions = duo_sessions

    def begin(self, tx: Session, actor: Actor, trial: Trial) -> Begun:
        """Open the session; see `Way`."""
        ask = Ask(
            user=str(trial.user.id),
            redirect_uri=trial.back,
            state=trial.state,
            nonce=trial.nonce,
            response_type=ResponseType.CODE,
            door=Door.DUO,
            asked={"name": trial.name, "nonce": trial.nonce, "duo_code": True},
            internal=True,
        )
        opened = self._gateway_sessions.open(tx, actor, trial.organization, trial.application, ask)
        return Begun(url=opened.url, session=opened.session)

    def judge(
        self, tx: Session, actor: Actor, session: GatewaySession, brought: Mapping[str, str]
    ) -> Judged | None:
        """Exchange the code, and judge the ID token."""
        code = brought.get("duo_code", "")
        if not code:
            return None
        client = self._clients.of(tx, session.application)
        proved = Proved(client=client, secret=self._clients.secrets(client)[0])
        granted = self._duo_sessions.exchange(
            tx, actor, proved, code=code, redirect_uri=session.redirect_uri
        )
        if granted is None:
            return Judged(checks=[exchanged("")])
        token = granted.id_token
        claims = jose.verify_shared(token, secret=proved.secret)
        wanted = {
            "iss": self._duo_sessions.issuer,
            "aud": client.client_id,
            "nonce": session.nonce,
            "preferred_username": session.asked["name"],
        }
        checks = [exchanged(token), _SIGNED, *compared(claims, wanted)]
        checks.append(in_time(claims, self._clock.now()))
        return Judged(token=token, header=jose.header(token), claims=claims, checks=checks)
