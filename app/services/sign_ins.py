"""Signing in to the admin area: the password here, the second factor on the hosted pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from app.clock import Clock
from app.db import Database, touched_one
from app.errors import NotFound, Refusal
from app.models import Administrator, AdministratorSession, Intent, User
from app.services import passwords
from app.services.administration import Administration
from app.services.administrator_events import AdministratorEvents
from app.services.administrator_sessions import AdministratorSessions, Admitted
from app.services.administrators import Administrators, administrator_actor
from app.services.audit import Actor, Audit, EventKind
from app.services.gateway_sessions import Ask, GatewaySessions
from app.services.password_guesses import PasswordGuesses, waiting_until

_WITH_USER = joinedload(Administrator.user).joinedload(User.organization)


@dataclass(frozen=True, kw_only=True)
class WrongPassword:
    """The address and the password don't belong together.

    Attributes:
        retry_at: when the next is judged, if not at once.
    """

    retry_at: datetime | None = None


class SignIns:
    """Admits administrators: a password, then what the hosted pages say."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        administration: Administration,
        administrators: Administrators,
        sessions: AdministratorSessions,
        gateway_sessions: GatewaySessions,
        events: AdministratorEvents,
        guesses: PasswordGuesses,
        audit: Audit,
    ) -> None:
        self._database = database
        self._clock = clock
        self._administration = administration
        self._administrators = administrators
        self._events = events
        self._sessions = sessions
        self._gateway_sessions = gateway_sessions
        self._guesses = guesses
        self._audit = audit

    # The password

    def check_password(
        self, peer: Actor, email: str, password: str, *, knows: Callable[[Administrator], bool]
    ) -> Administrator | WrongPassword:
        """Judge a password, once; charged before, in a transaction of its own.

        Hashing takes long on purpose, so it is done while no lock is held. An address that nobody
        has is charged, hashed for and written about as one that somebody has.

        Args:
            knows: whether this browser signed that administrator in before; strangers have another
                count.
        """
        with self._database.writing() as tx:
            administrator = self._administrators.named(tx, email)
            familiar = administrator is not None and knows(administrator)
            retry_at = self._charge(tx, email, administrator if familiar else None)
        kept = administrator.password_hash if administrator and retry_at is None else None
        right = passwords.matches(password, kept)
        with self._database.writing() as tx:
            if administrator is None:
                self._guesses.refuse(tx, email)
                return WrongPassword(retry_at=retry_at)
            found = tx.get_one(Administrator, administrator.id, options=[_WITH_USER])
            if right and found.password_hash == kept:
                self._forgive(tx, found, familiar)
                return found
            self._record_wrong(tx, peer, found, judged=retry_at is None)
            return WrongPassword(retry_at=retry_at)

    def _record_wrong(
        self, tx: Session, peer: Actor, administrator: Administrator, *, judged: bool
    ) -> None:
        """Record a wrong password; one that had to wait shows no organization anything new."""
        kind, told = EventKind.ADMINISTRATOR_PASSWORD_REFUSED, administrator.email
        if judged:
            self._events.record(tx, kind, peer, administrator, email=told, judged=True)
        else:
            self._audit.record(tx, kind, peer, user=administrator.user, email=told, judged=False)

    def _charge(self, tx: Session, email: str, familiar: Administrator | None) -> datetime | None:
        """Count a wrong password before it is judged; return until when none is, if so.

        Args:
            familiar: whose browser it is, if it signed in before.
        """
        if familiar is None:
            return self._guesses.charge(tx, email)
        count, until, now = (
            Administrator.known_failures,
            Administrator.known_retry_at,
            self._clock.now(),
        )
        charge = (
            sa.update(Administrator)
            .where(Administrator.id == familiar.id, sa.or_(until.is_(None), until <= now))
            .values({count: count + 1, until: waiting_until(count + 1, now)})
        )
        if touched_one(tx, charge):
            return None
        tx.refresh(familiar, ["known_retry_at"])
        return familiar.known_retry_at

    def _forgive(self, tx: Session, one: Administrator, familiar: bool) -> None:
        if familiar:
            one.known_failures, one.known_retry_at = 0, None
        else:
            self._guesses.forgive(tx, one.email)

    # The second factor

    def ask(
        self,
        tx: Session,
        peer: Actor,
        administrator: Administrator,
        *,
        state: str,
        intent: Intent = Intent.VERIFY,
    ) -> str:
        """Open a gateway session for an administrator, and return where the browser goes.

        Args:
            state: known to this browser alone; it comes back with the result.
        """
        ask = Ask(
            user=str(administrator.user_id),
            redirect_uri=self._administration.redirect_uri,
            state=state,
            intent=intent,
        )
        actor = administrator_actor(administrator, peer)
        opened = self._gateway_sessions.open(
            tx,
            actor,
            self._administration.organization(tx),
            self._administration.ready(tx),
            ask,
        )
        return opened.url

    def admit(
        self,
        tx: Session,
        peer: Actor,
        *,
        session_id: str,
        result: str,
        state: str,
        current: AdministratorSession | None,
    ) -> Admitted | None:
        """Use up the result of the hosted pages: begin a session, or let one go on as fresh.

        Args:
            state: as this browser remembers it; empty if it doesn't.
            current: the session that this browser has.

        Returns:
            None for a result that isn't this browser's, or was used.
        """
        try:
            home = self._administration.organization(tx)
            asked = self._gateway_sessions.find(tx, home, session_id)
            if not state or asked.state != state:
                return None
            claims = self._gateway_sessions.redeem(tx, peer, asked, result)
        except (NotFound, Refusal):
            return None
        administrator = self._administrators.of_user(tx, str(claims["sub"])) if claims else None
        if claims is None or administrator is None or claims["acr"] == _NOTHING:
            return None
        actor = administrator_actor(administrator, peer)
        if current is not None and current.administrator_id == administrator.id:
            return self._sessions.renew(tx, actor, current)
        return self._sessions.begin(tx, actor, administrator)


_NOTHING = "urn:gatehouse:acr:none"
"""What a result says of a user whom a policy let pass: never enough here."""
