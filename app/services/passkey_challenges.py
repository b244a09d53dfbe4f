"""What passkeys are asked to sign: random bytes, good for one answer, right or wrong."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from ksuid import Ksuid
from sqlalchemy.orm import Session
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from app.clock import Clock
from app.crypto import Vault
from app.db import touched_one
from app.factors import passkey
from app.factors.base import Reason, Refused
from app.models import GatewaySession, PasskeyChallenge, Purpose, User

ID_PREFIX = "passkey-challenge_"
CHALLENGE_BYTES = 32
_PURPOSE = "passkey challenge"


class PasskeyChallenges:
    """Makes challenges, kept only as keyed hashes, and uses them up."""

    def __init__(self, clock: Clock, vault: Vault) -> None:
        self._clock = clock
        self._vault = vault

    def create(
        self, tx: Session, user: User, purpose: Purpose, session: GatewaySession | None
    ) -> tuple[PasskeyChallenge, bytes]:
        """Return a new challenge, and its random bytes; what is too old to be answered goes."""
        now, challenge = self._clock.now(), secrets.token_bytes(CHALLENGE_BYTES)
        told = bytes_to_base64url(challenge)
        made = PasskeyChallenge(
            id=ID_PREFIX + str(Ksuid(now)),
            user_id=user.id,
            gateway_session_id=session.id if session else None,
            purpose=purpose,
            challenge_hash=self._vault.hash(told, purpose=_PURPOSE),
            created_at=now,
            expires_at=now + timedelta(seconds=passkey.TIMEOUT),
        )
        old = sa.and_(PasskeyChallenge.user_id == user.id, PasskeyChallenge.expires_at <= now)
        tx.execute(sa.delete(PasskeyChallenge).where(old))
        tx.add(made)
        tx.flush()
        return made, challenge

    def use(
        self,
        tx: Session,
        user: User,
        answer: str,
        *,
        purpose: Purpose,
        session: GatewaySession | None,
        now: datetime,
    ) -> bytes | Refused:
        """Use up the challenge that an answer names, if it was asked here of this user."""
        told = passkey.challenge_of(answer) or ""
        mine = sa.and_(
            PasskeyChallenge.challenge_hash.in_(self._vault.hashes(told, purpose=_PURPOSE)),
            PasskeyChallenge.user_id == user.id,
            PasskeyChallenge.purpose == purpose,
            PasskeyChallenge.gateway_session_id.is_(None)
            if session is None
            else PasskeyChallenge.gateway_session_id == session.id,
        )
        unused = sa.update(PasskeyChallenge).where(mine, PasskeyChallenge.used_at.is_(None))
        if touched_one(tx, unused.where(PasskeyChallenge.expires_at > now).values(used_at=now)):
            return base64url_to_bytes(told)
        known = tx.scalar(sa.select(PasskeyChallenge.used_at).where(mine).limit(1))
        return Refused(reason=Reason.REPLAYED if known else Reason.EXPIRED)

    def request_of(self, tx: Session, user: User, answer: str) -> str | None:
        """Return the id of the challenge that an answer of a backend's is for, if it is one."""
        told = passkey.challenge_of(answer)
        if told is None:
            return None
        found = sa.select(PasskeyChallenge.id).where(
            PasskeyChallenge.user_id == user.id,
            PasskeyChallenge.gateway_session_id.is_(None),
            PasskeyChallenge.challenge_hash.in_(self._vault.hashes(told, purpose=_PURPOSE)),
        )
        return tx.scalar(found)

    def was_used(self, tx: Session, session: GatewaySession, answer: str, *, at: datetime) -> bool:
        """Tell whether this answer's challenge was used up at a moment (a double tap)."""
        told = passkey.challenge_of(answer)
        if told is None:
            return False
        used = sa.select(PasskeyChallenge.id).where(
            PasskeyChallenge.gateway_session_id == session.id,
            PasskeyChallenge.challenge_hash.in_(self._vault.hashes(told, purpose=_PURPOSE)),
            PasskeyChallenge.used_at == at,
        )
        return tx.scalar(used.limit(1)) is not None
