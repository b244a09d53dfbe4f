"""Judging a code of the one app that a user has, for a backend, in the fewest statements.

This is what most calls of the API are, and it comes to what `Headless.verify` comes to. What is
unusual in any way is left to that: nothing is done, and None returned.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.clock import Clock
from app.crypto import Vault
from app.db import Database
from app.factors import SECRET_FACTORS, recovery_code
from app.factors.base import Accepted, Outcome, Reason, Refused
from app.factors.totp import Totp
from app.models import Environment, KeyUse, Purpose
from app.services.api_keys import Permission
from app.services.audit import Actor, Audit, EventKind
from app.services.challenges import Challenges
from app.services.direct_rows import FIND, write
from app.services.limits import Limits
from app.services.signing_keys import SigningKeys
from app.services.tokens import Tokens
from app.services.totp_settings import METHODS, TotpSettings, read_settings
from app.services.verification import secret_place


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a backend brings.

    Attributes:
        token: the access token that it bears.
        domain: of the organization.
        user_id: of the user.
        answer: as the user typed it.
        admit: counts a call of this API key, and returns it as who acts.
    """

    token: str = field(repr=False)
    domain: str
    user_id: uuid.UUID
    answer: str = field(repr=False)
    admit: Callable[[uuid.UUID], Actor]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A verdict.

    Attributes:
        refused: why the answer is not accepted; None if it is.
    """

    request_id: str
    domain: str
    environment: Environment
    judged_at: datetime
    refused: Refused | None


@dataclass(frozen=True, kw_only=True)
class _Case:
    """One answer, and all that was read to judge it."""

    row: Any
    settings: TotpSettings
    answer: str = field(repr=False)
    actor: Actor
    now: datetime


class DirectVerifications:
    """Judges by what one statement reads, and writes the verdict if all of that still stands."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        database: Database,
        signing_keys: SigningKeys,
        tokens: Tokens,
        challenges: Challenges,
        limits: Limits,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._database = database
        self._signing_keys = signing_keys
        self._tokens = tokens
        self._challenges = challenges
        self._limits = limits
        self._audit = audit

    def verify(self, asked: Asked) -> Judged | None:
        """Judge one code, once, and remember the verdict; None if that takes more than this.

        The attempt counts even if anything raises while it is judged.
        """
        is_code = SECRET_FACTORS[Totp.kind].well_formed(asked.answer)
        if not is_code or recovery_code.well_formed(asked.answer):
            return None
        with self._database.direct() as connection:
            case = self._case(connection, asked)
            if case is None:
                return None
            row = case.row
            if not self._limits.allows(row.user_failures, row.retry_at, now=case.now):
                return self._unjudged(case)
            return self._judged(connection, case)

    def _case(self, connection: sa.Connection, asked: Asked) -> _Case | None:
        bearer = self._tokens.proven(asked.token)
        if bearer is None:
            return None
        named = {
            "client_id": bearer.client_id,
            "kid": bearer.kid,
            "over_since": self._signing_keys.over_since(KeyUse.ACCESS),
            "domain": asked.domain,
            "read_user": asked.user_id,
        }
        found = FIND.all(connection, named)
        row, now = _only_app(found), self._clock.now()
        if row is None:
            return None
        return _Case(
            row=row,
            settings=read_settings(row.settings, strict=row.strict),
            answer=asked.answer,
            actor=asked.admit(bearer.client_id),
            now=now,
        )

    def _unjudged(self, case: _Case) -> Judged:
        """Answer while nothing is judged, which writes nothing: whoever hammers holds up nobody."""
        row = case.row
        locked = Refused(
            reason=Reason.LOCKED,
            retry_at=self._limits.until(row.user_failures, row.retry_at),
            attempts_left=0,
        )
        return Judged(
            request_id=self._challenges.new_id(),
            domain=row.domain,
            environment=row.environment,
            judged_at=case.now,
            refused=locked,
        )

    def _judged(self, connection: sa.Connection, case: _Case) -> Judged | None:
        row, request_id = case.row, self._challenges.new_id()
        try:
            outcome = self._outcome(case)
            if isinstance(outcome, Refused) and self._limits.alarms(row.user_failures + 1):
                return None  # the user is to be told, too
            if not self._write(connection, case, outcome, request_id):
                return None
        except Exception:
            owed = self._limits.owed(row.user_id, row.id, now=case.now)
            with self._database.writing() as tx:
                owed(tx)
            raise
        self._audit.count_kept(_kind_of(outcome), {"kind": row.kind, "reason": _reason_of(outcome)})
        return Judged(
            request_id=request_id,
            domain=row.domain,
            environment=row.environment,
            judged_at=case.now,
            refused=outcome if isinstance(outcome, Refused) else None,
        )

    def _outcome(self, case: _Case) -> Outcome:
        """Judge the code; what is left, and until when to wait, is told as after the charge."""
        row = case.row
        outcome = SECRET_FACTORS[row.kind].check(
            self._vault.open(row.secret, place=secret_place(row.id)),
            case.answer,
            now=case.now,
            last_step=row.last_step,
            parameters=row.parameters,
            tolerance=case.settings.tolerance,
            reads_clock=False,
        )
        if isinstance(outcome, Accepted):
            return outcome
        user_failures, failures = row.user_failures + 1, row.failures + 1
        wait = self._limits.wait_after(failures, now=case.now)
        open_ = self._limits.allows(user_failures, wait, now=case.now)
        return Refused(
            reason=outcome.reason,
            attempts_left=self._limits.left_of(user_failures, [failures]) if open_ else 0,
            retry_at=self._limits.until(user_failures, wait),
        )

    def _write(
        self, connection: sa.Connection, case: _Case, outcome: Outcome, request_id: str
    ) -> bool:
        row, accepted = case.row, isinstance(outcome, Accepted)
        reason = _reason_of(outcome)
        read = {
            "read_user": row.user_id,
            "user_failures_read": row.user_failures,
            "read_one": row.id,
            "failures_read": row.failures,
            "last_step_read": row.last_step,
            "now": case.now,
            "step": outcome.step,
            "wait_until": self._limits.wait_after(row.failures + 1, now=case.now),
        }
        purpose = Purpose.VERIFICATION
        verification = {
            **_NO_SESSION,
            "id": uuid.uuid4(),
            "user_id": row.user_id,
            "organization_id": row.organization_id,
            "challenge_id": request_id,
            "authenticator_id": row.id,
            "kind": row.kind,
            "purpose": purpose,
            "accepted": accepted,
            "reason": reason,
            "step": outcome.step,
            "at": case.now,
        }
        event = {
            **self._audit.common(_kind_of(outcome), case.actor),
            **_NO_APPLICATION,
            "organization_id": row.organization_id,
            "user_id": row.user_id,
            "detail": {"kind": row.kind, "purpose": purpose.value, "reason": reason},
        }
        return write(connection, read, verification, event)


_NO_SESSION = {
    "gateway_session_id": None,
    "application_id": None,
    "user_verified": False,
    "key": None,
    "took_ms": None,
    "browser_hash": None,
    "confirmed_at": None,
    "spent_at": None,
}
_NO_APPLICATION = {
    "application_id": None,
    "gateway_session_id": None,
    "reason": None,
    "seal_id": None,
}


def _kind_of(outcome: Outcome) -> EventKind:
    accepted = isinstance(outcome, Accepted)
    return EventKind.VERIFICATION_ACCEPTED if accepted else EventKind.VERIFICATION_REFUSED


def _reason_of(outcome: Outcome) -> str | None:
    return None if isinstance(outcome, Accepted) else outcome.reason.value


def _only_app(found: Sequence[Any]) -> Any:
    """Return the one authenticator that an answer is for, if it is an app, and the key may ask."""
    if not found or not _may(found[0].permissions):
        return None
    offered = {METHODS[method] for method in read_settings(found[0].settings).methods}
    choices = [row for row in found if row.kind in offered]
    return choices[0] if len(choices) == 1 and choices[0].kind == Totp.kind else None


def _may(permissions: list[str] | None) -> bool:
    return permissions is None or Permission.WRITE_CHALLENGES in permissions
