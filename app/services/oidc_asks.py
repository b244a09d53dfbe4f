"""OIDC asks: whom an authorization request means, how sure that is, and the session for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.config import Config
from app.errors import Invalid, Refusal
from app.models import (
    Door,
    GatewaySession,
    KeyUse,
    Organization,
    ResponseType,
    User,
)
from app.services.assurance import METHODS_TOLD, known
from app.services.audit import Actor
from app.services.gateway_sessions import Ask, GatewaySessions, Opened
from app.services.id_tokens import ID_TOKEN_TYP
from app.services.oidc_parameters import RequestRefused, Wishes
from app.services.oidc_requests import Request
from app.services.signing_keys import SigningKeys
from app.services.subjects import Subjects
from app.services.unsure_sessions import UnsureSessions
from app.services.visits import Step, Visits


class Unopened(Enum):
    """Why no session was opened."""

    UNNAMED = "unnamed"
    """Nobody was named yet, and this client lets a page of ours ask."""
    UNCONFIRMABLE = "unconfirmable"
    """Whoever holds the browser named somebody who can't be confirmed here now; they don't learn
    whether that is because there is no such user."""


@dataclass(frozen=True, kw_only=True)
class _Name:
    """How a request names its user.

    Attributes:
        text: id, e-mail address, or external id.
        authenticated: whether the client named them for sure.
        creates: whether somebody unknown of this name may become a user.
    """

    text: str
    authenticated: bool
    creates: bool = False


class OidcAsks:
    """Opens gateway sessions for authorization requests."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        signing_keys: SigningKeys,
        subjects: Subjects,
        gateway_sessions: GatewaySessions,
        visits: Visits,
        unsure: UnsureSessions,
    ) -> None:
        self._issuer = config.base_url
        self._clock = clock
        self._keys = signing_keys
        self._subjects = subjects
        self._gateway_sessions = gateway_sessions
        self._visits = visits
        self._unsure = unsure

    def open(
        self, tx: Session, actor: Actor, request: Request, *, typed: str | None = None
    ) -> Opened | Unopened:
        """Open the session that a request asks for.

        Args:
            typed: the name that somebody typed on our page.

        Raises:
            RequestRefused: it can't be granted; told to the client.
        """
        wishes = request.wishes
        names = [*self._names(tx, request)]
        if typed is not None:
            names.append(_Name(text=typed, authenticated=False))
        if not names:
            return self._unnamed(request)
        authenticated = any(one.authenticated for one in names)
        if not authenticated and not request.client.takes_unauthenticated:
            raise _named_by_nobody(wishes)
        organization = self._organization(tx, request)
        user = self._user(tx, actor, request, organization, names)
        shown = typed or wishes.login_hint
        if authenticated:
            return self._open_for(tx, actor, request, user, shown)
        return self._open_unsure(tx, actor, request, user, shown)

    def _unnamed(self, request: Request) -> Unopened:
        if not request.client.takes_unauthenticated:
            raise _named_by_nobody(request.wishes)
        if request.wishes.silent:
            told = "Nobody is named, and no page may be shown."
            raise RequestRefused("login_required", told, request.wishes.reply)
        return Unopened.UNNAMED

    # Whom it means

    def _names(self, tx: Session, request: Request) -> Iterator[_Name]:
        wishes, sure = request.wishes, request.authenticated
        if wishes.login_hint is not None:
            yield _Name(text=wishes.login_hint, authenticated=sure, creates=sure)
        if wishes.id_token_hint is not None:
            subject, current = self._hinted(tx, request, wishes.id_token_hint)
            yield _Name(text=subject, authenticated=sure or current)
        if wishes.subject is not None:
            yield _Name(text=wishes.subject, authenticated=sure)

    def _hinted(self, tx: Session, request: Request, token: str) -> tuple[str, bool]:
        """Return whom an ID token of ours names, and whether it still holds."""
        try:
            keys = self._keys.published(tx, KeyUse.ID_TOKEN)
            claims = jose.verify(token, typ=ID_TOKEN_TYP, keys=keys)
        except jose.BadToken:
            claims = {}
        ours = claims.get("iss") == self._issuer
        if not ours or claims.get("aud") != request.client.application.client_id:
            told = "id_token_hint: we did not issue it for this client."
            raise RequestRefused("invalid_request", told, request.wishes.reply)
        expires = datetime.fromtimestamp(claims["exp"], UTC)
        return str(claims["sub"]), self._clock.now() < expires

    def _organization(self, tx: Session, request: Request) -> Organization:
        application, domain = request.client.application, request.wishes.organization
        try:
            return self._subjects.organization(tx, application, domain)
        except Refusal as refusal:
            told = "organization: the application serves several, or not the one that is named."
            raise RequestRefused("invalid_request", told, request.wishes.reply) from refusal

    def _user(
        self,
        tx: Session,
        actor: Actor,
        request: Request,
        organization: Organization,
        names: list[_Name],
    ) -> User | None:
        """Return the user whom all names mean; None if there is none of this name.

        Raises:
            RequestRefused: they mean different users.
        """
        application = request.client.application
        found = [
            self._subjects.find_or_create(tx, actor, organization, application, one.text)
            if one.creates
            else self._subjects.find(tx, organization, one.text)
            for one in names
        ]
        if len({one.id if one else None for one in found}) > 1:
            told = "The request names different users."
            raise RequestRefused("invalid_request", told, request.wishes.reply)
        return found[0]

    # The session

    def _open_for(
        self, tx: Session, actor: Actor, request: Request, user: User | None, shown: str | None
    ) -> Opened:
        """Open a session for a user whom the client named for sure: it hears what is wrong."""
        reply = request.wishes.reply
        if user is None:
            told = "user_not_found: the organization has no such user."
            raise RequestRefused("access_denied", told, reply)
        try:
            return self._begin(tx, actor, request, user, shown, authenticated=True)
        except Refusal as refusal:
            code = "invalid_request" if isinstance(refusal, Invalid) else "access_denied"
            told = f"{refusal.code}: the gateway session can not be opened."
            raise RequestRefused(code, told, reply) from refusal

    def _open_unsure(
        self, tx: Session, actor: Actor, request: Request, user: User | None, shown: str | None
    ) -> Opened | Unopened:
        """Open a session for a user whom anybody may have named, if they can confirm now.

        Unknown, without a factor, locked and suspended look the same from outside.
        """
        if user is None:
            return self._silently(request)
        opened = self._unsure.open(
            tx, lambda: self._begin(tx, actor, request, user, shown, authenticated=False)
        )
        return opened or self._silently(request)

    def _silently(self, request: Request) -> Unopened:
        if request.wishes.silent:
            told = "The user has to confirm, and no page may be shown."
            raise RequestRefused("login_required", told, request.wishes.reply)
        return Unopened.UNCONFIRMABLE

    def _begin(
        self,
        tx: Session,
        actor: Actor,
        request: Request,
        user: User,
        shown: str | None,
        *,
        authenticated: bool,
    ) -> Opened:
        wishes, row = request.wishes, request.row
        ask = Ask(
            user=str(user.id),
            redirect_uri=wishes.reply.redirect_uri,
            response_mode=wishes.reply.response_mode,
            response_type=ResponseType.CODE,
            state=wishes.reply.state,
            nonce=wishes.nonce,
            locale=wishes.locale,
            acr_values=_demanded(wishes),
            max_age=wishes.max_age,
            door=Door.OIDC,
            asked={
                "name": shown or user.email or user.external_id or str(user.id),
                "challenge": wishes.challenge,
                "scope": wishes.scope,
                "amr": list(wishes.amr),
                "silent": wishes.silent,
            },
            subject_authenticated=authenticated,
            internal=bool(row and row.parameters["internal"]),
        )
        organization, application = user.organization, request.client.application
        opened = self._gateway_sessions.open(tx, actor, organization, application, ask)
        self._settle_wish(tx, wishes, opened.session)
        tx.flush()
        if row is not None:
            row.gateway_session_id = opened.session.id
        return opened

    def _settle_wish(self, tx: Session, wishes: Wishes, session: GatewaySession) -> None:
        """Let go of a class that is only wished for, if nothing here leads to it."""
        if wishes.acr_essential or not session.acr_values:
            return
        if self._visits.step(tx, session) is Step.UNMET:
            session.acr_values = []


def _demanded(wishes: Wishes) -> list[str]:
    """Return the classes of ours that are asked.

    Raises:
        RequestRefused: an essential class or method is none that anything here comes to.
    """
    values = known(wishes.acr_values)
    if wishes.amr and not METHODS_TOLD.intersection(wishes.amr):
        told = "None of the methods that claims ask is one of ours."
        raise RequestRefused("unmet_authentication_requirements", told, wishes.reply)
    if wishes.acr_essential and not values:
        told = "None of the classes that claims ask is one of ours."
        raise RequestRefused("unmet_authentication_requirements", told, wishes.reply)
    return values


def _named_by_nobody(wishes: Wishes) -> RequestRefused:
    told = (
        "The request names no user for sure. Name the user in a pushed or a signed request; this "
        "client takes no names from browsers."
    )
    return RequestRefused("invalid_request", told, wishes.reply)
