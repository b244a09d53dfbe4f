"""The delivery log: what became of an organization's messages, never what they say.

Each page reads along one index of `app.models.message`, or along one for each channel of a user,
and looks at no more than `EXAMINED` messages of each. Where a filter that no index serves leaves
too few of them for a page, the page says how far it has looked.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from app.errors import NotFound
from app.models import Message, MessageStatus, Organization, User
from app.providers.base import CHANNELS
from app.services.message_ranges import Cursor, Place, Way, along

EXAMINED = 20_000
"""So many messages one page looks at, at most, in each index range."""


@dataclass(frozen=True, kw_only=True)
class MessageFilter:
    """Which messages of an organization are looked for; None leaves a thing open.

    Attributes:
        recipient: the whole address or number, as messages have it.
        country: of ISO 3166, of the recipient's number.
        account_id: of the provider that was asked last.
        provider: what that was called then.
        since: the first moment.
        until: the first moment that is too late.
    """

    organization_id: uuid.UUID
    channel: str | None = None
    status: MessageStatus | None = None
    user_id: uuid.UUID | None = None
    recipient: str | None = field(default=None, repr=False)
    country: str | None = None
    account_id: uuid.UUID | None = None
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class MessagePage:
    """Some messages, newest first.

    Attributes:
        users: those to whom they went, as far as they are still there, by id.
        older: where the next page starts; None if there is nothing older.
        newer: where the page before starts; None if there is nothing newer.
        looked_until: the moment down to which was looked, if this page is not full although there
            are older messages.
    """

    messages: Sequence[Message] = ()
    users: dict[uuid.UUID, User] = field(default_factory=dict)
    older: Cursor | None = None
    newer: Cursor | None = None
    looked_until: datetime | None = None


@dataclass(frozen=True)
class _Found:
    """What was found in one direction, nearest first.

    Attributes:
        edge: up to which was looked; None if there is nothing beyond.
    """

    places: list[Place]
    edge: Place | None


class MessageLog:
    """Finds messages by what is known of them; what they say is not even read."""

    def page(
        self, tx: Session, wanted: MessageFilter, cursor: Cursor | None = None, *, size: int = 50
    ) -> MessagePage:
        """Return a page of messages, newest first.

        Args:
            cursor: of another page of the same search; none starts with the newest message.
        """
        newer = cursor is not None and cursor.newer
        found = _look(tx, wanted, cursor, size=size)
        if newer and found.edge is None and len(found.places) < size:
            return self.page(tx, wanted, size=size)  # the newest page is a whole one
        messages = _messages(tx, found.places)
        users = _users(tx, messages)
        if newer:
            return _newer_page(found, messages, users)
        return _older_page(found, messages, users, cursor)

    def find(self, tx: Session, organization: Organization, message_id: uuid.UUID) -> Message:
        """Return a message of the organization.

        Raises:
            NotFound: it has none with this id.
        """
        wanted = _without_words().where(Message.id == message_id)
        message = tx.scalar(wanted)
        if message is None or message.organization_id != organization.id:
            raise NotFound("message")
        return message


def _older_page(
    found: _Found, messages: Sequence[Message], users: dict[uuid.UUID, User], cursor: Cursor | None
) -> MessagePage:
    is_last = not found.places or found.places[-1] != found.edge
    first = found.places[0] if found.places else None
    if first is None and cursor is not None:
        first = Place(cursor.place.at, _before(cursor.place.id))
    return MessagePage(
        messages=messages,
        users=users,
        older=Cursor(found.edge) if found.edge else None,
        newer=Cursor(first, newer=True) if cursor and first else None,
        looked_until=found.edge.at if found.edge and is_last else None,
    )


def _newer_page(
    found: _Found, messages: Sequence[Message], users: dict[uuid.UUID, User]
) -> MessagePage:
    last = found.places[0] if found.places else found.edge
    return MessagePage(
        messages=messages,
        users=users,
        older=Cursor(last) if last else None,
        newer=Cursor(found.edge, newer=True) if found.edge else None,
    )


def _before(message_id: uuid.UUID) -> uuid.UUID:
    return uuid.UUID(int=max(0, message_id.int - 1))


def _look(tx: Session, wanted: MessageFilter, cursor: Cursor | None, *, size: int) -> _Found:
    """Look along every index range that the search needs, and merge what is found."""
    newer = cursor is not None and cursor.newer
    looked = [_look_along(tx, way, wanted, cursor, size=size) for way in _ways(wanted)]
    places = sorted((one for of in looked for one in of.places), key=lambda one: one.key)
    edges = sorted((of.edge for of in looked if of.edge), key=lambda one: one.key)
    places = places if newer else places[::-1]
    edge = (edges[0] if newer else edges[-1]) if edges else None
    if edge is not None:
        # Beyond the nearest edge not every range was looked along.
        places = [one for one in places if (one.key <= edge.key if newer else one.key >= edge.key)]
    if len(places) > size:
        return _Found(places[:size], places[size - 1])
    return _Found(places, edge)


def _look_along(
    tx: Session, way: Way, wanted: MessageFilter, cursor: Cursor | None, *, size: int
) -> _Found:
    """Look along one index range, of which the rest of the search picks."""
    newer = cursor is not None and cursor.newer
    ranged = along(way, cursor, since=wanted.since, until=wanted.until)
    near = ranged.limit(EXAMINED).subquery()
    order = [one.asc() if newer else one.desc() for one in (near.c.created_at, near.c.id)]
    picked = sa.select(near.c.created_at, near.c.id).where(*_asked(near, wanted))
    places = [Place(at, id_) for at, id_ in tx.execute(picked.order_by(*order).limit(size + 1))]
    if len(places) > size:
        return _Found(places, places[size])
    only = ranged.with_only_columns(Message.created_at, Message.id)
    last = tx.execute(only.offset(EXAMINED - 1).limit(1)).first()
    return _Found(places, Place(*last) if last else None)


def _ways(wanted: MessageFilter) -> list[Way]:
    """Return the index ranges to look along."""
    if wanted.user_id is not None:
        channels = [wanted.channel] if wanted.channel else CHANNELS
        return [{Message.user_id: wanted.user_id, Message.channel: one} for one in channels]
    mine: Way = {Message.organization_id: wanted.organization_id}
    if wanted.status is not None:
        return [{**mine, Message.status: wanted.status}]
    return [{**mine, Message.channel: wanted.channel} if wanted.channel else mine]


def _asked(near: sa.Subquery, wanted: MessageFilter) -> Iterable[sa.ColumnElement[bool]]:
    """Yield all that is asked of a message."""
    asked: dict[str, object] = {
        "channel": wanted.channel,
        "status": wanted.status,
        "user_id": wanted.user_id,
        "recipient": wanted.recipient,
        "country": wanted.country,
        "provider_account_id": wanted.account_id,
        "provider": wanted.provider,
    }
    yield near.c.organization_id == wanted.organization_id
    for name, value in asked.items():
        if value is not None:
            yield near.c[name] == value


def _without_words() -> sa.Select[Message]:
    hidden = (defer(one, raiseload=True) for one in (Message.body, Message.subject))
    return sa.select(Message).options(*hidden).execution_options(populate_existing=True)


def _messages(tx: Session, places: Sequence[Place]) -> list[Message]:
    found = tx.scalars(_without_words().where(Message.id.in_([one.id for one in places])))
    return sorted(found, key=lambda one: (one.created_at, one.id.int), reverse=True)


def _users(tx: Session, messages: Sequence[Message]) -> dict[uuid.UUID, User]:
    ids = {one.user_id for one in messages if one.user_id}
    return {one.id: one for one in tx.scalars(sa.select(User).where(User.id.in_(ids)))}
