"""Entra trials: a session as a hint opens it, and the ID token that Entra would be posted.

No hint is made and none is taken: who the user is, the administrator says, so the door that takes
Microsoft's hints stays as it is. Nor is the token of use to Entra, whose own `nonce` and `sub` a
trial never has.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.errors import Refusal
from app.models import Door, EntraConnection, GatewaySession, KeyUse, ResponseType
from app.models.gateway_session import METHODS_ASKED
from app.services.assurance import SMS
from app.services.audit import Actor
from app.services.authorization_codes import AuthorizationCodes
from app.services.entra_answers import EntraAnswers
from app.services.entra_connections import EntraConnections
from app.services.entra_methods import AMR
from app.services.gateway_sessions import Ask, GatewaySessions
from app.services.signing_keys import SigningKeys
from app.services.trial_ways import (
    Begun,
    Check,
    Judged,
    Trial,
    compared,
    exchanged,
    in_time,
    signed,
)

SUB = "of a trial"
"""In the place of Entra's own name for the account, which it never is: that has no spaces."""
_ACR = "possessionorinherence"
"""What Entra asks where the first factor was a password."""


class EntraTrials:
    """Does of a trial what Entra does, but for the hint."""

    def __init__(
        self,
        clock: Clock,
        gateway_sessions: GatewaySessions,
        authorization_codes: AuthorizationCodes,
        signing_keys: SigningKeys,
        connections: EntraConnections,
        entra_answers: EntraAnswers,
    ) -> None:
        self._clock = clock
        self._gateway_sessions = gateway_sessions
        self._codes = authorization_codes
        self._keys = signing_keys
        self._connections = connections
        self._answers = entra_answers

    def begin(self, tx: Session, actor: Actor, trial: Trial) -> Begun:
        """Open the session; see `Way`. A code comes back, for which there is the token here."""
        ask = Ask(
            user=str(trial.user.id),
            redirect_uri=trial.back,
            state=trial.state,
            nonce=trial.nonce,
            acr_values=(SMS,),
            response_type=ResponseType.CODE,
            door=Door.ENTRA,
            asked={"sub": SUB, "acr": _ACR, METHODS_ASKED: list(AMR)},
            internal=True,
        )
        opened = self._gateway_sessions.open(tx, actor, trial.organization, trial.application, ask)
        return Begun(url=opened.url, session=opened.session)

    def judge(
        self, tx: Session, actor: Actor, session: GatewaySession, brought: Mapping[str, str]
    ) -> Judged | None:
        """Exchange the code, and judge the ID token as Microsoft's reference says."""
        code = brought.get("code", "")
        if not code:
            return None
        token = self._exchanged(tx, actor, session, code)
        if not token:
            return Judged(checks=[exchanged("")])
        connection = self._connections.of(tx, session.application)
        claims = jose.verify(token, typ="JWT", keys=self._keys.published(tx, KeyUse.ENTRA))
        wanted = {
            "iss": self._connections.issuer(connection.id),
            "aud": session.application.client_id,
            "nonce": session.nonce,
            "sub": SUB,
            "acr": _ACR,
        }
        checks = [exchanged(token), signed(token), *compared(claims, wanted), _one_method(claims)]
        checks += [in_time(claims, self._clock.now()), self._account(tx, session, connection)]
        return Judged(token=token, header=jose.header(token), claims=claims, checks=checks)

    def _exchanged(self, tx: Session, actor: Actor, session: GatewaySession, code: str) -> str:
        """Use a code of this very session up, and return what Entra would be posted."""
        owner = self._codes.session_of(tx, session.application, code)
        if owner is None or owner.id != session.id:
            return ""
        try:
            result = self._codes.exchange(tx, actor, session, code)
        except Refusal:  # suspended on the way
            return ""
        return (self._answers.id_token(tx, session, result) or "") if result else ""

    def _account(self, tx: Session, session: GatewaySession, connection: EntraConnection) -> Check:
        """Say whether somebody who comes from Entra would be this user."""
        user = session.user
        linked = self._connections.accounts_of(tx, connection, user)
        by_name = f"at the first sign-in, by {user.email}" if connection.links_by_name else ""
        found = ", ".join(one.object_id for one in linked) or (by_name if user.email else "")
        return Check(
            name="account",
            passed=bool(found),
            wanted="an account that is linked, or will be by its email address",
            found=found or "nothing that links one",
        )


def _one_method(claims: jose.Claims) -> Check:
    told = claims.get("amr")
    one = isinstance(told, list) and len(told) == 1 and told[0] in AMR.values()
    found = ", ".join(map(str, told)) if isinstance(told, list) else str(told)
    return Check(name="amr", passed=one, wanted="exactly one that Entra knows", found=found)
