"""Answers: what an application is told of a gateway session that is over, in its door's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from sqlalchemy.orm import Session

from app.config import Config
from app.models import (
    Door,
    GatewaySession,
    ResponseMode,
    ResponseType,
    SessionStatus,
)
from app.services.authorization_codes import AuthorizationCodes
from app.services.entra_answers import EntraAnswers
from app.services.gateway_sessions import GatewaySessions
from app.services.session_rows import link_of
from app.services.standing import is_suspended
from app.services.tokens import Tokens

Fields = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes back to the application, and how.

    Attributes:
        fields: by name, in the words of the door that the application came through.
    """

    redirect_uri: str
    response_mode: ResponseMode
    fields: Fields

    @property
    def location(self) -> str:
        """The redirect address with the fields in its query."""
        if not self.fields:
            return self.redirect_uri
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in self.fields.items())
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{query}"


class Answers:
    """Tells an application how its gateway session ended; it makes nothing, and says it twice."""

    def __init__(
        self,
        config: Config,
        gateway_sessions: GatewaySessions,
        tokens: Tokens,
        authorization_codes: AuthorizationCodes,
        entra_answers: EntraAnswers,
    ) -> None:
        self._issuer = config.base_url
        self._gateway_sessions = gateway_sessions
        self._tokens = tokens
        self._authorization_codes = authorization_codes
        self._entra_answers = entra_answers
        self._tells: dict[Door, Callable[[Session, GatewaySession], Fields]] = {
            Door.REST: self._tell_rest,
            Door.CRYPTR: self._tell_cryptr,
            Door.OIDC: self._tell_oidc,
            Door.DUO: self._tell_duo,
            Door.ENTRA: self._tell_entra,
        }

    def answer(self, tx: Session, session: GatewaySession) -> Answer:
        """Return what the application is told about a session that is over.

        The result if there is one that still works, else OAuth's `access_denied`
        (RFC 6749 section 4.1.2.1), or `unmet_authentication_requirements` (OpenID Connect Core
        Error Code). Nothing, if no application asked.
        """
        own = self._gateway_sessions.is_own(session)
        return Answer(
            redirect_uri=session.redirect_uri,
            response_mode=session.response_mode,
            fields={} if own else self._tells[session.door](tx, session),
        )

    def _tell_rest(self, tx: Session, session: GatewaySession) -> Fields:
        """Return `state`, `session_id` (`request_id` if it rests on a magic link), and the end."""
        told = self._handed_over(tx, session) or self._error(session)
        return {**_state(session), **_reference(tx, session), **told}

    def _tell_cryptr(self, tx: Session, session: GatewaySession) -> Fields:
        """Return what the SPA SDK reads (api-facts a.10); `authorization_id` is the result's id."""
        told = self._handed_over(tx, session)
        result = self._tokens.deliverable(tx, session) if told else None
        ended = {"authorization_id": str(result.id), **told} if result else self._error(session)
        domain = session.user.organization.domain
        return {
            **_state(session),
            **ended,
            "organization_domain": domain,
            "request_id": session.id,
        }

    def _tell_oidc(self, tx: Session, session: GatewaySession) -> Fields:
        """Return `code` or an error, `state`, and who says so (RFC 9207), errors included."""
        told = self._essential(tx, session) or self._error(session)
        if why := session.asked.get("ended"):
            told = {"error": why, "error_description": "No page may be shown."}
        return {**told, **_state(session), "iss": self._issuer}

    def _essential(self, tx: Session, session: GatewaySession) -> Fields:
        """Return the code, if one of the methods that `claims` make essential was used."""
        result, wanted = self._tokens.deliverable(tx, session), session.asked["amr"]
        if result and wanted and not set(wanted) & set(result.claims["amr"]):
            return {
                "error": "unmet_authentication_requirements",
                "error_description": "The user confirmed by another method than claims ask.",
            }
        return self._handed_over(tx, session)

    def _tell_duo(self, tx: Session, session: GatewaySession) -> Fields:
        """Return `state`, and the code by the name that was asked for, or OAuth's error.

        Its SDKs have no word for a visit that failed: without a code they let nobody in.
        """
        handed = self._handed_over(tx, session)
        if not handed:
            described = self._description(session)
            return {"error": "access_denied", "error_description": described, **_state(session)}
        name = "duo_code" if session.asked.get("duo_code") else "code"
        return {name: handed["code"], **_state(session)}

    def _tell_entra(self, tx: Session, session: GatewaySession) -> Fields:
        """Return `id_token` or `error`, and `state`, as Entra demands, and no more.

        A trial, which alone asks for a code, gets one where Entra would get a token.
        """
        result = self._tokens.deliverable(tx, session)
        token = self._entra_answers.id_token(tx, session, result) if result else None
        told = {"id_token": token} if token else {"error": "access_denied"}
        if token and session.response_type is ResponseType.CODE:
            told = self._handed_over(tx, session)
        return {**told, **_state(session)}

    def _error(self, session: GatewaySession) -> Fields:
        status = self._gateway_sessions.status(session)
        return {
            "error": _ERRORS.get(status, "access_denied"),
            "error_description": self._description(session),
        }

    def _description(self, session: GatewaySession) -> str:
        if is_suspended(session.user):
            return "An administrator suspended the user."
        return _DESCRIPTIONS[self._gateway_sessions.status(session)]

    def _handed_over(self, tx: Session, session: GatewaySession) -> dict[str, str]:
        result = self._tokens.deliverable(tx, session)
        if result is None:
            return {}
        if session.response_type is ResponseType.RESULT:
            return {"result": self._tokens.signed(tx, result)}
        code = self._authorization_codes.deliverable(tx, result)
        return {"code": code} if code else {}


_DESCRIPTIONS = {
    SessionStatus.PENDING: "The user has not finished.",
    SessionStatus.CANCELLED: "The user went back without confirming.",
    SessionStatus.UNMET: "The user has nothing that reaches what acr_values ask.",
    SessionStatus.FAILED: "There were too many wrong answers.",
    SessionStatus.EXPIRED: "The gateway session expired.",
    SessionStatus.VERIFIED: "The result was used or is too old.",
    SessionStatus.ENROLLED: "The result was used or is too old.",
    SessionStatus.TRUSTED: "The result was used or is too old.",
    SessionStatus.SKIPPED: "The result was used or is too old.",
}

_ERRORS = {SessionStatus.UNMET: "unmet_authentication_requirements"}


def _state(session: GatewaySession) -> Fields:
    return {} if session.state is None else {"state": session.state}


def _reference(tx: Session, session: GatewaySession) -> Fields:
    """Return by what the application knows the ask: what it was told when it asked."""
    link = link_of(tx, session)
    return {"request_id": link.id} if link else {"session_id": session.id}
