"""Visits: what a browser that is bound to a gateway session may do next, and what comes of it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import lock
from app.factors import FACTORS, MESSAGE_CODES, PASSKEY
from app.factors.base import Prompt, Reason, Refused
from app.models import (
    Authenticator,
    Environment,
    Errand,
    GatewaySession,
    Intent,
    Purpose,
    SessionStatus,
    Verification,
)
from app.services.assurance import satisfies
from app.services.audit import Actor
from app.services.authenticators import Authenticators
from app.services.enrollment import VOUCHED_FOR, Enrollment, Ground
from app.services.gateway_sessions import GatewaySessions
from app.services.limits import Answering, Limits, Spent
from app.services.magic_links import MagicLinks
from app.services.means import Means
from app.services.method_settings import MethodSettings
from app.services.passkeys import Passkeys
from app.services.recovery import Recovery
from app.services.standing import is_frozen, is_suspended
from app.services.tokens import assurance_of
from app.services.verification import Occasion, Verifications, live


class Step(StrEnum):
    """What the user has to do next; each is one page."""

    SET_UP = "set_up"
    ENROLL = "enroll"
    SAVE_CODES = "save_codes"
    VERIFY = "verify"
    TELL_LOSSES = "tell_losses"
    """A recovery code was used, and the user has passkeys, which may be lost or not."""
    MANAGE = "manage"
    """The user confirmed lately, and looks after their own methods."""
    OPEN_LINK = "open_link"
    """A magic link completes the session, or the short code that it tells in another browser."""
    DUE = "due"
    """A recovery code was used, and no new authenticator followed."""
    BLOCKED = "blocked"
    """Nothing leads on here, or an administrator suspended the user."""
    UNMET = "unmet"
    """The user has nothing, and may set up nothing, that reaches what the application asked."""
    ENDED = "ended"


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """A first code was right.

    Attributes:
        sealed_codes: recovery codes, for the page that shows them (see `shown_codes`); None when
            an authenticator was added to others.
    """

    sealed_codes: str | None = field(repr=False)


class Visits:
    """Walks a user through a gateway session, one step at a time, whatever the browser asks for."""

    def __init__(
        self,
        clock: Clock,
        method_settings: MethodSettings,
        gateway_sessions: GatewaySessions,
        magic_links: MagicLinks,
        means: Means,
        enrollment: Enrollment,
        verifications: Verifications,
        recovery: Recovery,
        authenticators: Authenticators,
        passkeys: Passkeys,
        limits: Limits,
    ) -> None:
        self._clock = clock
        self._method_settings = method_settings
        self._gateway_sessions = gateway_sessions
        self._magic_links = magic_links
        self._means = means
        self._enrollment = enrollment
        self._verifications = verifications
        self._recovery = recovery
        self._authenticators = authenticators
        self._passkeys = passkeys
        self._limits = limits

    def step(self, tx: Session, session: GatewaySession) -> Step:
        """Return what the user has to do next, from what the database says now."""
        if self._gateway_sessions.status(session) is not SessionStatus.PENDING:
            return Step.ENDED
        if is_suspended(session.user) or self._is_stopped(session):
            return Step.BLOCKED
        if self._magic_links.of(tx, session):
            return Step.OPEN_LINK
        return self._after_proof(tx, session) or self._proving(tx, session)

    def _is_stopped(self, session: GatewaySession) -> bool:
        """Tell whether the user came to change something, and stopped all changes."""
        return is_frozen(session.user) and session.intent is not Intent.VERIFY

    def proof(self, tx: Session, session: GatewaySession) -> Verification | None:
        """Return what the user confirmed with in this session, as long as it lets them manage.

        Whoever had nothing to confirm with has just set something up, or replaced what was lost.
        """
        accepted, since = self._verifications.accepted, self._clock.now() - VOUCHED_FOR
        if accepted(tx, session, Purpose.VERIFICATION):
            return accepted(tx, session, Purpose.VERIFICATION, since=since)
        return accepted(tx, session, Purpose.ENROLLMENT, since=since)

    def _after_proof(self, tx: Session, session: GatewaySession) -> Step | None:
        """Return what follows where the user has confirmed, or set something up."""
        if session.intent is not Intent.MANAGE:
            enrolled = self._verifications.accepted(tx, session, Purpose.ENROLLMENT)
            return Step.SAVE_CODES if enrolled else None
        if self.proof(tx, session) is None:
            return None
        if session.errand is Errand.SAVE_CODES:
            return Step.SAVE_CODES
        if session.errand is Errand.ADD and self._means.kinds(tx, session):
            return self._enrolling(tx, session, Ground.VOUCHED)
        return Step.MANAGE

    def _proving(self, tx: Session, session: GatewaySession) -> Step:
        ground = self._ground(tx, session)
        if ground and self._means.kinds(tx, session):
            return self._enrolling(tx, session, ground)
        if self.choices(tx, session):
            return Step.VERIFY
        return self._dead_end(tx, session, ground)

    def _dead_end(self, tx: Session, session: GatewaySession, ground: Ground | None) -> Step:
        """Tell why nothing leads on."""
        hosted = self._means.hosted(tx, session)
        due = hosted and self._enrollment.is_due(tx, session.user)
        if session.acr_values or (ground and hosted):
            return Step.DUE if due and session.counts_replacement else Step.UNMET
        return Step.DUE if due else Step.BLOCKED

    def _enrolling(self, tx: Session, session: GatewaySession, ground: Ground) -> Step:
        if ground is Ground.RECOVERED and self._may_have_lost(tx, session):
            return Step.TELL_LOSSES
        return Step.ENROLL if self.pending(tx, session) else Step.SET_UP

    def set_up(
        self, tx: Session, actor: Actor, session: GatewaySession, kind: str
    ) -> Authenticator | None:
        """Begin an authenticator, if that is what comes next and the organization offers it.

        Args:
            kind: one that is proved by what the user's device holds; codes that are sent are begun
                by `VisitCodes`.
        """
        if self.step(tx, session) not in {Step.SET_UP, Step.ENROLL} or kind in MESSAGE_CODES:
            return None
        if kind not in self._means.kinds(tx, session):
            return None
        return self._enrollment.begin(tx, actor, session.user, kind, session=session)

    def pending(self, tx: Session, session: GatewaySession) -> Authenticator | None:
        """Return what this session began and has not confirmed yet, while it is offered."""
        pending = self._enrollment.pending(tx, session.user, session)
        return pending if pending and pending.kind in self._means.kinds(tx, session) else None

    def prompt(self, tx: Session, session: GatewaySession, pending: Authenticator) -> Prompt:
        """Return what the user needs to add it to a device."""
        return self._enrollment.prompt(tx, pending, session.user)

    def codes_follow(self, tx: Session, session: GatewaySession, pending: Authenticator) -> bool:
        """Tell whether recovery codes come with what is being set up.

        They come with whatever is the first, and with the first that is no message to somebody
        who never got any.
        """
        ground = self._ground(tx, session)
        if ground is not Ground.VOUCHED:
            return ground is not None and ground.issues_codes
        if pending.kind in MESSAGE_CODES or self._recovery.has_any(tx, session.user):
            return False
        return not live(tx, session.user, {*FACTORS} - {*MESSAGE_CODES})

    def confirm(
        self, tx: Session, actor: Actor, session: GatewaySession, answer: str
    ) -> Confirmed | Refused:
        """Judge the first code of the authenticator that this session began."""
        pending, ground = self.pending(tx, session), self._ground(tx, session)
        if self.step(tx, session) is not Step.ENROLL or pending is None or ground is None:
            return Refused(reason=Reason.EXPIRED)
        codes_follow = self.codes_follow(tx, session, pending)
        verdict = self._enrollment.confirm(
            tx,
            actor,
            session.user,
            pending,
            answer,
            ground=ground,
            occasion=Occasion(session=session),
        )
        if isinstance(verdict, Refused):
            return verdict
        if session.intent is Intent.MANAGE:
            self._end_adding(tx, actor, session)
        if codes_follow:
            return Confirmed(sealed_codes=self.new_codes(tx, actor, session))
        if session.intent is not Intent.MANAGE:
            self._gateway_sessions.complete(tx, actor, session, verdict)
        return Confirmed(sealed_codes=None)

    def reissue_codes(self, tx: Session, actor: Actor, session: GatewaySession) -> str | None:
        """Replace codes that this visit made and the user has not saved; None at any other time."""
        if self.step(tx, session) is not Step.SAVE_CODES:
            return None
        return self.new_codes(tx, actor, session)

    def shown_codes(self, tx: Session, session: GatewaySession, sealed: str) -> list[str] | None:
        """Return the codes that the browser brings back sealed, until the user has saved them."""
        if self.step(tx, session) is not Step.SAVE_CODES:
            return None
        return self._recovery.opened(tx, session, sealed)

    def codes_saved(self, tx: Session, actor: Actor, session: GatewaySession) -> bool:
        """Go on once the user says that the codes are saved; a session that only enrolls ends."""
        lock(tx, GatewaySession.id, session.id)
        tx.refresh(session, ["status", "errand"])
        if self.step(tx, session) is not Step.SAVE_CODES:
            return False
        if session.intent is Intent.MANAGE:
            session.errand = None
            return True
        confirmed = self._verifications.accepted(tx, session, Purpose.ENROLLMENT)
        if confirmed is None:
            return False
        self._gateway_sessions.complete(tx, actor, session, confirmed)
        return True

    def choices(self, tx: Session, session: GatewaySession) -> list[Authenticator]:
        """Return the authenticators that the user may verify with, last used first.

        Of several passkeys one stands for all: the browser lets the user choose.
        """
        found = self._means.choices(tx, session)
        passkeys = [one for one in found if one.kind == PASSKEY.kind]
        return [one for one in found if one not in passkeys[1:]]

    def chosen(
        self, tx: Session, session: GatewaySession, authenticator_id: uuid.UUID | None
    ) -> Authenticator | None:
        """Return the authenticator to verify with: the named one, or the best of the user's.

        The best is the last used of those that are not locked now.
        """
        choices = self.choices(tx, session)
        if authenticator_id is not None:
            return next((one for one in choices if one.id == authenticator_id), None)
        now = self._clock.now()
        open_ones = [one for one in choices if not self._spent(session, one, now)]
        return next(iter(open_ones or choices), None)

    def retry_at(self, tx: Session, session: GatewaySession) -> datetime | None:
        """Return when the user's next code is judged, if all that the user has must wait."""
        choices, now = self.choices(tx, session), self._clock.now()
        waits = [spent for one in choices if (spent := self._spent(session, one, now))]
        moments = [spent.retry_at for spent in waits if spent.retry_at]
        return min(moments) if moments and len(waits) == len(choices) else None

    def waiting(self, session: GatewaySession, authenticator: Authenticator) -> Refused | None:
        """Tell if no answer for this authenticator is judged now, and until when."""
        spent = self._spent(session, authenticator, self._clock.now())
        return Refused(reason=Reason.LOCKED, retry_at=spent.retry_at) if spent else None

    def verify(
        self,
        tx: Session,
        actor: Actor,
        session: GatewaySession,
        authenticator: Authenticator,
        answer: str,
    ) -> Verification | Refused:
        """Judge a code of an authenticator that the user has."""
        if self.step(tx, session) is not Step.VERIFY:
            return Refused(reason=Reason.EXPIRED)
        verdict = self._verifications.attempt(
            tx,
            actor,
            session.user,
            self._passkeys.mine(tx, session.user)
            if authenticator.kind == PASSKEY.kind
            else [authenticator],
            answer,
            purpose=Purpose.VERIFICATION,
            occasion=Occasion(session=session),
        )
        if isinstance(verdict, Refused):
            return verdict
        return self.conclude(tx, actor, session, verdict)

    def conclude(
        self, tx: Session, actor: Actor, session: GatewaySession, verification: Verification
    ) -> Verification | Refused:
        """End a visit that only asks to verify, if what was verified reaches what it asks."""
        if session.intent is not Intent.VERIFY:
            return verification
        if satisfies(assurance_of(session, verification).acr, session.acr_values):
            self._gateway_sessions.complete(tx, actor, session, verification)
            return verification
        if self._means.leads_to_more(tx, session):
            return verification
        return Refused(reason=Reason.TOO_WEAK)

    def repeats(self, tx: Session, session: GatewaySession, answer: str) -> bool:
        """Tell whether an answer is the one that ended this session well (a double tap)."""
        return self._verifications.completed_by(tx, session, answer)

    def _may_have_lost(self, tx: Session, session: GatewaySession) -> bool:
        return not session.losses_told and bool(self._passkeys.mine(tx, session.user))

    def _spent(
        self, session: GatewaySession, authenticator: Authenticator, now: datetime
    ) -> Spent | None:
        answering = Answering(authenticators=(authenticator,))
        return self._limits.spent(session.user, answering, session=session, now=now)

    def _end_adding(self, tx: Session, actor: Actor, session: GatewaySession) -> None:
        """Come back to the user's own page; what was to be replaced goes."""
        user, old = session.user, session.replaces
        session.errand, session.replaces = None, None
        theirs = live(tx, user, {*FACTORS}) if old else []
        for one in (each for each in theirs if each.id == old):
            self._authenticators.remove(tx, actor, user.organization, user, one, reopen=False)

    def new_codes(self, tx: Session, actor: Actor, session: GatewaySession) -> str:
        """Make recovery codes in place of the user's; return them sealed (see `shown_codes`)."""
        if session.intent is Intent.MANAGE:
            session.errand = Errand.SAVE_CODES
        codes = self._recovery.issue(tx, actor, session.user, session=session)
        return self._recovery.sealed(session, codes)

    def _ground(self, tx: Session, session: GatewaySession) -> Ground | None:
        """Tell on what ground the user may add an authenticator in this session, if on any."""
        if not session.subject_authenticated:
            return None
        ground = self._enrollment.ground(
            tx, session.user, session=session, forced=session.force_enroll
        )
        if session.intent is Intent.MANAGE:
            return self._ground_to_manage(tx, session, ground)
        if ground is Ground.VOUCHED and session.intent is Intent.VERIFY:
            return ground if self._means.leads_to_more(tx, session) else None
        if ground and ground.takes_word and self._gateway_sessions.is_trial(session):
            # Nobody knows that it is the user; only in the sandbox nobody is harmed by that.
            sandbox = session.user.organization.environment is Environment.SANDBOX
            return ground if sandbox else None
        return ground

    def _ground_to_manage(
        self, tx: Session, session: GatewaySession, ground: Ground | None
    ) -> Ground | None:
        """Return the ground in a session that goes on after something was set up in it."""
        if self.proof(tx, session):
            return Ground.VOUCHED
        recovered = self._verifications.accepted(tx, session, Purpose.RECOVERY)
        enrolled = self._verifications.accepted(tx, session, Purpose.ENROLLMENT)
        if enrolled and (recovered is None or recovered.spent_at):
            return None  # the recovery code is done with; what there is now confirms the user
        return ground
