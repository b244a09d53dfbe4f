"""Duo's door: a signed request opens a gateway session; its code is exchanged for the answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from app import jose
from app.crypto import new_token
from app.errors import Refusal
from app.models import Door, ResponseMode, ResponseType
from app.services.answers import Answer
from app.services.audit import Actor
from app.services.authorization_codes import AuthorizationCodes
from app.services.duo_answers import SECONDS, DuoAnswers
from app.services.duo_tokens import DuoTokens, Proved, Request
from app.services.gateway_sessions import Ask, GatewaySessions, Opened
from app.services.subjects import Subjects

_MOST_NONCE = 1024


class Declined(Exception):
    """A request that is the application's own, but can't be granted: the application is told.

    Attributes:
        answer: where the browser goes with that.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.fields["error_description"])
        self.answer = answer


@dataclass(frozen=True, kw_only=True)
class Granted:
    """What a code was exchanged for.

    Attributes:
        access_token: SDKs demand one; it opens nothing.
        lasts: seconds.
    """

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    lasts: int


class DuoSessions:
    """Opens gateway sessions for Duo clients, and gives them their answers."""

    def __init__(
        self,
        tokens: DuoTokens,
        subjects: Subjects,
        gateway_sessions: GatewaySessions,
        authorization_codes: AuthorizationCodes,
        answers: DuoAnswers,
    ) -> None:
        self._tokens = tokens
        self._subjects = subjects
        self._gateway_sessions = gateway_sessions
        self._codes = authorization_codes
        self._answers = answers

    @property
    def issuer(self) -> str:
        """Who the ID tokens say issued them."""
        return self._answers.issuer

    def open(
        self, tx: Session, actor: Actor, *, client_id: str, token: str, nonce: str = ""
    ) -> Opened:
        """Open the gateway session that a signed request asks for; it counts once.

        Args:
            client_id: as it stands beside the request.
            nonce: beside the request, too, where the SDK for Python has it: given back, no more.

        Raises:
            Refusal: `invalid_client`, `invalid_request`, `request_used`: nobody is told but whoever
                holds the browser.
            Declined: the application may know why not; nothing is kept, not even that it asked.
        """
        if len(nonce) > _MOST_NONCE or not nonce.isprintable():
            told = f"nonce has to be {_MOST_NONCE:,} printable characters at most."
            raise Refusal("invalid_request", told, status=400)
        request = self._tokens.request(tx, client_id=client_id, token=token)
        self._tokens.use_up(tx, request)
        try:
            return self._opened(tx, actor, request, nonce)
        except Refusal as refusal:
            raise Declined(_declined(request, refusal)) from refusal

    def _opened(self, tx: Session, actor: Actor, request: Request, nonce: str) -> Opened:
        application = request.client.application
        actor = replace(actor, name=f"application:{application.id}")
        organization = self._subjects.organization(tx, application)
        person = self._subjects.find_or_create(tx, actor, organization, application, request.name)
        if person is None:
            raise Refusal("user_not_found", "The user is not known here.")
        ask = Ask(
            user=str(person.id),
            redirect_uri=request.redirect_uri,
            state=request.state,
            response_type=ResponseType.CODE,
            door=Door.DUO,
            asked={"name": request.name, "nonce": nonce, "duo_code": request.duo_code},
        )
        return self._gateway_sessions.open(tx, actor, organization, application, ask)

    def exchange(
        self, tx: Session, actor: Actor, proved: Proved, *, code: str, redirect_uri: str
    ) -> Granted | None:
        """Exchange a code for what its visit came to, once.

        Returns:
            None if the code is not this client's, was used, is too old, or is of another address;
            or if the user was suspended meanwhile. It is returned, so that the record stays.
        """
        application = proved.client.application
        session = self._codes.session_of(tx, application, code)
        if session is None or session.door is not Door.DUO:
            return None
        if session.redirect_uri != redirect_uri:
            return None
        try:
            result = self._codes.exchange(tx, actor, session, code)
        except Refusal:  # suspended
            return None
        if result is None:
            return None
        claims = self._answers.claims(tx, proved.client, session, result)
        return Granted(
            id_token=jose.sign_shared(claims, secret=proved.secret),
            access_token=new_token(),
            lasts=SECONDS,
        )


def _declined(request: Request, refusal: Refusal) -> Answer:
    return Answer(
        redirect_uri=request.redirect_uri,
        response_mode=ResponseMode.QUERY,
        fields={
            "error": "access_denied",
            "error_description": refusal.message,
            "state": request.state,
        },
    )
