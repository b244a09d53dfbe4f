"""Magic link challenges: the ask for a magic link, and the exchange of what it brought back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from app.clock import Clock
from app.config import Config
from app.errors import Invalid, NotFound, Refusal
from app.factors import magic_link
from app.jose import Claims
from app.models import (
    Application,
    GatewaySession,
    MagicLink,
    Organization,
    ResponseType,
    User,
)
from app.services.applications import Applications
from app.services.audit import Actor, Audit, EventKind
from app.services.authorization_codes import AuthorizationCodes
from app.services.delivery import Delivery
from app.services.directory import Directory
from app.services.gateway_sessions import Ask, GatewaySessions
from app.services.limits import locked
from app.services.magic_links import MagicLinks
from app.services.provider_accounts import ProviderAccounts
from app.services.send_refusals import not_sent
from app.services.sending_limits import SendingLimits
from app.services.standing import demand_unsuspended
from app.services.tokens import Tokens, claims_of

LASTS = timedelta(minutes=10)


class Deliver(StrEnum):
    """Who carries a link to the user."""

    RETURN = "return"
    """The application, which gets it in the answer."""
    GATEWAY = "gateway"
    """We, by e-mail; nobody else gets it."""


@dataclass(frozen=True, kw_only=True)
class LinkAsk:
    """What an application asks.

    Attributes:
        email: the user's address.
        redirect_uri: where the browser goes at the end, to the letter.
        client_id: of the application; needed if several registered that address.
        state: up to 1,024 bytes, given back as it came.
    """

    email: str
    redirect_uri: str
    client_id: str | None = None
    state: str | None = None
    deliver: Deliver = Deliver.RETURN


@dataclass(frozen=True, kw_only=True)
class Made:
    """A new link.

    Attributes:
        address: the link itself, which is told only here; None if it was mailed.
        waiting_url: the session's own address, which binds the browser that asked.
    """

    link: MagicLink
    user: User
    address: str | None = field(repr=False)
    waiting_url: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Exchanged:
    """What an application gets for a code: the signed result, and what it says."""

    link: MagicLink
    user: User
    claims: Claims
    result: str = field(repr=False)


class MagicLinkChallenges:
    """Makes magic links for applications, and hands them the result of one that was followed."""

    def __init__(
        self,
        config: Config,
        directory: Directory,
        applications: Applications,
        gateway_sessions: GatewaySessions,
        magic_links: MagicLinks,
        delivery: Delivery,
        sending_limits: SendingLimits,
        clock: Clock,
        tokens: Tokens,
        authorization_codes: AuthorizationCodes,
        accounts: ProviderAccounts,
        audit: Audit,
    ) -> None:
        self._base_url = config.base_url
        self._directory = directory
        self._applications = applications
        self._gateway_sessions = gateway_sessions
        self._magic_links = magic_links
        self._delivery = delivery
        self._sending_limits = sending_limits
        self._clock = clock
        self._tokens = tokens
        self._authorization_codes = authorization_codes
        self._accounts = accounts
        self._audit = audit

    def create(self, tx: Session, actor: Actor, organization: Organization, ask: LinkAsk) -> Made:
        """Open a session, and make the link that completes it.

        Raises:
            Refusal: `user_not_found`, `application_not_found`, `redirect_uri_not_registered`,
                `channel_unavailable`, `locked`, `user_suspended`, `rate_limited` by what the
                organization allows of messages.
            Invalid: `client_id` is needed, or `state` can't be carried.
        """
        user = self._user(tx, organization, ask)
        demand_unsuspended(user)
        if self._magic_links.is_locked(user):
            raise locked(None)
        application = self._application(tx, organization, ask)
        self._refuse_unsendable(tx, organization, user, ask)
        wants = Ask(
            user=ask.email,
            redirect_uri=ask.redirect_uri,
            state=ask.state,
            response_type=ResponseType.CODE,
        )
        opened = self._gateway_sessions.open_for_link(
            tx, actor, application, user, wants, lasts=LASTS
        )
        link, token = self._magic_links.make(tx, opened.session)
        self._audit.record(
            tx,
            EventKind.MAGIC_LINK_CREATED,
            actor,
            organization_id=organization.id,
            gateway_session=opened.session,
            deliver=ask.deliver.value,
        )
        address = f"{self._base_url}/magic-link/{token}"
        if ask.deliver is Deliver.GATEWAY:
            self._mail(tx, actor, opened.session, address)
        return Made(
            link=link,
            user=user,
            address=address if ask.deliver is Deliver.RETURN else None,
            waiting_url=opened.url,
        )

    def exchange(
        self, tx: Session, actor: Actor, application: Application, code: str
    ) -> Exchanged | None:
        """Use up the code that the browser brought back, and the result with it.

        Returns:
            None if it is no code of this application, is too old, or was used before (returned,
            so that the record of a second use is kept).
        """
        session = self._authorization_codes.session_of(tx, application, code)
        link = self._magic_links.of(tx, session) if session else None
        if session is None or link is None:
            return None
        result = self._authorization_codes.exchange(tx, actor, session, code)
        if result is None:
            return None
        return Exchanged(
            link=link,
            user=session.user,
            claims=claims_of(result),
            result=self._tokens.signed(tx, result),
        )

    def _user(self, tx: Session, organization: Organization, ask: LinkAsk) -> User:
        if "@" in ask.email:  # the directory finds a user by id, too
            with contextlib.suppress(NotFound):
                return self._directory.find(tx, organization, ask.email)
        raise Refusal(
            "user_not_found",
            f"user_email: the organization {organization.domain} has no such user. Create it "
            "first, or check the address.",
        )

    def _application(self, tx: Session, organization: Organization, ask: LinkAsk) -> Application:
        if ask.client_id is not None:
            return self._named(tx, organization, ask.client_id)
        fitting = self._applications.answered_at(tx, organization, ask.redirect_uri)
        if len(fitting) > 1:
            raise Invalid(
                "client_id", "several applications registered this redirect_uri; name one."
            )
        if not fitting:
            raise Refusal(
                "redirect_uri_not_registered",
                "redirect_uri: no application that serves the organization "
                f"{organization.domain} registered it, compared letter by letter.",
            )
        return fitting[0]

    def _named(self, tx: Session, organization: Organization, client_id: str) -> Application:
        found = self._applications.find(tx, client_id)
        if found is None or not found.serves(organization):
            raise Refusal(
                "application_not_found",
                f"client_id: no such application serves the organization {organization.domain}.",
            )
        return found

    def _mail(self, tx: Session, actor: Actor, session: GatewaySession, address: str) -> None:
        self._delivery.notify(
            tx,
            actor,
            session.user.organization,
            session.user,
            magic_link.KIND,
            application=session.application.name,
            link=address,
            lasts=LASTS,
            minutes=int(LASTS.total_seconds()) // 60,
        )

    def _refuse_unsendable(
        self, tx: Session, organization: Organization, user: User, ask: LinkAsk
    ) -> None:
        """Charge a mail that we are to send, as any message to a user is."""
        if ask.deliver is not Deliver.GATEWAY:
            return
        if "email" not in self._accounts.carried(tx, organization):
            raise Refusal(
                "channel_unavailable",
                "deliver: nobody carries e-mail for the organization. Set up a provider or a mail "
                "server, or leave the field out, and mail the link of the answer yourself.",
            )
        if refused := self._sending_limits.charge(
            tx, None, organization, user, "email", user.email or "", now=self._clock.now()
        ):
            raise not_sent(refused)
