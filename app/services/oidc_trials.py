"""OIDC trials: an administrator goes the way of an OpenID Connect client, and sees its ID token."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlencode

from authlib.oauth2.rfc7636.challenge import create_s256_code_challenge
from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.config import Config
from app.crypto import Vault, new_token
from app.models import (
    AdministratorSession,
    Application,
    GatewaySession,
    KeyUse,
    OidcClient,
    Organization,
    User,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.gateway_sessions import GatewaySessions
from app.services.id_tokens import ID_TOKEN_TYP, Exchange, IdTokens
from app.services.oidc_clients import OidcClients
from app.services.oidc_parameters import parsed
from app.services.oidc_requests import PREFIX, PUSHED_FOR, OidcRequests, Request
from app.services.signing_keys import LEEWAY_SECONDS, SigningKeys
from app.services.trials import Check, Trials, Tried

_STATE, _VERIFIER = "trial of an OIDC client", "code verifier of a trial"
_NONCE_BITS = 128


class OidcTrials:
    """Pushes a request that comes back to the admin area, and exchanges the code that it brings."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        vault: Vault,
        trials: Trials,
        gateway_sessions: GatewaySessions,
        signing_keys: SigningKeys,
        oidc_clients: OidcClients,
        oidc_requests: OidcRequests,
        id_tokens: IdTokens,
        audit: Audit,
    ) -> None:
        self._issuer = config.base_url
        self._clock = clock
        self._vault = vault
        self._trials = trials
        self._gateway_sessions = gateway_sessions
        self._keys = signing_keys
        self._clients = oidc_clients
        self._requests = oidc_requests
        self._id_tokens = id_tokens
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
        """Push a request for a user, and return where the browser goes.

        Args:
            by: the session of the administrator who tries, to which the way back is bound.

        Raises:
            Invalid: `email` names nobody who could be verified.
        """
        user = self._trials.user(tx, organization, email)
        client = self._clients.of(tx, application)
        back, nonce = self._gateway_sessions.trial_address(organization, application), _nonce()
        asked = {
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": back,
            "state": self._vault.hash(_bound(by, application, nonce), purpose=_STATE),
            "nonce": nonce,
            "login_hint": email.strip(),
            "organization": organization.domain,
            "code_challenge": create_s256_code_challenge(self._verifier(nonce)),
            "code_challenge_method": "S256",
        }
        request = Request(
            client=client,
            wishes=parsed(client, asked, internal=back),
            parameters=asked,
            authenticated=True,
        )
        parked = self._requests.keep(tx, request, lasts=PUSHED_FOR, internal=back)
        self._record(tx, actor, application, user)
        query = {"client_id": application.client_id, "request_uri": PREFIX + parked.secret}
        return f"{self._issuer}/oidc/authorize?{urlencode(query)}"

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
        """Exchange the code that the browser brought back, and judge the ID token.

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
        client = self._clients.of(tx, application)
        token = self._exchanged(tx, actor, client, session, code)
        header, claims, checks = self._judged(tx, session, token)
        return Tried(
            session=session, status=status, token=token, header=header, claims=claims, checks=checks
        )

    def _exchanged(
        self, tx: Session, actor: Actor, client: OidcClient, session: GatewaySession, code: str
    ) -> str:
        verifier = self._verifier(session.nonce or "")
        brought = Exchange(code=code, redirect_uri=session.redirect_uri, verifier=verifier)
        exchanged = self._id_tokens.exchange(tx, actor, client, brought)
        return exchanged.id_token if exchanged else ""

    def _judged(
        self, tx: Session, session: GatewaySession, token: str
    ) -> tuple[jose.Claims, jose.Claims, list[Check]]:
        once = Check(
            name="code",
            passed=bool(token),
            wanted="not exchanged before",
            found="exchanged now" if token else "exchanged before, or too old",
        )
        if not token:
            return {}, {}, [once]
        claims = jose.verify(
            token, typ=ID_TOKEN_TYP, keys=self._keys.published(tx, KeyUse.ID_TOKEN)
        )
        header = jose.header(token)
        signed = Check(
            name="signature",
            passed=True,
            wanted="one of the published keys",
            found=f"{header['alg']}, key {header['kid']}",
        )
        return header, claims, [once, signed, *self._comparisons(session, claims)]

    def _comparisons(self, session: GatewaySession, claims: jose.Claims) -> Iterator[Check]:
        wanted = {
            "iss": self._issuer,
            "aud": session.application.client_id,
            "nonce": session.nonce,
            "sub": str(session.user_id),
        }
        for name, value in wanted.items():
            found = claims.get(name)
            yield Check(name=name, passed=found == value, wanted=str(value), found=str(found))
        now = self._clock.now()
        yield Check(
            name="exp",
            passed=now.timestamp() < claims["exp"] + LEEWAY_SECONDS,
            wanted=f"after {now:%H:%M:%S} UTC",
            found=f"{datetime.fromtimestamp(claims['exp'], UTC):%H:%M:%S} UTC",
        )

    def _verifier(self, nonce: str) -> str:
        """Return a trial's code verifier: made of its nonce by a key that is in no database."""
        return self._vault.hash(nonce, purpose=_VERIFIER).partition(":")[2]

    def _record(self, tx: Session, actor: Actor, application: Application, user: User) -> None:
        self._audit.record(
            tx,
            EventKind.APPLICATION_TRIED,
            actor,
            user=user,
            application_id=application.id,
            name=application.name,
        )


def _nonce() -> str:
    return new_token(_NONCE_BITS)


def _bound(by: AdministratorSession, application: Application, nonce: str) -> str:
    return f"{by.id}:{application.id}:{nonce}"
