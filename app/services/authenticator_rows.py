"""What a user has, or is about to have, read at once and kept by the transaction."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models import Authenticator, AuthenticatorStatus
from app.remembered import remembered

_KEPT = (
    sa.select(Authenticator)
    .where(
        Authenticator.user_id == sa.bindparam("user_id"),
        Authenticator.status.in_(
            [one for one in AuthenticatorStatus if one is not AuthenticatorStatus.REMOVED]
        ),
    )
    .order_by(Authenticator.last_used_at.desc().nulls_last(), Authenticator.id)
    # What a conditional change wrote is not in the objects that were read before it.
    .execution_options(populate_existing=True)
)


def kept(tx: Session, user_id: uuid.UUID) -> Sequence[Authenticator]:
    """Return the authenticators of a user that are not removed, last used first."""

    def read() -> Sequence[Authenticator]:
        return tx.scalars(_KEPT, {"user_id": user_id}).all()

    return remembered(tx, (Authenticator, user_id), read, of=[Authenticator])
