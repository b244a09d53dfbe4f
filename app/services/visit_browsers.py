"""Browsers that came before: what they spare their user, and what they are known by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault, new_token
from app.db import touched_one
from app.factors import trusted_browser
from app.models import (
    CUSTOMERS,
    Door,
    GatewaySession,
    Intent,
    Purpose,
    Result,
    SessionStatus,
    Verification,
)
from app.services.assurance import satisfies
from app.services.audit import Actor, Audit, EventKind
from app.services.gateway_sessions import GatewaySessions
from app.services.limits import Answering, Limits
from app.services.means import Means
from app.services.tokens import assurance_of
from app.services.trust_rules import TrustRules
from app.services.trusted_browsers import TrustedBrowsers
from app.services.verification import Verifications
from app.services.visits import Step, Visits

RECALLED_FOR = timedelta(hours=12)
"""So long at most a verification answers a `max_age`, however much older the application allows."""
_MARK = "browser of a verification"


@dataclass(frozen=True, kw_only=True)
class Cookies:
    """What a browser brings.

    Attributes:
        trust: the secret of its trust.
        mark: the secret of what it confirmed last for the application.
    """

    trust: str = field(default="", repr=False)
    mark: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """A browser that is trusted from now on, and the secret for its cookie."""

    until: datetime
    secret: str = field(repr=False)


class VisitBrowsers:
    """Lets a browser that is trusted, or confirmed a moment ago, go straight back."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        rules: TrustRules,
        trusted_browsers: TrustedBrowsers,
        means: Means,
        limits: Limits,
        verifications: Verifications,
        visits: Visits,
        gateway_sessions: GatewaySessions,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._rules = rules
        self._trusted_browsers = trusted_browsers
        self._means = means
        self._limits = limits
        self._verifications = verifications
        self._visits = visits
        self._gateway_sessions = gateway_sessions
        self._audit = audit

    def pass_on(self, tx: Session, actor: Actor, session: GatewaySession, cookies: Cookies) -> bool:
        """End a visit as soon as it begins, if its browser spares the user a challenge.

        Nothing is spared to somebody who has nothing to confirm with, comes to enroll, or is
        locked after too many wrong codes.
        """
        if not self._is_plain(session) or self._visits.step(tx, session) is not Step.VERIFY:
            return False
        if self._limits.spent(session.user, Answering(), now=self._clock.now()):
            return False
        if session.max_age:
            return self._recall(tx, actor, session, cookies.mark)
        if session.steps_up:
            return False
        return self._go_on_trusted(tx, actor, session, cookies.trust)

    def end_silently(self, tx: Session, actor: Actor, session: GatewaySession) -> bool:
        """End a visit that may show no page, if its browser spares the user nothing.

        The application is told whether the user only has to confirm, or more.
        """
        if not session.asked.get("silent"):
            return False
        confirms = self._visits.step(tx, session) is Step.VERIFY
        ended = "login_required" if confirms else "interaction_required"
        session.asked = {**session.asked, "ended": ended}
        self._gateway_sessions.cancel(tx, actor, session)
        return True

    def days(self, tx: Session, session: GatewaySession) -> int:
        """Return for how many days the user may trust the browser of a visit; 0 means not at all.

        Only where an application vouches for the user, and only when confirming; not where no
        browser is ever spared.
        """
        if not self._is_plain(session) or session.door is Door.ENTRA:
            return 0
        return self._rules.days(tx, session.user.organization_id, session.application_id)

    def trust(
        self, tx: Session, actor: Actor, session: GatewaySession, cookies: Cookies
    ) -> Trusted | None:
        """Trust the browser of a visit that has just confirmed its user; None if it may not be."""
        confirmed = self._verifications.accepted(tx, session, Purpose.VERIFICATION)
        days = self.days(tx, session)
        if not days or confirmed is None or session.status is not SessionStatus.VERIFIED:
            return None
        row, secret = self._trusted_browsers.trust(
            tx, actor, session, kind=confirmed.kind, days=days, secret=cookies.trust
        )
        return Trusted(until=row.expires_at, secret=secret)

    def mark(self, tx: Session, session: GatewaySession) -> str | None:
        """Mark the browser that has just confirmed a user; return the secret for its cookie.

        None if nothing was confirmed here, by what the user had before and has still, or the
        browser was marked for it before.
        """
        if session.status is not SessionStatus.VERIFIED:
            return None
        recovered = self._verifications.accepted(tx, session, Purpose.RECOVERY)
        if recovered or not self._is_vouched(session):
            return None
        of_result = sa.select(Result.verification_id).where(Result.gateway_session_id == session.id)
        secret = new_token()
        mark = sa.update(Verification).where(
            Verification.id == of_result.scalar_subquery(),
            Verification.purpose == Purpose.VERIFICATION,
            Verification.authenticator_id.is_not(None),
            Verification.browser_hash.is_(None),
        )
        marked = touched_one(tx, mark.values(browser_hash=self._vault.hash(secret, purpose=_MARK)))
        return secret if marked else None

    def forget(
        self, tx: Session, actor: Actor, *, trusts: Sequence[str], marks: Sequence[str]
    ) -> None:
        """Forget a browser: nothing is spared in it any more to whom these secrets stand for."""
        self._trusted_browsers.forget(tx, actor, trusts)
        hashes = [one for mark in marks for one in self._vault.hashes(mark, purpose=_MARK)]
        marked = sa.update(Verification).where(Verification.browser_hash.in_(hashes))
        unmark = marked.values(browser_hash=None)
        tx.execute(unmark, execution_options={"synchronize_session": False})

    def _go_on_trusted(
        self, tx: Session, actor: Actor, session: GatewaySession, secret: str
    ) -> bool:
        row = self._trusted_browsers.known(tx, session, secret)
        if row is None or not self._trusted_browsers.use(tx, actor, session, row):
            return False
        passed = self._record(session, Purpose.TRUST, trusted_browser.KIND, row.created_at)
        tx.add(passed)
        tx.flush()
        self._gateway_sessions.complete(tx, actor, session, passed)
        return True

    def _recall(self, tx: Session, actor: Actor, session: GatewaySession, secret: str) -> bool:
        """Let what this browser confirmed a moment ago, for this application, count once more."""
        found = self._marked(tx, session, secret)
        if found is None or not session.takes(found.kind):
            return False
        if not satisfies(assurance_of(session, found).acr, session.acr_values):
            return False
        recalled = self._record(session, Purpose.RECALL, found.kind, found.at)
        recalled.authenticator_id = found.authenticator_id
        recalled.user_verified, recalled.key = found.user_verified, found.key
        tx.add(recalled)
        tx.flush()
        self._audit.record(
            tx,
            EventKind.VERIFICATION_RECALLED,
            actor,
            user=session.user,
            gateway_session=session,
            kind=found.kind,
        )
        self._gateway_sessions.complete(tx, actor, session, recalled)
        return True

    def _marked(self, tx: Session, session: GatewaySession, secret: str) -> Verification | None:
        """Return what a browser confirmed, by something that could confirm it now as well."""
        age = min(timedelta(seconds=session.max_age or 0), RECALLED_FOR)
        usable = [one.id for one in self._means.choices(tx, session)]
        found = sa.select(Verification).where(
            Verification.browser_hash.in_(self._vault.hashes(secret, purpose=_MARK)),
            Verification.user_id == session.user_id,
            Verification.application_id == session.application_id,
            Verification.purpose == Purpose.VERIFICATION,
            Verification.accepted,
            Verification.authenticator_id.in_(usable),
            Verification.at >= self._clock.now() - age,
        )
        return tx.scalar(found.order_by(Verification.at.desc()).limit(1)) if secret else None

    def _record(
        self, session: GatewaySession, purpose: Purpose, kind: str, confirmed_at: datetime
    ) -> Verification:
        now = self._clock.now()
        return Verification(
            user_id=session.user_id,
            organization_id=session.user.organization_id,
            gateway_session_id=session.id,
            application_id=session.application_id,
            kind=kind,
            purpose=purpose,
            accepted=True,
            confirmed_at=confirmed_at,
            took_ms=int((now - session.created_at).total_seconds() * 1000),
            at=now,
        )

    def _is_plain(self, session: GatewaySession) -> bool:
        """Tell whether an application asks for no more than that its user confirms."""
        enrolls = session.intent is not Intent.VERIFY or session.force_enroll
        return not enrolls and self._is_vouched(session)

    def _is_vouched(self, session: GatewaySession) -> bool:
        """Tell whether an application of a customer sent the user, and nobody who tries it, or
        who wrote the user's name into an address."""
        if not session.subject_authenticated:
            return False
        customers = session.user.organization.environment in CUSTOMERS
        sessions = self._gateway_sessions
        return customers and not sessions.is_own(session) and not sessions.is_trial(session)
