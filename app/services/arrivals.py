"""Arrivals: browsers that show whose they are by a link to the mailbox, before a session opens.

An address that nobody has is answered like one that is a user's: a row, a page, and a code that is
never right. The link is bound to the browser in which the address was typed; opened in another one
it tells a short code to type there.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta

import sqlalchemy as sa
from ksuid import Ksuid
from sqlalchemy.orm import Session, joinedload

from app.clock import Clock
from app.config import Config
from app.crypto import Vault, new_token
from app.db import touched_one
from app.errors import NotFound
from app.factors import magic_link
from app.factors.base import Reason, Refused
from app.factors.recovery_code import normalize
from app.models import Arrival, Door, Organization, ResponseType, User
from app.services.audit import Actor, Audit, EventKind
from app.services.cryptr_entries import Entry
from app.services.delivery import Delivery
from app.services.directory import Directory
from app.services.gateway_sessions import Ask, GatewaySessions, Opened
from app.services.limits import Answering, Limits
from app.services.provider_accounts import ProviderAccounts
from app.services.sending_limits import SendingLimits
from app.services.standing import is_suspended
from app.services.unsure_sessions import UnsureSessions

LASTS = timedelta(minutes=10)
MOST_CODES = 5
"""So many short codes are judged in one arrival."""
_TOKEN_BITS = 192
_LONGEST_EMAIL = 320
_TOKEN, _BROWSER = "arrival token", "arrival browser"
_CODE_MAKING, _CODE = "arrival code", "arrival code hash"


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A browser that waits for its link, and the secret for its cookie."""

    arrival: Arrival
    secret: str = field(repr=False)


