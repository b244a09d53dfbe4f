"""Cryptr trials: an administrator goes the way of the SPA SDK, from the session to its ID token.

Who the user is, the administrator says: the link to the mailbox is left out.
"""

from __future__ import annotations

import uuid

import sqlalchemy as sa
from authlib.oauth2.rfc7636.challenge import create_s256_code_challenge
from sqlalchemy.orm import Session

from app import jose
from app.config import Config
from app.crypto import Vault, new_token
from app.models import (
    AdministratorSession,
    Application,
    Door,
    GatewaySession,
    Organization,
    ResponseType,
    Result,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.cryptr_entries import SCOPES
from app.services.cryptr_tokens import TOKEN_TYP, CryptrTokens, Exchange
from app.services.gateway_sessions import Ask, GatewaySessions, origin_of
from app.services.trials import Check, Trials, Tried

_STATE, _VERIFIER = "trial of an SPA", "code verifier of a trial of an SPA"
_NONCE_BITS = 128


class CryptrTrials:
    """Opens a session as the redirect does, and exchanges the code that comes back."""

    def __init__(
        self,
        config: Config,
        vault: Vault,
        trials: Trials,
        gateway_sessions: GatewaySessions,
        cryptr_tokens: CryptrTokens,
        audit: Audit,
    ) -> None:
        self._base_url = config.base_url
        self._vault = vault
        self._trials = trials
        self._gateway_sessions = gateway_sessions
        self._tokens = cryptr_tokens
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
        """Open a gateway session for a user, and return where the browser goes.

        Args:
            by: the session of the administrator who tries, to which the way back is bound.

        Raises:
            Invalid: `email` names nobody who could be verified.
            Refusal: as `GatewaySessions.open` does.
        """
        user = self._trials.user(tx, organization, email)
        nonce = new_token(_NONCE_BITS)
        challenge = create_s256_code_challenge(self._verifier(nonce))
        ask = Ask(
            user=str(user.id),
            redirect_uri=self._gateway_sessions.trial_address(organization, application),
            state=self._vault.hash(_bound(by, application, nonce), purpose=_STATE),
            nonce=nonce,
            response_type=ResponseType.CODE,
            door=Door.CRYPTR,
            asked={"code_challenge": challenge, "scope": list(SCOPES), "identified_by": "trial"},
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
        """Exchange the code that the browser brought back, and judge the ID token as the SDK does.

        Args:
            code: empty if the browser brought none.

        Returns:
            None if this administrator's session has begun no such trial.
        """
        session = self._trials.session(tx, application, state)
        if session is None:
            return None
        bound = _bound(by, application, session.nonce or "")
        if not self._vault.matches(bound, session.state, purpose=_STATE):
            return None
        status = self._gateway_sessions.status(session)
        if not code:
            return Tried(session=session, status=status, header={}, claims={}, checks=[])
        wanted = Exchange(
            organization_domain=session.user.organization.domain,
            authorization_id=str(tx.scalar(_result_of(session))),
            request_id=session.id,
            client_state=state,
            nonce=session.nonce or "",
            code=code,
            code_verifier=self._verifier(session.nonce or ""),
        )
        issued = self._tokens.exchange(tx, actor, application, wanted)
        once = Check(
            name="code",
            passed=issued is not None,
            wanted="not exchanged before",
            found="exchanged now" if issued else "exchanged before, or too old",
        )
        if issued is None:
            return Tried(session=session, status=status, header={}, claims={}, checks=[once])
        claims = jose.verify(issued.id_token, typ=TOKEN_TYP, keys=self._tokens.keys(tx))
        header = jose.header(issued.id_token)
        return Tried(
            session=session,
            status=status,
            token=issued.id_token,
            header=header,
            claims=claims,
            checks=[once, _signed(header), *self._comparisons(session, claims)],
        )

    def _comparisons(self, session: GatewaySession, claims: jose.Claims) -> list[Check]:
        wanted = {
            "iss": f"{self._base_url}/t/{session.user.organization.domain}",
            "aud": origin_of(session.redirect_uri),
            "nonce": session.nonce,
            "sub": str(session.user_id),
        }
        return [
            Check(
                name=name,
                passed=claims.get(name) == value,
                wanted=str(value),
                found=str(claims.get(name)),
            )
            for name, value in wanted.items()
        ]

    def _verifier(self, nonce: str) -> str:
        """Return a trial's code verifier: made of its nonce by a key that is in no database."""
        return self._vault.hash(nonce, purpose=_VERIFIER).partition(":")[2]


def _result_of(session: GatewaySession) -> sa.Select[uuid.UUID]:
    return sa.select(Result.id).where(Result.gateway_session_id == session.id)


def _signed(header: jose.Claims) -> Check:
    found = f"{header['alg']}, key {header['kid']}"
    return Check(name="signature", passed=True, wanted="one of the published keys", found=found)


def _bound(by: AdministratorSession, application: Application, nonce: str) -> str:
    return f"{by.id}:{application.id}:{nonce}"
