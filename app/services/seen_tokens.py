"""Seen tokens: what somebody else signed for one use is used once, in whichever process."""

from __future__ import annotations

import hashlib
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from app.clock import Clock
from app.models import SeenToken

_SWEPT = 100


class SeenTokens:
    """Remembers the one-time tokens that were used, each until it is over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def use(self, tx: Session, issuer: str, token_id: str, *, until: datetime) -> bool:
        """Use a token up, in the transaction of what it is good for.

        Args:
            issuer: whose token, and of what kind, such as `duo assertion <application id>`.
            token_id: its `jti`, of any length, or the token itself where it has none.
            until: when nobody takes it any more, leeway included; it is forgotten then.

        Returns:
            False if it was used before: of any number of transactions that try at once, one gets
            True, and the others wait for it.
        """
        self._sweep(tx)
        dialect = sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
        row = dialect.insert(SeenToken).values(
            issuer=issuer,
            token_hash=hashlib.sha256(token_id.encode("utf-8", "surrogatepass")).hexdigest(),
            expires_at=until,
        )
        first = row.on_conflict_do_nothing().returning(SeenToken.token_hash)
        return tx.scalar(first) is not None

    def _sweep(self, tx: Session) -> None:
        """Delete some that are over; who sweeps waits for nobody."""
        over = SeenToken.expires_at <= self._clock.now()
        key = (SeenToken.issuer, SeenToken.token_hash)
        some = sa.select(*key).where(over).limit(_SWEPT).with_for_update(skip_locked=True)
        gone = sa.delete(SeenToken).where(sa.tuple_(*key).in_(some), over)
        tx.execute(gone, execution_options={"synchronize_session": False})
