"""The user's own page: what they confirm with, and what they may do about it themselves.

All of it in a gateway session of their own, and only for some minutes after they confirmed in it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.db import lock
from app.factors import FACTORS, MESSAGE_CODES
from app.models import (
    Authenticator,
    Errand,
    Event,
    GatewaySession,
    Intent,
    User,
)
from app.services.account_activity import CodesLeft, codes_left, newest
from app.services.audit import Actor, Audit, EventKind
from app.services.authenticators import Authenticators
from app.services.delivery import Delivery
from app.services.enrollment import MOST_PER_USER, Enrollment
from app.services.gateway_sessions import GatewaySessions
from app.services.policies import Policies
from app.services.recovery import Recovery
from app.services.trusted_browsers import TrustedBrowsers
from app.services.verification import live
from app.services.visits import Step, Visits

LONGEST_NAME = 60


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What it means to remove an authenticator.

    Attributes:
        is_last: whether nothing is left to confirm with.
        is_demanded: whether a policy demands one, so that the last can't go.
        leaves_messages: whether only codes by message are left, which are weaker.
    """

    is_last: bool
    is_demanded: bool
    leaves_messages: bool

    @property
    def is_allowed(self) -> bool:
        """Whether it may be removed."""
        return not (self.is_last and self.is_demanded)


