"""Signing keys of the deployment: each is published before it signs, and after its last token."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.config import Config
from app.crypto import Vault
from app.errors import Refusal
from app.models import KeyState, KeyUse, SigningKey
from app.services.audit import Actor, Audit, EventKind

JWKS_MAX_AGE_SECONDS = 60
"""How long the world may keep our public keys; a new key is published longer than this first."""
LEEWAY_SECONDS = 60
"""How far the clock of somebody who checks what we signed may be off."""
LONGEST_SECONDS = 3600
"""How long the longest-lived token is valid that one of these keys signs."""
ENTRA_READS_EVERY = timedelta(hours=24)
"""So often Microsoft Entra reads our keys anew."""
ENTRA_LEAD = timedelta(hours=48)
"""How long one of its keys is published before it signs, as Microsoft asks ("every 2 days")."""
COMMON = tuple(use for use in KeyUse if use is not KeyUse.ENTRA)
"""Whose keys stand at the one address of the deployment; Entra's are at its connections'."""
_KEY = sa.select(SigningKey).where(
    SigningKey.use == sa.bindparam("wanted"), SigningKey.state == sa.bindparam("standing")
)
_PUBLISHED = sa.select(SigningKey.kid).where(
    SigningKey.kid == sa.bindparam("kid"),
    SigningKey.use == sa.bindparam("use"),
    sa.or_(SigningKey.retired_at.is_(None), SigningKey.retired_at > sa.bindparam("over_since")),
)
_RS256: jose.Algorithm = "RS256"


@dataclass(frozen=True, kw_only=True)
class _Times:
    """How long a key is published before it signs, and after it did."""

    before: timedelta
    after: timedelta


_USUAL = _Times(
    before=timedelta(seconds=JWKS_MAX_AGE_SECONDS),
    after=timedelta(seconds=LONGEST_SECONDS + LEEWAY_SECONDS),  # its last token is over then
)
_TIMES: dict[KeyUse, _Times] = {
    **dict.fromkeys(COMMON, _USUAL),
    KeyUse.ENTRA: _Times(before=ENTRA_LEAD, after=ENTRA_READS_EVERY + ENTRA_LEAD),
}


@dataclass(frozen=True, kw_only=True)
class KeyStanding:
    """How a signing key stands.

    Attributes:
        since: when it came to be in this state.
        usable_at: from when on one that is next may sign; None for all others.
        published_until: when the world sees it no more; None for one that isn't retired.
        published: whether the world sees it now.
    """

    kid: str
    use: KeyUse
    algorithm: str
    state: KeyState
    since: datetime
    usable_at: datetime | None
    published_until: datetime | None
    published: bool


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """What a rotation came to.

    Attributes:
        active: the key that signs results from now on.
        waiting: uses that go on with the key that they had, and when their next one may sign.
    """

    active: SigningKey
    waiting: Mapping[KeyUse, datetime]


class SigningKeys:
    """Makes, publishes and rotates the keys with which we sign."""

    def __init__(self, config: Config, clock: Clock, vault: Vault, audit: Audit) -> None:
        self._algorithm: jose.Algorithm = config.signing_algorithm
        self._clock = clock
        self._vault = vault
        self._audit = audit

    def ensure(self, tx: Session) -> bool:
        """Make the first active key and its successor where they are missing; tell if any was."""
        rows = tx.execute(sa.select(SigningKey.use, SigningKey.state))
        found = {(use, state) for use, state in rows}
        made = False
        for use, state in product(KeyUse, (KeyState.ACTIVE, KeyState.NEXT)):
            if (use, state) in found:
                continue
            with contextlib.suppress(IntegrityError), tx.begin_nested():  # who is first makes it
                self._make_key(tx, use, state)
                made = True
        return made

    def rotate(self, tx: Session, actor: Actor, *, at_once: bool = False) -> Rotation:
        """Retire the active keys, put the next ones in their place, publish others as next.

        A use whose next key was not published for long enough keeps the one that it has.

        Args:
            at_once: all of them, even if whoever checks what we sign may not have seen the next
                key.

        Raises:
            Refusal: `next_key_too_young`: that holds for each of them.
        """
        waiting = {} if at_once else self._waiting(tx)
        if len(waiting) == len(KeyUse):
            raise self._too_young(min(waiting.values()))
        for use in (one for one in KeyUse if one not in waiting):
            following = self._rotate(tx, use)
            self._audit.record(
                tx, EventKind.SIGNING_KEY_ROTATED, actor, kid=following.kid, use=use.value
            )
        return Rotation(active=self._key(tx, KeyUse.RESULT, KeyState.ACTIVE), waiting=waiting)

    def _waiting(self, tx: Session) -> dict[KeyUse, datetime]:
        """Return the uses whose next key may not sign yet, and from when on it may."""
        found = {
            use: self._key(tx, use, KeyState.NEXT).created_at + _TIMES[use].before for use in KeyUse
        }
        return {use: at for use, at in found.items() if at > self._clock.now()}

    def _too_young(self, usable_at: datetime) -> Refusal:
        seconds = int((usable_at - self._clock.now()).total_seconds()) + 1
        return Refusal(
            "next_key_too_young",
            f"The next key was published a moment ago. Wait {seconds} seconds, so that every "
            "application has seen it, or rotate at once if a key is compromised.",
            status=409,
        )

    def _rotate(self, tx: Session, use: KeyUse) -> SigningKey:
        now = self._clock.now()
        following, current = self._key(tx, use, KeyState.NEXT), self._key(tx, use, KeyState.ACTIVE)
        current.state, current.retired_at = KeyState.RETIRED, now
        current.private = ""
        tx.flush()
        following.state, following.activated_at = KeyState.ACTIVE, now
        tx.flush()
        self._make_key(tx, use, KeyState.NEXT)
        return following

    def published(self, tx: Session, *uses: KeyUse) -> list[dict[str, Any]]:
        """Return the public keys (RFC 7517): next, active, and retired ones until they are over.

        Args:
            uses: only keys that sign these; none means all at the address of the deployment.
        """
        now = self._clock.now()
        retired = [
            sa.and_(SigningKey.use == use, SigningKey.retired_at > now - _TIMES[use].after)
            for use in uses or COMMON
        ]
        shown = sa.or_(SigningKey.retired_at.is_(None), *retired)
        found = sa.select(SigningKey).where(shown, SigningKey.use.in_(uses or COMMON))
        return [key.public for key in tx.scalars(found.order_by(SigningKey.created_at))]

    def is_published(self, tx: Session, use: KeyUse, kid: str) -> bool:
        """Tell whether a key that signs this is one of those."""
        named = {"kid": kid, "use": use, "over_since": self.over_since(use)}
        return tx.scalar(_PUBLISHED, named) is not None

    def over_since(self, use: KeyUse) -> datetime:
        """Return when a key that signs this was retired at the earliest, if it is still shown."""
        return self._clock.now() - _TIMES[use].after

    def standing(self, tx: Session) -> list[KeyStanding]:
        """Return how the signing keys stand, newest first; nothing of them but their names."""
        found = sa.select(
            SigningKey.kid,
            SigningKey.use,
            SigningKey.algorithm,
            SigningKey.state,
            SigningKey.created_at,
            SigningKey.activated_at,
            SigningKey.retired_at,
        ).order_by(SigningKey.created_at.desc(), SigningKey.kid)
        now = self._clock.now()
        return [
            KeyStanding(
                kid=row.kid,
                use=row.use,
                algorithm=row.algorithm,
                state=row.state,
                since=row.retired_at or row.activated_at or row.created_at,
                usable_at=row.created_at + _TIMES[row.use].before
                if row.state is KeyState.NEXT
                else None,
                published_until=until,
                published=until is None or until > now,
            )
            for row in tx.execute(found)
            for until in [row.retired_at + _TIMES[row.use].after if row.retired_at else None]
        ]

    def signer(self, tx: Session, use: KeyUse) -> jose.PrivateKey:
        """Return the private key that signs this now."""
        row = self._key(tx, use, KeyState.ACTIVE)
        return jose.load_private(self._vault.open(row.private, place=_place(row.kid)))

    def _make_key(self, tx: Session, use: KeyUse, state: KeyState) -> None:
        algorithm = self._algorithm if use is KeyUse.RESULT else _RS256
        key, now = jose.generate_key(algorithm), self._clock.now()
        certified = use is KeyUse.ENTRA
        public = jose.certified(key, at=now) if certified else jose.export_public(key)
        tx.add(
            SigningKey(
                kid=public["kid"],
                use=use,
                algorithm=algorithm,
                state=state,
                public=public,
                private=self._vault.seal(jose.export_private(key), place=_place(public["kid"])),
                created_at=now,
                activated_at=now if state is KeyState.ACTIVE else None,
            )
        )
        tx.flush()

    def _key(self, tx: Session, use: KeyUse, state: KeyState) -> SigningKey:
        key = tx.scalar(_KEY, {"wanted": use, "standing": state})
        if key is None:
            raise RuntimeError(f"there is no {state} signing key for {use}; run: gatehouse init")
        return key


def _place(kid: str) -> str:
    return f"signing_keys.private:{kid}"
