"""Exports of users: the whole list as it was filtered, in pieces, so that memory stays small."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.db import Database
from app.models import Organization, User
from app.services.audit import Actor, Audit, EventKind
from app.services.user_lists import ListedUser, UserFilter, UserLists

PIECE = 500
_NO_ADDRESS = User.email_key.is_(None)


class UserExports:
    """Reads users piece by piece, each in a short transaction of its own."""

    def __init__(self, database: Database, lists: UserLists, audit: Audit) -> None:
        self._database = database
        self._lists = lists
        self._audit = audit

    def begin(
        self, actor: Actor, organization: Organization, wanted: UserFilter, *, form: str
    ) -> Iterator[ListedUser]:
        """Record an export, with how many users it hands out, and return them.

        They come by address, and after them, by number, those who have none.

        It is recorded before the first is handed out: whoever hangs up early is known, too.

        Args:
            form: of the file.
        """
        with self._database.writing() as tx:
            self._audit.record(
                tx,
                EventKind.USERS_EXPORTED,
                actor,
                organization_id=organization.id,
                count=self._lists.total(tx, organization, wanted),
                form=form,
                search=wanted.search or None,
                status=wanted.status.value if wanted.status else None,
                method=wanted.method,
            )
        return self._users(organization, wanted)

    def _users(self, organization: Organization, wanted: UserFilter) -> Iterator[ListedUser]:
        for key, where in ((User.email_key, sa.true()), (User.phone_number, _NO_ADDRESS)):
            after: str | None = ""
            while after is not None:
                with self._database.reading() as tx:
                    piece = self._piece(tx, organization, wanted, sa.and_(where, key > after), key)
                yield from piece
                after = getattr(piece[-1].user, key.key) if len(piece) == PIECE else None

    def _piece(
        self,
        tx: Session,
        organization: Organization,
        wanted: UserFilter,
        left: sa.ColumnElement[bool],
        key: InstrumentedAttribute[str | None],
    ) -> list[ListedUser]:
        next_ones = (
            sa.select(User.id)
            .where(*self._lists.conditions(tx, organization, wanted), left)
            .order_by(key)
            .limit(PIECE)
        )
        return self._lists.listed(tx, organization, tx.scalars(next_ones).all())
