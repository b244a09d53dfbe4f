"""Cryptr trials: a session as the SPA SDK's redirect opens it, and the ID token of its code.

Who the user is, the administrator says: the link to the mailbox is left out.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import sqlalchemy as sa
from authlib.oauth2.rfc7636.challenge import create_s256_code_challenge
from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.config import Config
from app.crypto import Vault
from app.models import Door, GatewaySession, ResponseType, Result
from app.services.audit import Actor
from app.services.cryptr_entries import SCOPES
from app.services.cryptr_tokens import TOKEN_TYP, CryptrTokens, Exchange
from app.services.gateway_sessions import Ask, GatewaySessions, origin_of
from app.services.trial_ways import (
    Begun,
    Judged,
    Trial,
    code_verifier,
    compared,
    exchanged,
    in_time,
    signed,
)


class CryptrTrials:
    """Does of a trial what Cryptr's SPA SDK does."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        vault: Vault,
        gateway_sessions: GatewaySessions,
        cryptr_tokens: CryptrTokens,
    ) -> None:
        self._base_url = config.base_url
        self._clock = clock
        self._vault = vault
        self._gateway_sessions = gateway_sessions
        self._tokens = cryptr_tokens

    def begin(self, tx: Session, actor: Actor, trial: Trial) -> Begun:
        """Open the session; see `Way`."""
        challenge = create_s256_code_challenge(code_verifier(self._vault, trial.nonce))
        ask = Ask(
            user=str(trial.user.id),
            redirect_uri=trial.back,
            state=trial.state,
            nonce=trial.nonce,
            response_type=ResponseType.CODE,
            door=Door.CRYPTR,
            asked={"code_challenge": challenge, "scope": list(SCOPES), "identified_by": "trial"},
            internal=True,
        )
        opened = self._gateway_sessions.open(tx, actor, trial.organization, trial.application, ask)
        return Begun(url=opened.url, session=opened.session)

    def judge(
        self, tx: Session, actor: Actor, session: GatewaySession, brought: Mapping[str, str]
    ) -> Judged | None:
        """Exchange the code, and judge the ID token."""
        code, nonce = brought.get("code", ""), session.nonce or ""
        if not code:
            return None
        domain = session.user.organization.domain
        wanted = Exchange(
            organization_domain=domain,
            authorization_id=str(tx.scalar(_result_of(session))),
            request_id=session.id,
            client_state=session.state or "",
            nonce=nonce,
            code=code,
            code_verifier=code_verifier(self._vault, nonce),
        )
        issued = self._tokens.exchange(tx, actor, session.application, wanted)
        if issued is None:
            return Judged(checks=[exchanged("")])
        token = issued.id_token
        claims = jose.verify(token, typ=TOKEN_TYP, keys=self._tokens.keys(tx))
        must = {
            "iss": f"{self._base_url}/t/{domain}",
            "aud": origin_of(session.redirect_uri),
            "nonce": nonce,
            "sub": str(session.user_id),
        }
        checks = [exchanged(token), signed(token), *compared(claims, must)]
        checks.append(in_time(claims, self._clock.now()))
        return Judged(token=token, header=jose.header(token), claims=claims, checks=checks)


def _result_of(session: GatewaySession) -> sa.Select[uuid.UUID]:
    return sa.select(Result.id).where(Result.gateway_session_id == session.id)
