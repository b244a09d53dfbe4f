"""OIDC logouts: we hold no session of anybody, so a logout means to forget a browser."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app import jose
from app.config import Config
from app.errors import Refusal
from app.models import KeyUse, OidcClient
from app.services.id_tokens import ID_TOKEN_TYP
from app.services.oidc_clients import OidcClients
from app.services.signing_keys import SigningKeys


@dataclass(frozen=True, kw_only=True)
class LogoutWish:
    """What a logout asks (OpenID Connect RP-Initiated Logout 1.0 section 2)."""

    id_token_hint: str | None = None
    client_id: str | None = None
    post_logout_redirect_uri: str | None = None


@dataclass(frozen=True, kw_only=True)
class Logout:
    """A logout that can be granted.

    Attributes:
        user_id: whose browser is to be forgotten; None means whoever's, and wants a confirmation.
    """

    client: OidcClient | None
    user_id: uuid.UUID | None
    redirect_uri: str | None


class OidcLogouts:
    """Reads what a logout asks; browsers are forgotten by `VisitBrowsers`."""

    def __init__(self, config: Config, oidc_clients: OidcClients, keys: SigningKeys) -> None:
        self._issuer = config.base_url
        self._clients = oidc_clients
        self._keys = keys

    def read(self, tx: Session, wish: LogoutWish) -> Logout:
        """Return what is to be done; the hint may be too old, for that is when users log out.

        Raises:
            Refusal: `invalid_request`: the hint or the client is none, or the address is not
                registered for it.
        """
        user_id, client_id = self._hinted(tx, wish)
        client = self._clients.find(tx, client_id) if client_id else None
        if client_id and client is None:
            raise _refused("client_id: there is no such client.")
        uri = wish.post_logout_redirect_uri
        if uri is not None and (client is None or uri not in client.post_logout_redirect_uris):
            raise _refused("post_logout_redirect_uri: it is not a registered one.")
        return Logout(client=client, user_id=user_id, redirect_uri=uri)

    def _hinted(self, tx: Session, wish: LogoutWish) -> tuple[uuid.UUID | None, str | None]:
        if wish.id_token_hint is None:
            return None, wish.client_id
        try:
            keys = self._keys.published(tx, KeyUse.ID_TOKEN)
            claims = jose.verify(wish.id_token_hint, typ=ID_TOKEN_TYP, keys=keys)
        except jose.BadToken:
            claims = {}
        client_id = claims.get("aud")
        if claims.get("iss") != self._issuer or wish.client_id not in {None, client_id}:
            raise _refused("id_token_hint: we did not issue it, or for another client.")
        return uuid.UUID(claims["sub"]), client_id


def _refused(message: str) -> Refusal:
    return Refusal("invalid_request", message, status=400)