class Arrivals:
    """Finds out whose browser it is that an application sent without saying so for sure."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        vault: Vault,
        directory: Directory,
        gateway_sessions: GatewaySessions,
        accounts: ProviderAccounts,
        sending_limits: SendingLimits,
        delivery: Delivery,
        limits: Limits,
        unsure: UnsureSessions,
        audit: Audit,
    ) -> None:
        self._address = f"{config.base_url}/a/{config.account_domain}/link"
        self._clock = clock
        self._vault = vault
        self._directory = directory
        self._gateway_sessions = gateway_sessions
        self._accounts = accounts
        self._sending_limits = sending_limits
        self._delivery = delivery
        self._limits = limits
        self._unsure = unsure
        self._audit = audit

    def can_mail(self, tx: Session, entry: Entry) -> bool:
        """Tell whether links may be mailed to users of an organization at all."""
        return entry.by_link and self.mails(tx, entry.organization)

    def mails(self, tx: Session, organization: Organization) -> bool:
        """Tell whether an organization has anybody who carries e-mail."""
        return "email" in self._accounts.carried(tx, organization)

    def begin(self, tx: Session, actor: Actor, entry: Entry, email: str) -> Arrived:
        """Note that a browser says it is this user's, and mail a link if it may be."""
        now, secret = self._clock.now(), new_token()
        user = self._user(tx, entry.organization, email)
        arrival = Arrival(
            id=str(Ksuid(now)),
            application_id=entry.application.id,
            organization_id=entry.organization.id,
            user_id=user.id if user else None,
            email=email[:_LONGEST_EMAIL],
            redirect_uri=entry.redirect_uri,
            state=entry.state,
            locale=entry.locale,
            asked=entry.asked,
            browser_hash=self._vault.hash(secret, purpose=_BROWSER),
            created_at=now,
            expires_at=now + LASTS,
        )
        token = new_token(_TOKEN_BITS)
        mailed = user is not None and self._may_mail(tx, entry, user)
        if mailed:
            arrival.token_hash = self._vault.hash(token, purpose=_TOKEN)
        tx.add(arrival)
        tx.flush()
        if user is not None and mailed:
            self._mail(tx, actor, entry, user, token)
        return Arrived(arrival=arrival, secret=secret)

    def of(
        self, tx: Session, arrival_id: str, secret: str, *, hold: bool = False
    ) -> Arrival | None:
        """Return an arrival, for the browser that it is bound to."""
        found = self._load(tx, Arrival.id == arrival_id, hold=hold)
        stored = found.browser_hash if found else None
        return found if self._vault.matches(secret, stored, purpose=_BROWSER) else None

    def by_token(self, tx: Session, token: str, *, hold: bool = False) -> Arrival | None:
        """Return the arrival of a link; looking at it changes nothing."""
        hashes = self._vault.hashes(token, purpose=_TOKEN)
        return self._load(tx, Arrival.token_hash.in_(hashes), hold=hold)

    def is_open(self, arrival: Arrival) -> bool:
        """Tell whether its link, or the code that it tells, leads on."""
        return arrival.used_at is None and self._clock.now() < arrival.expires_at

    def codes_left(self, arrival: Arrival) -> int:
        """Return how many short codes are judged yet."""
        return max(0, MOST_CODES - arrival.attempts)

    def short_code(self, arrival: Arrival, token: str) -> str:
        """Return the code of a link that was opened elsewhere, the same each time."""
        made = self._vault.hash(token, purpose=_CODE_MAKING).partition(":")[2]
        code = magic_link.short_code(bytes.fromhex(made))
        arrival.code_hash = self._vault.hash(code, purpose=_CODE)
        return code

    def answer(self, tx: Session, actor: Actor, arrival: Arrival, answer: str) -> Opened | Refused:
        """Judge a short code, which is charged first; a right one opens the session."""
        if not self.is_open(arrival):
            return Refused(reason=Reason.EXPIRED)
        if not magic_link.well_formed(answer):
            return Refused(reason=Reason.MALFORMED, attempts_left=self.codes_left(arrival))
        charge = (
            sa.update(Arrival)
            .where(Arrival.id == arrival.id, Arrival.attempts < MOST_CODES)
            .values(attempts=Arrival.attempts + 1)
        )
        if not touched_one(tx, charge):
            return Refused(reason=Reason.TOO_MANY)
        tx.refresh(arrival, ["attempts", "code_hash"])
        if self._vault.matches(normalize(answer), arrival.code_hash, purpose=_CODE):
            return self.open(tx, actor, arrival, by="code") or Refused(reason=Reason.EXPIRED)
        return Refused(reason=Reason.WRONG, attempts_left=self.codes_left(arrival))

    def open(self, tx: Session, actor: Actor, arrival: Arrival, *, by: str) -> Opened | None:
        """Open the gateway session of an arrival whose user is known now; once only.

        Args:
            by: `link` or `code`, for the record.

        Returns:
            None if it was opened before, or is over.

        Raises:
            Refusal: as `GatewaySessions.open` does.
        """
        now = self._clock.now()
        use = (
            sa.update(Arrival)
            .where(Arrival.id == arrival.id, Arrival.used_at.is_(None), Arrival.expires_at > now)
            .values(used_at=now)
        )
        if arrival.user is None or not touched_one(tx, use):
            return None
        self._audit.record(
            tx, EventKind.USER_IDENTIFIED, actor, user=arrival.user, by=by, arrival=arrival.id
        )
        ask = _ask(arrival, arrival.user, identified_by=by)
        application, organization = arrival.application, arrival.organization
        return self._gateway_sessions.open(tx, actor, organization, application, ask)

    def open_unsure(self, tx: Session, actor: Actor, entry: Entry, email: str) -> Opened | None:
        """Open a session for whoever has the address that was typed, where no link is wanted.

        Anybody may have typed it, so nothing is set up and nothing sent in it.

        Returns:
            None where there is nobody, or they can't confirm now, which look the same.
        """
        user = self._user(tx, entry.organization, email)
        if user is None:
            return None
        ask = _ask(entry, user, identified_by=None)
        organization, application = entry.organization, entry.application
        return self._unsure.open(
            tx, lambda: self._gateway_sessions.open(tx, actor, organization, application, ask)
        )

    def _user(self, tx: Session, organization: Organization, email: str) -> User | None:
        if "@" not in email:  # the directory finds a user by id, too
            return None
        with contextlib.suppress(NotFound):
            return self._directory.find(tx, organization, email)
        return None

    def _may_mail(self, tx: Session, entry: Entry, user: User) -> bool:
        """Tell whether a link goes to a user now; the mail is charged as any message is."""
        if is_suspended(user) or not self.can_mail(tx, entry):
            return False
        now = self._clock.now()
        if self._limits.spent(user, Answering(), now=now) is not None:
            return False
        email = user.email or ""
        return not self._sending_limits.charge(
            tx, None, entry.organization, user, "email", email, now=now
        )

    def _mail(self, tx: Session, actor: Actor, entry: Entry, user: User, token: str) -> None:
        self._delivery.notify(
            tx,
            actor,
            entry.organization,
            user,
            magic_link.KIND,
            application=entry.application.name,
            link=f"{self._address}/{token}",
            lasts=LASTS,
            minutes=int(LASTS.total_seconds()) // 60,
        )

    def _load(self, tx: Session, which: sa.ColumnElement[bool], *, hold: bool) -> Arrival | None:
        organization = Arrival.organization.has(Organization.deleted_at.is_(None))
        found = (
            sa.select(Arrival)
            .where(which, organization)
            .options(
                joinedload(Arrival.application),
                joinedload(Arrival.organization),
                joinedload(Arrival.user).joinedload(User.organization),
            )
        )
        if hold:
            found = found.with_for_update(of=Arrival).execution_options(populate_existing=True)
        arrival = tx.scalar(found)
        gone = arrival is not None and arrival.application.deleted_at is not None
        return None if gone else arrival


def _ask(of: Arrival | Entry, user: User, *, identified_by: str | None) -> Ask:
    """Return what the application asks about its user.

    Args:
        identified_by: how it was shown who it is; None if it was only said.
    """
    return Ask(
        user=str(user.id),
        redirect_uri=of.redirect_uri,
        state=of.state,
        locale=of.locale,
        response_type=ResponseType.CODE,
        door=Door.CRYPTR,
        asked={**of.asked, "identified_by": identified_by},
        subject_authenticated=identified_by is not None,
    )