class Account:
    """Shows it, and changes what the user asks for; each change is told at once."""

    def __init__(
        self,
        policies: Policies,
        gateway_sessions: GatewaySessions,
        enrollment: Enrollment,
        recovery: Recovery,
        authenticators: Authenticators,
        trusted_browsers: TrustedBrowsers,
        visits: Visits,
        delivery: Delivery,
        audit: Audit,
    ) -> None:
        self._policies = policies
        self._gateway_sessions = gateway_sessions
        self._enrollment = enrollment
        self._recovery = recovery
        self._authenticators = authenticators
        self._trusted_browsers = trusted_browsers
        self._visits = visits
        self._delivery = delivery
        self._audit = audit

    # What is there

    def methods(self, tx: Session, session: GatewaySession) -> list[Authenticator]:
        """Return what the user can confirm with, last used first."""
        return live(tx, session.user, {*FACTORS})

    def find(
        self, tx: Session, session: GatewaySession, authenticator_id: uuid.UUID
    ) -> Authenticator | None:
        """Return one of them; None if the user has none with this id, whoever else has."""
        mine = self.methods(tx, session)
        return next((one for one in mine if one.id == authenticator_id), None)

    def has_room(self, tx: Session, session: GatewaySession) -> bool:
        """Tell whether the user may add one more."""
        return len(self.methods(tx, session)) < MOST_PER_USER

    def loss(self, tx: Session, session: GatewaySession, one: Authenticator) -> Loss:
        """Return what it means to remove one."""
        kinds = {other.kind for other in self.methods(tx, session) if other.id != one.id}
        return Loss(
            is_last=not kinds,
            is_demanded=self._policies.demands(tx, session.user, session.application_id),
            leaves_messages=bool(kinds)
            and one.kind not in MESSAGE_CODES
            and kinds <= {*MESSAGE_CODES},
        )

    def codes(self, tx: Session, session: GatewaySession) -> CodesLeft:
        """Return how many recovery codes the user has left."""
        return codes_left(tx, session.user)

    def activity(
        self, tx: Session, session: GatewaySession
    ) -> tuple[Sequence[Event], Mapping[uuid.UUID, str]]:
        """Return what happened to the user lately; see `newest`."""
        return newest(tx, session.user)

    def is_open(self, tx: Session, session: GatewaySession) -> bool:
        """Tell whether the user may look and change now, whatever the browser asks for.

        Setting up one more may be left for anything else.
        """
        if session.intent is not Intent.MANAGE or self._visits.proof(tx, session) is None:
            return False
        return self._visits.step(tx, session) in {Step.MANAGE, Step.SET_UP, Step.ENROLL}

    # What the user does about it

    def begin_adding(self, tx: Session, session: GatewaySession) -> bool:
        """Go to the pages that set up one more; tell whether that may be."""
        if not self._turns(tx, session) or not self.has_room(tx, session):
            return False
        session.errand = Errand.ADD
        return True

    def begin_replacing(
        self, tx: Session, session: GatewaySession, authenticator_id: uuid.UUID
    ) -> bool:
        """Go to those pages for one that another goes for, the moment it is confirmed."""
        one = self.find(tx, session, authenticator_id)
        if not self._turns(tx, session) or one is None:
            return False
        session.errand, session.replaces = Errand.ADD, one.id
        return True

    def give_up(self, tx: Session, session: GatewaySession) -> None:
        """Come back without having added anything."""
        if session.errand is Errand.ADD:
            session.errand, session.replaces = None, None
            self._enrollment.give_up(tx, session.user, session)

    def rename(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        authenticator_id: uuid.UUID,
        name: str,
    ) -> bool:
        """Call an authenticator something; tell whether it is there.

        Args:
            name: as `good_name` has it.
        """
        one = self.find(tx, session, authenticator_id)
        if not self._turns(tx, session) or one is None:
            return False
        if one.name == name:
            return True
        one.name = name
        self._audit.record(
            tx,
            EventKind.AUTHENTICATOR_RENAMED,
            actor,
            user=session.user,
            gateway_session=session,
            kind=one.kind,
            authenticator=str(one.id),
            name=name,
        )
        self._tell(tx, actor, session, "authenticator_renamed", called=name)
        return True

    def remove(
        self, tx: Session, actor: Actor, session: GatewaySession, authenticator_id: uuid.UUID
    ) -> bool:
        """Remove an authenticator, unless it is the last and a policy demands one.

        With the last one nothing is left to manage, so the session ends well; the user may set up
        anew whenever they come.

        Returns:
            Whether it was removed.
        """
        user = session.user
        lock(tx, User.id, user.id)  # of two that go at once, one is the last
        one, proof = self.find(tx, session, authenticator_id), self._visits.proof(tx, session)
        if not self._turns(tx, session) or one is None or proof is None:
            return False
        loss = self.loss(tx, session, one)
        if not loss.is_allowed:
            return False
        if loss.is_last:
            self._gateway_sessions.complete(tx, actor, session, proof)
        self._authenticators.remove(tx, actor, user.organization, user, one, reopen=loss.is_last)
        return True

    def make_codes(self, tx: Session, actor: Actor, session: GatewaySession) -> str | None:
        """Make recovery codes in place of the user's; return them sealed for their page."""
        if not self._turns(tx, session):
            return None
        sealed = self._visits.new_codes(tx, actor, session)
        self._tell(tx, actor, session, "recovery_codes_made")
        return sealed

    def forget_browser(
        self, tx: Session, actor: Actor, session: GatewaySession, browser_id: uuid.UUID
    ) -> bool:
        """Trust one of the user's browsers no more; tell whether it was trusted."""
        theirs = {one.id for one in self._trusted_browsers.of(tx, session.user)}
        if browser_id not in theirs or not self._turns(tx, session):
            return False
        self._trusted_browsers.forget_one(tx, actor, session.user, browser_id)
        return True

    def forget_browsers(self, tx: Session, actor: Actor, session: GatewaySession) -> bool:
        """Trust none of the user's browsers any more; tell whether any was trusted."""
        if not self._turns(tx, session):
            return False
        return self._trusted_browsers.forget_all(tx, actor, session.user) > 0

    def finish(self, tx: Session, actor: Actor, session: GatewaySession) -> bool:
        """End the session well: its result says how the user confirmed in it."""
        proof = self._visits.proof(tx, session)
        if not self._turns(tx, session) or proof is None:
            return False
        self._gateway_sessions.complete(tx, actor, session, proof)
        return True

    def _turns(self, tx: Session, session: GatewaySession) -> bool:
        """Leave what was begun for something else; tell whether that may be."""
        if not self.is_open(tx, session):
            return False
        self.give_up(tx, session)
        return True

    def _tell(
        self, tx: Session, actor: Actor, session: GatewaySession, name: str, **facts: Any
    ) -> None:
        user = session.user
        self._delivery.notify(tx, actor, user.organization, user, name, **facts)


def good_name(text: str) -> str | None:
    """Return what an authenticator may be called; None if nothing may be called so."""
    name = " ".join(text.split(" ")).strip()
    return name if 1 <= len(name) <= LONGEST_NAME and name.isprintable() else None
