"""Gateway sessions: opening an ask, binding it to a browser, and answering the application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from ksuid import Ksuid
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from app.clock import Clock
from app.config import Config
from app.crypto import Vault, new_token
from app.db import touched_one
from app.errors import Invalid, NotFound, Refusal
from app.jose import Claims
from app.models import (
    Application,
    Door,
    GatewaySession,
    Intent,
    Organization,
    Purpose,
    ResponseMode,
    ResponseType,
    Result,
    SessionStatus,
    User,
    Verification,
)
from app.models.gateway_session import ID_PREFIX, SPARE_NOBODY
from app.services import session_rows
from app.services.assurance import CLASSES, known
from app.services.audit import Actor, Audit, EventKind
from app.services.authorization_codes import AuthorizationCodes
from app.services.directory import Directory
from app.services.enrollment import MOST_PER_USER, Enrollment
from app.services.method_settings import MethodSettings
from app.services.policies import Policies
from app.services.standing import demand_unsuspended
from app.services.tokens import Tokens, status_of
from app.services.verification import Verifications, live

VERIFY_FOR = timedelta(minutes=15)
ENROLL_FOR = timedelta(minutes=30)
MANAGE_FOR = timedelta(minutes=60)
MOST_STATE_BYTES = {
    Door.REST: 1024,
    Door.OIDC: 4096,
    Door.DUO: 4096,  # its SDKs allow 1,024 characters
    Door.ENTRA: 4096,
    Door.CRYPTR: 1024,
}
MOST_NONCE_CHARACTERS = 255
MOST_NONCE_BYTES = {Door.ENTRA: 4096}
"""Where a protocol's own are longer, and of any letters."""
TOKEN_BITS = 128

