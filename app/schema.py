"""The schema: which release's code may run on which, and how one becomes the next meanwhile."""

from __future__ import annotations

import re
import time
from enum import StrEnum

import sqlalchemy as sa
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import OperationalError

from app import db

_REVISION = re.compile(r"(\d{4})(?:_since_(\d{4}))?")
"""`0003_since_0002` is schema 3, on which code runs that was written for schema 2 or 3."""
_ATTEMPTS = 10
_REST_SECONDS = 1.0


class Standing(StrEnum):
    """How the schema in the database stands to the one that this code was written for."""

    BEHIND = "behind"
    """It is older, or there is none: `gatehouse init` makes it ours."""
    AT_HEAD = "at head"
    AHEAD = "ahead"
    """A later release made it and left in place all that this code needs."""
    OUTGROWN = "outgrown"
    """A later release took away what this code needs, or it is not ours at all."""


class TooNew(Exception):
    """The schema is of a later release, with which this code can't work."""


class Busy(Exception):
    """Others hold on to what has to change; nothing was changed."""


def standing(engine: sa.Engine) -> Standing:
    """Tell whether this code may run on the database."""
    with engine.connect() as connection:
        there = MigrationContext.configure(connection).get_current_revision()
    return compared(there, db.head(engine))


def compared(there: str | None, ours: str) -> Standing:
    """Tell how one revision stands to another.

    Args:
        there: of the database; None if it has no schema.
        ours: of the code.
    """
    if there is None:
        return Standing.BEHIND
    if there == ours:
        return Standing.AT_HEAD
    found, own = _REVISION.fullmatch(there), _REVISION.fullmatch(ours)
    if found is None or own is None:
        return Standing.OUTGROWN
    if found[1] < own[1]:
        return Standing.BEHIND
    return Standing.AHEAD if (found[2] or found[1]) <= own[1] else Standing.OUTGROWN


def bring_up(engine: sa.Engine) -> None:
    """Bring the schema to this code's form, while servers of the release before go on.

    What a later release made is left alone.

    Raises:
        TooNew: this code can't work with what is there.
        Busy: somebody held a table for too long.
    """
    stands = standing(engine)
    if stands is Standing.OUTGROWN:
        raise TooNew
    if stands is Standing.BEHIND:
        _upgrade(engine)


def _upgrade(engine: sa.Engine) -> None:
    """Migrate; whoever would make others queue behind it gives way, and tries again."""
    for _ in range(_ATTEMPTS):
        try:
            return db.upgrade(engine)
        except OperationalError as refused:
            if not _gave_way(refused):
                raise
        time.sleep(_REST_SECONDS)
    raise Busy


def _gave_way(refused: OperationalError) -> bool:
    return getattr(refused.orig, "sqlstate", None) == "55P03"  # lock_not_available
