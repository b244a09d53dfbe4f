"""REST trials: a session as the REST API opens it, and the signed result that comes back."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.config import Config
from app.errors import Refusal
from app.models import GatewaySession, KeyUse
from app.services.audit import Actor
from app.services.gateway_sessions import Ask, GatewaySessions
from app.services.signing_keys import SigningKeys
from app.services.tokens import RESULT_TYP
from app.services.trial_ways import Begun, Check, Judged, Trial, compared, in_time, signed


class RestTrials:
    """Does of a trial what an application's own code does."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        gateway_sessions: GatewaySessions,
        signing_keys: SigningKeys,
    ) -> None:
        self._issuer = config.base_url
        self._clock = clock
        self._gateway_sessions = gateway_sessions
        self._signing_keys = signing_keys

    def begin(self, tx: Session, actor: Actor, trial: Trial) -> Begun:
        """Open the session; see `Way`."""
        ask = Ask(
            user=str(trial.user.id),
            redirect_uri=trial.back,
            state=trial.state,
            nonce=trial.nonce,
            internal=True,
        )
        opened = self._gateway_sessions.open(tx, actor, trial.organization, trial.application, ask)
        return Begun(url=opened.url, session=opened.session)

    def judge(
        self, tx: Session, actor: Actor, session: GatewaySession, brought: Mapping[str, str]
    ) -> Judged | None:
        """Judge the result, and redeem it if all else is right."""
        token = brought.get("result", "")
        if not token:
            return None
        try:
            keys = self._signing_keys.published(tx, KeyUse.RESULT)
            claims = jose.verify(token, typ=RESULT_TYP, keys=keys)
        except jose.BadToken:
            return Judged(token=token, checks=[_UNSIGNED])
        wanted = {**self._wanted(session), **_of(session)}
        checks = [signed(token), *compared(claims, wanted), in_time(claims, self._clock.now())]
        if all(check.passed for check in checks):
            checks.append(self._used_up(tx, actor, session, token))
        return Judged(token=token, header=jose.header(token), claims=claims, checks=checks)

    def _wanted(self, session: GatewaySession) -> dict[str, str | None]:
        return {
            "iss": self._issuer,
            "aud": session.application.client_id,
            "nonce": session.nonce,
            "sub": str(session.user_id),
        }

    def _used_up(self, tx: Session, actor: Actor, session: GatewaySession, token: str) -> Check:
        """Redeem the result, so that it works once."""
        try:
            first = self._gateway_sessions.redeem(tx, actor, session, token) is not None
            found = "redeemed now" if first else "redeemed before"
        except Refusal as refusal:  # the user was suspended on the way
            first, found = False, refusal.message
        return Check(name="once", passed=first, wanted="not redeemed before", found=found)


_UNSIGNED = Check(
    name="signature",
    passed=False,
    wanted="one of the published keys",
    found="none of them, or the result was changed",
)


def _of(session: GatewaySession) -> dict[str, str]:
    organization = session.user.organization
    return {"org": organization.domain, "env": organization.environment.value}
