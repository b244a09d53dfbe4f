"""What an organization set of each method, all of it read at once."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models import MethodSetting
from app.remembered import remembered

_MINE = sa.select(MethodSetting).where(
    MethodSetting.organization_id == sa.bindparam("organization_id")
)


def method_rows(tx: Session, organization_id: uuid.UUID) -> Mapping[str, MethodSetting]:
    """Return what an organization set, by the kind of factor or the channel."""

    def read() -> Mapping[str, MethodSetting]:
        found = tx.scalars(_MINE, {"organization_id": organization_id})
        return {one.kind: one for one in found}

    return remembered(tx, (MethodSetting, organization_id), read, of=[MethodSetting])