_NAMED = ", ".join(CLASSES)
_TOKEN, _BROWSER = "gateway session token", "gateway session browser"


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What an application asks about one user.

    Attributes:
        user: id or e-mail address.
        redirect_uri: one of the application's, to the letter.
        state: up to 1,024 bytes (4,096 in OpenID Connect, Duo and Entra), given back as it came.
        nonce: stands in the result.
        locale: language tag of the pages.
        acr_values: classes of which one, or one above it, has to be reached; unknown ones don't
            count beside known ones.
        max_age: seconds since which this browser may have confirmed the user for the application.
        force_enroll: a human looked (the guides' word): the user enrolls anew without verifying.
        door: the protocol that it came through.
        asked: what else that door needs for its answer.
        subject_authenticated: whether it is sure that the application named the user.
        internal: the way back is a page of ours, which nobody registers; no application sets this.
    """

    user: str
    redirect_uri: str
    state: str | None = None
    nonce: str | None = None
    locale: str | None = None
    acr_values: Sequence[str] = ()
    max_age: int | None = None
    response_mode: ResponseMode = ResponseMode.QUERY
    response_type: ResponseType = ResponseType.RESULT
    intent: Intent = Intent.VERIFY
    force_enroll: bool = False
    door: Door = Door.REST
    asked: dict[str, Any] = field(default_factory=dict)
    subject_authenticated: bool = True
    internal: bool = False


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A new gateway session, and the address for the user's browser, which is told only here."""

    session: GatewaySession
    url: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Entered:
    """A session that has just been bound, and the secret for that browser's cookie."""

    session: GatewaySession
    secret: str = field(repr=False)


class GatewaySessions:
    """The one way in and out: whatever door opened a session, it goes through here."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        vault: Vault,
        method_settings: MethodSettings,
        policies: Policies,
        directory: Directory,
        enrollment: Enrollment,
        verifications: Verifications,
        tokens: Tokens,
        authorization_codes: AuthorizationCodes,
        audit: Audit,
    ) -> None:
        self._base_url = config.base_url
        self._clock = clock
        self._vault = vault
        self._method_settings = method_settings
        self._policies = policies
        self._directory = directory
        self._enrollment = enrollment
        self._verifications = verifications
        self._tokens = tokens
        self._authorization_codes = authorization_codes
        self._audit = audit

    def open(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        application: Application,
        ask: Ask,
    ) -> Opened:
        """Open a session for an application that we know and a user whom it vouches for.

        Raises:
            Refusal: `user_not_found`, `user_suspended`, `redirect_uri_not_registered`,
                `totp_connection_inactive`, `too_many_authenticators`.
            Invalid: `state` or `nonce` can't be carried, or none of `acr_values` is known.
        """
        user = self._user_of(tx, organization, ask)
        _check_fields(application, ask)
        offered = self._method_settings.hosted(tx, organization, application)
        if not offered and not self._passes(tx, user, application, ask):
            raise Refusal(
                "totp_connection_inactive",
                f"The organization {organization.domain} offers no method"
                f"{' that this application takes' if application.methods else ''}. Switch its "
                "TOTP connection on.",
            )
        if ask.intent is Intent.ENROLL:
            _check_room(tx, user, offered)
        opened = self._begin(tx, actor, application, user, ask, lasts=_lifetime(user, ask))
        if ask.force_enroll:
            self._enrollment.force(tx, user)
        return opened

    def open_for_link(
        self,
        tx: Session,
        actor: Actor,
        application: Application,
        user: User,
        ask: Ask,
        *,
        lasts: timedelta,
    ) -> Opened:
        """Open a session that a magic link completes, so that no method has to be on offer.

        Raises:
            Refusal: `redirect_uri_not_registered`, `user_suspended`.
            Invalid: `state` can't be carried.
        """
        _check_fields(application, ask)
        return self._begin(tx, actor, application, user, ask, lasts=lasts)

    def open_for_invitation(
        self, tx: Session, actor: Actor, application: Application, user: User
    ) -> Opened:
        """Open a session in which an invited user sets up; it ends on its own last page.

        Args:
            application: the one that the pages name; it asked nothing, so it gets nothing.

        Raises:
            Refusal: `user_suspended`.
        """
        ask = Ask(user=str(user.id), redirect_uri="", intent=Intent.ENROLL)
        opened = self._begin(tx, actor, application, user, ask, lasts=ENROLL_FOR)
        opened.session.redirect_uri = self._last_page(opened.session)
        return opened

    def _begin(
        self,
        tx: Session,
        actor: Actor,
        application: Application,
        user: User,
        ask: Ask,
        *,
        lasts: timedelta,
    ) -> Opened:
        demand_unsuspended(user)
        now = self._clock.now()
        token = new_token(TOKEN_BITS)
        session = GatewaySession(
            id=ID_PREFIX + str(Ksuid(now)),
            user_id=user.id,
            user=user,
            application_id=application.id,
            application=application,
            redirect_uri=ask.redirect_uri,
            response_mode=ask.response_mode,
            response_type=ask.response_type,
            intent=ask.intent,
            force_enroll=ask.force_enroll,
            acr_values=known(ask.acr_values),
            max_age=ask.max_age,
            door=ask.door,
            asked=ask.asked,
            subject_authenticated=ask.subject_authenticated,
            state=ask.state,
            nonce=ask.nonce,
            locale=ask.locale,
            status=SessionStatus.PENDING,
            token_hash=self._vault.hash(token, purpose=_TOKEN),
            judged=0,
            created_at=now,
            expires_at=now + lasts,
        )
        tx.add(session)
        self._audit.record(
            tx,
            EventKind.GATEWAY_SESSION_OPENED,
            actor,
            organization_id=user.organization_id,
            gateway_session=session,
            intent=ask.intent.value,
            forced=ask.force_enroll,
            client_id=application.client_id,
        )
        url = f"{self._base_url}/gateway/{session.short_id}?token={token}"
        return Opened(session=session, url=url)

    def find(
        self,
        tx: Session,
        organization: Organization,
        session_id: str,
        application: Application | None = None,
    ) -> GatewaySession:
        """Return a session of the organization; of one application only, if that one asks.

        Raises:
            NotFound: there is none that the caller may know of.
        """
        session = session_rows.found(tx, session_id)
        if session is None or session.user.organization_id != organization.id:
            raise NotFound("gateway session")
        if application is not None and session.application_id != application.id:
            raise NotFound("gateway session")
        return session

    def redeem(
        self, tx: Session, actor: Actor, session: GatewaySession, token: str
    ) -> Claims | None:
        """Use a result up; see `Tokens.redeem`."""
        return self._tokens.redeem(tx, actor, session, token)

    # The browser that it is bound to

    def enter(self, tx: Session, actor: Actor, short_id: str, token: str) -> Entered | None:
        """Bind a session to the browser that brings its token first.

        Returns:
            None for every later browser, for a wrong token, and once the session is over.
        """
        session = session_rows.found(tx, ID_PREFIX + short_id)
        stored = session.token_hash if session else None
        if not self._vault.matches(token, stored, purpose=_TOKEN) or session is None:
            return None
        return self.bind(tx, actor, session)

    def bind(self, tx: Session, actor: Actor, session: GatewaySession) -> Entered | None:
        """Bind a session to the browser that asks, which has shown that it may; once only."""
        secret = new_token()
        bind = (
            sa.update(GatewaySession)
            .where(
                GatewaySession.id == session.id,
                GatewaySession.browser_hash.is_(None),
                GatewaySession.status == SessionStatus.PENDING,
                GatewaySession.expires_at > self._clock.now(),
            )
            .values(browser_hash=self._vault.hash(secret, purpose=_BROWSER))
        )
        if not touched_one(tx, bind):
            return None
        self._audit.record(
            tx,
            EventKind.GATEWAY_SESSION_ENTERED,
            actor,
            organization_id=session.user.organization_id,
            gateway_session=session,
        )
        return Entered(session=session, secret=secret)

    def known(self, tx: Session, session_id: str) -> GatewaySession | None:
        """Return a session by its id, to a door that opened it."""
        return session_rows.found(tx, session_id)

    def address(self, session: GatewaySession) -> str:
        """Return where the browser that a session is bound to finds it again."""
        return f"{self._base_url}/gateway/{session.short_id}"

    def peek(self, tx: Session, short_id: str) -> GatewaySession | None:
        """Return a session whoever asks: a page may name its application, nothing of its user."""
        return session_rows.found(tx, ID_PREFIX + short_id)

    def visit(
        self, tx: Session, short_id: str, secret: str | None, *, hold: bool = False
    ) -> GatewaySession | None:
        """Return the session if this browser is the one that it is bound to.

        Args:
            hold: whether to keep others from it until the transaction ends. Without that, what two
                windows do at once may be seen half: first the pending session, then its end.
        """
        session_id = ID_PREFIX + short_id
        if hold:
            hashes = self._vault.hashes(secret or "", purpose=_BROWSER)
            session = session_rows.held(tx, session_id, hashes)
        else:
            session = session_rows.visited(tx, session_id)
        stored = session.browser_hash if session else None
        known = self._vault.matches(secret or "", stored, purpose=_BROWSER)
        return session if known and secret else None

    def is_own(self, session: GatewaySession) -> bool:
        """Tell whether no application opened it, so that it ends on its own last page."""
        return session.redirect_uri == self._last_page(session)

    def is_trial(self, session: GatewaySession) -> bool:
        """Tell whether an administrator tries the application, who vouches for no user."""
        address = self.trial_address(session.user.organization, session.application)
        return session.redirect_uri == address

    def trial_address(self, organization: Organization, application: Application) -> str:
        """Return the page of ours where an administrator's trial of an application ends."""
        place = f"{organization.environment.value}/{organization.domain}"
        return f"{self._base_url}/admin/{place}/applications/{application.client_id}/try/back"

    def pending(self, tx: Session, application: Application) -> int:
        """Return how many users are on our pages for an application now."""
        counted = sa.select(sa.func.count()).where(
            GatewaySession.application_id == application.id,
            GatewaySession.status == SessionStatus.PENDING,
            GatewaySession.expires_at > self._clock.now(),
        )
        return tx.scalar(counted) or 0

    def status(self, session: GatewaySession) -> SessionStatus:
        """Return how the session stands now."""
        return session.status_at(self._clock.now())

    # Its end

    def fail(self, tx: Session, actor: Actor, session: GatewaySession) -> None:
        """End a pending session because too many answers were wrong."""
        if self._end(tx, session, SessionStatus.FAILED):
            self._audit.record(
                tx,
                EventKind.GATEWAY_SESSION_FAILED,
                actor,
                organization_id=session.user.organization_id,
                gateway_session=session,
            )

    def cancel(
        self, tx: Session, actor: Actor, session: GatewaySession, *, unmet: bool = False
    ) -> None:
        """End a pending session because the user wants to go back.

        Args:
            unmet: whether nothing led on, as the application asked for more than the user has.
        """
        status = SessionStatus.UNMET if unmet else SessionStatus.CANCELLED
        kind = EventKind.GATEWAY_SESSION_UNMET if unmet else EventKind.GATEWAY_SESSION_CANCELLED
        if self._end(tx, session, status):
            self._audit.record(
                tx,
                kind,
                actor,
                organization_id=session.user.organization_id,
                gateway_session=session,
            )

    def complete(
        self, tx: Session, actor: Actor, session: GatewaySession, verification: Verification
    ) -> Result | None:
        """End a pending session well, and issue its result; none if no application asked.

        Args:
            verification: the session's own, by an authenticator; see `Tokens.issue_result`.
        """
        recovery = self._verifications.accepted(tx, session, Purpose.RECOVERY)
        status = SessionStatus.VERIFIED if recovery else status_of(verification)
        # What was confirmed in time counts, though the session may have run out since.
        if not self._end(tx, session, status, alive_at=verification.at):
            raise RuntimeError("a gateway session ended twice")
        if self.is_own(session):
            return None
        result = self._tokens.issue_result(tx, actor, session, verification, recovery=recovery)
        if session.response_type is ResponseType.CODE:
            self._authorization_codes.issue(tx, result)
        return result

    def _passes(self, tx: Session, user: User, application: Application, ask: Ask) -> bool:
        """Tell whether a policy lets everybody go on, so that no method has to be on offer."""
        steps_up = ask.acr_values or ask.max_age is not None or ask.door in SPARE_NOBODY
        if ask.intent is not Intent.VERIFY or ask.force_enroll or steps_up:
            return False
        return self._policies.is_off(tx, user, application.id)

    def _last_page(self, session: GatewaySession) -> str:
        """Return an address that nobody could register before the session was there."""
        return f"{self._base_url}/gateway/{session.short_id}/ended"

    def _end(
        self,
        tx: Session,
        session: GatewaySession,
        status: SessionStatus,
        *,
        alive_at: datetime | None = None,
    ) -> bool:
        now = self._clock.now()
        end = (
            sa.update(GatewaySession)
            .where(
                GatewaySession.id == session.id,
                GatewaySession.status == SessionStatus.PENDING,
                GatewaySession.expires_at > (alive_at or now),
            )
            .values(status=status, ended_at=now)
        )
        ended = touched_one(tx, end)
        if ended:
            set_committed_value(session, "status", status)
            set_committed_value(session, "ended_at", now)
        else:
            tx.refresh(session, ["status", "ended_at"])
        return ended

    def _user_of(self, tx: Session, organization: Organization, ask: Ask) -> User:
        try:
            return self._directory.find(tx, organization, ask.user)
        except NotFound:
            raise Refusal(
                "user_not_found",
                f"user_id: the organization {organization.domain} has no such user. Create it "
                "first, or check the id or e-mail address.",
            ) from None


def origin_of(redirect_uri: str) -> str:
    """Return scheme, host and port of a redirect address."""
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}"


