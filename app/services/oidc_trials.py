"""OIDC trials: a pushed request as a client sends it, and the ID token that its code is worth."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from authlib.oauth2.rfc7636.challenge import create_s256_code_challenge
from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.config import Config
from app.crypto import Vault
from app.models import GatewaySession, KeyUse
from app.services.audit import Actor
from app.services.id_tokens import ID_TOKEN_TYP, Exchange, IdTokens
from app.services.oidc_clients import OidcClients
from app.services.oidc_parameters import parsed
from app.services.oidc_requests import PREFIX, PUSHED_FOR, OidcRequests, Request
from app.services.signing_keys import SigningKeys
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


class OidcTrials:
    """Does of a trial what a client of OpenID Connect does."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        vault: Vault,
        signing_keys: SigningKeys,
        oidc_clients: OidcClients,
        oidc_requests: OidcRequests,
        id_tokens: IdTokens,
    ) -> None:
        self._issuer = config.base_url
        self._clock = clock
        self._vault = vault
        self._keys = signing_keys
        self._clients = oidc_clients
        self._requests = oidc_requests
        self._id_tokens = id_tokens

    def begin(self, tx: Session, actor: Actor, trial: Trial) -> Begun:
        """Push the request; see `Way`."""
        client = self._clients.of(tx, trial.application)
        asked = {
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": trial.back,
            "state": trial.state,
            "nonce": trial.nonce,
            "login_hint": trial.name,
            "organization": trial.organization.domain,
            "code_challenge": create_s256_code_challenge(code_verifier(self._vault, trial.nonce)),
            "code_challenge_method": "S256",
        }
        request = Request(
            client=client,
            wishes=parsed(client, asked, internal=trial.back),
            parameters=asked,
            authenticated=True,
        )
        parked = self._requests.keep(tx, request, lasts=PUSHED_FOR, internal=trial.back)
        query = {"client_id": trial.application.client_id, "request_uri": PREFIX + parked.secret}
        return Begun(url=f"{self._issuer}/oidc/authorize?{urlencode(query)}")

    def judge(
        self, tx: Session, actor: Actor, session: GatewaySession, brought: Mapping[str, str]
    ) -> Judged | None:
        """Exchange the code, and judge the ID token."""
        code, nonce = brought.get("code", ""), session.nonce or ""
        if not code:
            return None
        verifier = code_verifier(self._vault, nonce)
        exchange = Exchange(code=code, redirect_uri=session.redirect_uri, verifier=verifier)
        client = self._clients.of(tx, session.application)
        issued = self._id_tokens.exchange(tx, actor, client, exchange)
        if issued is None:
            return Judged(checks=[exchanged("")])
        token, keys = issued.id_token, self._keys.published(tx, KeyUse.ID_TOKEN)
        claims = jose.verify(token, typ=ID_TOKEN_TYP, keys=keys)
        wanted = {
            "iss": self._issuer,
            "aud": session.application.client_id,
            "nonce": nonce,
            "sub": str(session.user_id),
        }
        checks = [exchanged(token), signed(token), *compared(claims, wanted)]
        checks.append(in_time(claims, self._clock.now()))
        return Judged(token=token, header=jose.header(token), claims=claims, checks=checks)
