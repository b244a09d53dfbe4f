"""By what a list of users may be sorted, and the indexes that are walked for it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from app.models import User


class Sort(StrEnum):
    """By what the list may be sorted."""

    NAME = "name"
    EMAIL = "email"
    ADDED = "added"
    LAST_VERIFIED = "last_verified"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some of a list, and the columns of the index that it is sorted by."""

    columns: tuple[InstrumentedAttribute[Any], ...]
    where: tuple[sa.ColumnElement[bool], ...] = ()


_ADDRESS = User.email_key.is_not(None)
_NO_ADDRESS = User.email_key.is_(None)
_NAMED = User.name_key > sa.literal_column("''")
_NAMELESS = User.name_key == sa.literal_column("''")
_VERIFIED = (User.last_verified_at, User.created_at, User.id)

ORDERS: dict[Sort, tuple[Part, ...]] = {
    Sort.NAME: (
        Part(columns=(User.name_key, User.email_key, User.id), where=(_NAMED,)),
        Part(columns=(User.email_key,), where=(_NAMELESS, _ADDRESS)),
        Part(columns=(User.phone_number,), where=(_NAMELESS, _NO_ADDRESS)),
    ),
    Sort.EMAIL: (
        Part(columns=(User.email_key,), where=(_ADDRESS,)),
        Part(columns=(User.phone_number,), where=(_NO_ADDRESS,)),
    ),
    Sort.ADDED: (Part(columns=(User.created_at, User.id)),),
    Sort.LAST_VERIFIED: (
        Part(columns=_VERIFIED, where=(User.last_verified_at.is_not(None),)),
        Part(columns=_VERIFIED, where=(User.last_verified_at.is_(None),)),
    ),
}
"""The only columns that a list is ever sorted by (F78): who has nothing in them comes last both
ways."""