def _check_fields(application: Application, ask: Ask) -> None:
    if not ask.internal and ask.redirect_uri not in application.redirect_uris:
        raise Refusal(
            "redirect_uri_not_registered",
            "redirect_uri: it is not one of the application's, compared letter by letter.",
        )
    most = MOST_STATE_BYTES[ask.door]
    if ask.state is not None and not _carries(ask.state, most, _bytes):
        raise Invalid("state", f"at most {most} bytes, without control characters.")
    _check_nonce(ask)
    manages = ask.intent is Intent.MANAGE
    if manages and (ask.acr_values or ask.force_enroll):
        name = "acr_values" if ask.acr_values else "force_enroll"
        raise Invalid(name, "leave it out with the intent manage: it asks for nothing else.")
    if ask.acr_values and not known(ask.acr_values):
        raise Invalid("acr_values", f"none of them is known. Use one or more of {_NAMED}.")


def _check_nonce(ask: Ask) -> None:
    if ask.nonce is None:
        return
    most = MOST_NONCE_BYTES.get(ask.door)
    if most and not _carries(ask.nonce, most, _bytes):
        raise Invalid("nonce", f"at most {most} bytes, without control characters.")
    if not most and not _carries(ask.nonce, MOST_NONCE_CHARACTERS, len):
        raise Invalid("nonce", f"at most {MOST_NONCE_CHARACTERS} printable characters.")


def _lifetime(user: User, ask: Ask) -> timedelta:
    """Return for how long a session of this intent may last."""
    if ask.intent is Intent.MANAGE:
        return MANAGE_FOR
    enrolls = ask.intent is Intent.ENROLL or ask.force_enroll or user.enrollment_open
    return ENROLL_FOR if enrolls else VERIFY_FOR


def _check_room(tx: Session, user: User, offered: set[str]) -> None:
    """Refuse to add one more authenticator to too many (each makes a guess likelier)."""
    if len(live(tx, user, offered)) >= MOST_PER_USER:
        raise Refusal(
            "too_many_authenticators",
            f"The user has {MOST_PER_USER} authenticators. Remove one first.",
        )


def _carries(value: str, most: int, size: Callable[[str], int]) -> bool:
    """Tell whether a value survives every way back (browsers rewrite line breaks in forms)."""
    return size(value) <= most and not any(ord(mark) < 32 or ord(mark) == 127 for mark in value)


def _bytes(value: str) -> int:
    return len(value.encode())
