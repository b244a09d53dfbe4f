"""Column types that several models share."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

SEARCHED = sa.String().with_variant(sa.String(collation="C"), "postgresql")
"""Text in the order of its code points, so that what begins alike is one range of an index."""


def name_of(enum: type[StrEnum]) -> sa.Enum:
    """Return a column type that keeps the enum's value as text, readable in any database."""
    return sa.Enum(
        enum,
        values_callable=lambda members: [member.value for member in members],
        native_enum=False,
        create_constraint=False,
        length=40,
    )
