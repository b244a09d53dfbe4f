"""Passkeys: what is asked of them, and judging what they sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.config import Config
from app.db import touched_one
from app.factors import passkey
from app.factors.base import Accepted, Parameters, Reason, Refused
from app.factors.passkey import Proof, RelyingParty
from app.factors.passkey_options import Owner, creation_options, request_options
from app.models import (
    Authenticator,
    AuthenticatorStatus,
    GatewaySession,
    KeyStorage,
    PasskeyChallenge,
    Purpose,
    User,
)
from app.services.assurance import Facts, reached, satisfies
from app.services.audit import SYSTEM, Audit, EventKind
from app.services.passkey_challenges import PasskeyChallenges
from app.services.passkey_settings import PasskeyRules


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A new challenge.

    Attributes:
        options: for the browser, as `parseCreationOptionsFromJSON` or
            `parseRequestOptionsFromJSON` takes them.
    """

    challenge: PasskeyChallenge
    options: dict[str, Any]


class Passkeys:
    """Asks passkeys to sign, and judges what they signed; each challenge is answered once."""

    def __init__(
        self,
        config: Config,
        rules: PasskeyRules,
        challenges: PasskeyChallenges,
        audit: Audit,
    ) -> None:
        self._config = config
        self._rules = rules
        self._challenges = challenges
        self._audit = audit

    def ask_new(
        self,
        tx: Session,
        user: User,
        issuer: str,
        *,
        session: GatewaySession | None = None,
        verified: bool = False,
    ) -> Asked:
        """Ask the browser to make a passkey.

        Args:
            issuer: for whom it is, as the device shows it.
            session: the one on whose pages alone it may be answered.
            verified: see `ask`.
        """
        made, challenge = self._challenges.create(tx, user, Purpose.ENROLLMENT, session)
        demands = self._rules.of(tx, user.organization).demands
        owner = Owner(handle=user.id.bytes, name=user.label, organization=issuer)
        options = creation_options(
            self._party(),
            owner,
            challenge,
            replace(demands, user_verification=verified or demands.user_verification),
            known=_known(self.mine(tx, user)),
        )
        return Asked(challenge=made, options=options)

    def ask(
        self,
        tx: Session,
        user: User,
        mine: Sequence[Authenticator],
        *,
        session: GatewaySession | None = None,
        verified: bool = False,
    ) -> Asked | None:
        """Ask any of the user's passkeys to sign; None if there is none.

        Args:
            mine: those that may.
            verified: whether the device has to check who holds it, also where no rule demands it.
        """
        if not mine:
            return None
        made, challenge = self._challenges.create(tx, user, Purpose.VERIFICATION, session)
        demands = self._rules.of(tx, user.organization).demands
        if verified:
            demands = replace(demands, user_verification=True)
        options = request_options(self._party(), challenge, demands, known=_known(mine))
        return Asked(challenge=made, options=options)

    def mine(self, tx: Session, user: User) -> Sequence[Authenticator]:
        """Return the user's passkeys that can verify, oldest first."""
        found = sa.select(Authenticator).where(
            Authenticator.user_id == user.id,
            Authenticator.kind == passkey.KIND,
            Authenticator.status == AuthenticatorStatus.ACTIVE,
        )
        return tx.scalars(found.order_by(Authenticator.confirmed_at, Authenticator.id)).all()

    def answering(
        self, authenticators: Sequence[Authenticator], answer: str
    ) -> list[Authenticator]:
        """Return which of them an answer may be for: of passkeys the one that it names, if any."""
        named = passkey.id_of(answer)
        if all(one.credential_id != named for one in authenticators):
            return list(authenticators)
        return [
            one
            for one in authenticators
            if one.kind != passkey.KIND or one.credential_id in {named, None}
        ]

    def consume(
        self,
        tx: Session,
        one: Authenticator,
        answer: str,
        *,
        purpose: Purpose,
        session: GatewaySession | None,
        now: datetime,
    ) -> Accepted | Refused:
        """Judge an answer for a passkey; its challenge is used up, whatever comes of it.

        Args:
            one: the passkey, or for an enrollment the pending one that becomes it.
        """
        user = tx.get_one(User, one.user_id)
        challenge = self._challenges.use(
            tx, user, answer, purpose=purpose, session=session, now=now
        )
        if isinstance(challenge, Refused):
            return challenge
        if purpose is Purpose.ENROLLMENT:
            wanted = session.acr_values if session else ()
            return self._register(tx, one, user, answer, challenge, wanted)
        return self._judge(tx, one, user, answer, challenge, now)

    def was_used(self, tx: Session, session: GatewaySession, answer: str, *, at: datetime) -> bool:
        """Tell whether this answer is the one that was given at a moment (a double tap)."""
        return self._challenges.was_used(tx, session, answer, at=at)

    def _register(
        self,
        tx: Session,
        pending: Authenticator,
        user: User,
        answer: str,
        challenge: bytes,
        wanted: Sequence[str],
    ) -> Accepted | Refused:
        found = passkey.registered(
            answer,
            party=self._party(),
            challenge=challenge,
            demands=self._rules.of(tx, user.organization).demands,
        )
        if isinstance(found, Refused):
            return found
        key = KeyStorage(found.parameters["key"])
        facts = Facts(kind=passkey.KIND, user_verified=found.user_verified, key=key)
        if not satisfies(reached(facts).acr, wanted):
            weak = Reason.NOT_ALLOWED if found.user_verified else Reason.TOO_WEAK
            return Refused(reason=weak)
        bind = (
            sa.update(Authenticator)
            .where(
                Authenticator.id == pending.id,
                Authenticator.status == AuthenticatorStatus.PENDING,
                Authenticator.credential_id.is_(None),
            )
            .values(credential_id=found.id, parameters=found.parameters, last_step=found.sign_count)
        )
        try:
            with tx.begin_nested():
                if not touched_one(tx, bind):
                    return Refused(reason=Reason.EXPIRED)
        except IntegrityError:  # somebody has it
            return Refused(reason=Reason.ALREADY_ENROLLED)
        tx.refresh(pending, ["credential_id", "parameters", "last_step"])
        return Accepted(
            step=found.sign_count,
            user_verified=found.user_verified,
            key=key,
        )

    def _judge(
        self,
        tx: Session,
        one: Authenticator,
        user: User,
        answer: str,
        challenge: bytes,
        now: datetime,
    ) -> Accepted | Refused:
        settings = self._rules.of(tx, user.organization)
        proof = passkey.asserted(
            answer,
            party=self._party(),
            challenge=challenge,
            demands=settings.demands,
            credential_id=one.credential_id or "",
            parameters=one.parameters,
            sign_count=one.last_step,
            handle=user.id.bytes,
        )
        if isinstance(proof, Refused):
            return proof
        if proof.counted_back:
            self._record_copy(tx, one, user, proof, refused=settings.refuse_copies)
            if settings.refuse_copies:
                return Refused(reason=Reason.COPIED)
        used = (
            sa.update(Authenticator)
            .where(Authenticator.id == one.id, Authenticator.status == AuthenticatorStatus.ACTIVE)
            .values(
                last_step=max(proof.sign_count, one.last_step),
                last_used_at=now,
                parameters={**one.parameters, "backed_up": proof.backed_up},
            )
        )
        if not touched_one(tx, used):
            return Refused(reason=Reason.SUSPENDED)
        return Accepted(
            step=proof.sign_count,
            user_verified=proof.user_verified,
            key=KeyStorage(one.parameters["key"]),
        )

    def _record_copy(
        self, tx: Session, one: Authenticator, user: User, proof: Proof, *, refused: bool
    ) -> None:
        self._audit.record(
            tx,
            EventKind.PASSKEY_COUNTED_BACK,
            SYSTEM,
            user=user,
            authenticator=str(one.id),
            seen=one.last_step,
            told=proof.sign_count,
            refused=refused,
        )

    def _party(self) -> RelyingParty:
        """Return who we are; rules say beforehand whether passkeys work here at all."""
        return RelyingParty(id=self._config.rp_id or "", origin=self._config.base_url)


def _known(mine: Sequence[Authenticator]) -> list[tuple[str, Parameters]]:
    return [(one.credential_id or "", one.parameters) for one in mine]
