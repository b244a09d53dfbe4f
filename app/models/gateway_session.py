"""Gateway session: an application's ask about one user, and its lifetime here."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, and_
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base
from app.models.application import Application, Door
from app.models.organization import Organization
from app.models.types import name_of
from app.models.user import User


class SessionStatus(StrEnum):
    """How an ask stands; all but the first are final."""

    PENDING = "pending"
    VERIFIED = "verified"
    ENROLLED = "enrolled"
    SKIPPED = "skipped"
    """A policy let the user go on, and nothing was confirmed."""
    TRUSTED = "trusted"
    """The browser is one that the user trusts, and nothing was confirmed."""
    UNMET = "unmet"
    """Nothing that the user may use reaches what the application asked as its minimum."""
    CANCELLED = "cancelled"
    FAILED = "failed"
    EXPIRED = "expired"


class Intent(StrEnum):
    """What the application wants of the visit."""

    VERIFY = "verify"
    ENROLL = "enroll"
    MANAGE = "manage"
    """The user looks after their own methods."""


class Errand(StrEnum):
    """What the user is about on their own page; without one they look at it."""

    ADD = "add"
    """A method is to be added, in place of another one or beside the rest."""
    SAVE_CODES = "save_codes"
    """New recovery codes were made, and the user has not saved them yet."""


class ResponseMode(StrEnum):
    """How the answer travels back (named as in OAuth 2.0)."""

    QUERY = "query"
    FORM_POST = "form_post"


class ResponseType(StrEnum):
    """What the browser brings back to the application."""

    RESULT = "result"
    """The signed result itself."""
    CODE = "code"
    """An authorization code, which the application exchanges for the result."""


class GatewaySession(Base):
    """One ask; whatever door opened it, it ends in at most one result."""

    __tablename__ = "gateway_sessions"

    id: Mapped[str] = mapped_column(primary_key=True)
    """`gateway-session_<KSUID>`."""
    user_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    application_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("applications.id", ondelete="CASCADE"), index=True
    )
    redirect_uri: Mapped[str]
    response_mode: Mapped[ResponseMode] = mapped_column(name_of(ResponseMode))
    response_type: Mapped[ResponseType] = mapped_column(
        name_of(ResponseType), default=ResponseType.RESULT
    )
    intent: Mapped[Intent] = mapped_column(name_of(Intent))
    force_enroll: Mapped[bool] = mapped_column(default=False)
    """Whether an API key vouches that a human looked: the user enrolls anew, without verifying."""
    acr_values: Mapped[list[str]] = mapped_column(default=list)
    """Any of these classes, or one above it, has to be reached; none means that any will do."""
    max_age: Mapped[int | None]
    """Seconds since which this browser may have confirmed the user for this application."""
    door: Mapped[Door] = mapped_column(name_of(Door), default=Door.REST)
    """Through which it was asked, in whose words it is answered."""
    asked: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What else that door needs for its answer, as it was asked."""
    subject_authenticated: Mapped[bool] = mapped_column(default=True)
    """Whether it is sure that the application named the user, and not whoever holds the browser:
    without that nobody enrolls, and nothing is sent."""
    state: Mapped[str | None]
    nonce: Mapped[str | None]
    locale: Mapped[str | None]
    status: Mapped[SessionStatus] = mapped_column(name_of(SessionStatus))
    token_hash: Mapped[str]
    """Of the token in the address that the application got."""
    browser_hash: Mapped[str | None]
    """Of the secret in the cookie of the browser that came first; none other may go on."""
    errand: Mapped[Errand | None] = mapped_column(name_of(Errand))
    """What the user is about, where the intent is to manage."""
    replaces: Mapped[uuid.UUID | None]
    """The authenticator that goes as soon as the one that is being added is confirmed; no key, as
    each names the other."""
    losses_told: Mapped[bool] = mapped_column(default=False)
    """Whether the user, who used a recovery code here, has said which passkeys are lost, too."""
    judged: Mapped[int] = mapped_column(default=0)
    """Answers judged so far, right or wrong."""
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="raise_on_sql")
    application: Mapped[Application] = relationship(lazy="raise_on_sql")

    def status_at(self, now: datetime) -> SessionStatus:
        """Return the status, told as `expired` once the time of a pending one is over."""
        if self.status is SessionStatus.PENDING and now >= self.expires_at:
            return SessionStatus.EXPIRED
        return self.status

    @property
    def steps_up(self) -> bool:
        """Whether the application wants more than the organization's policy may come to."""
        return bool(self.acr_values) or self.max_age is not None

    @property
    def spares_nobody(self) -> bool:
        """Whether no policy lets its user go on with nothing confirmed."""
        return self.door in SPARE_NOBODY

    @property
    def counts_replacement(self) -> bool:
        """Whether, after a recovery code, what is set up in its place is what counts."""
        return self.door is Door.ENTRA

    @property
    def bars_recovery(self) -> bool:
        """Whether a recovery code leads nowhere: it reaches no class that an application asks."""
        return bool(self.acr_values) and not self.counts_replacement

    def takes(self, kind: str) -> bool:
        """Tell whether it may be confirmed by this factor, or by codes that come this way.

        Its door may have asked for some of what the application takes.
        """
        asked = self.asked.get(METHODS_ASKED)
        return self.application.takes(kind) and (asked is None or kind in asked)

    @classmethod
    def found(cls) -> ColumnElement[bool]:
        """Select by this: with its organization or its application it is gone for every door."""
        organization = User.organization.has(Organization.deleted_at.is_(None))
        return and_(
            cls.application.has(Application.deleted_at.is_(None)), cls.user.has(organization)
        )

    @property
    def short_id(self) -> str:
        """The KSUID alone, as it stands in the address of a page."""
        return self.id.removeprefix(ID_PREFIX)


SPARE_NOBODY = frozenset({Door.DUO, Door.ENTRA})
"""Who gets the answer of these doors takes it for a confirmed user, however it came about."""

ID_PREFIX = "gateway-session_"
METHODS_ASKED = "methods"
"""In `asked`: kinds and channels of which one has to be used; without it all do."""
