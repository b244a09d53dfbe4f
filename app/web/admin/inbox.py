"""The sandbox's inbox: captured messages as a mailbox and as a phone; production has none."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.models import Message, User
from app.services.inbox import EMAIL, SMS, Captured, Place
from app.services.roles import Action
from app.web.admin.desk import Seat, noun, page, render
from app.web.support import services

blueprint = noun("inbox")

_EMAILS, _TEXTS = 10, 8
"""On one page; a phone shows fewer."""
_ADDRESS = re.compile(r"https?://[^\s<>\"]+")
_CODE = re.compile(r"(?<![\w/.-])\d{6,8}(?![\w/-])")
_AFTER = ".,;:!?)"
"""Ends a sentence, not an address."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """A message as the page shows it.

    Attributes:
        parts: its text in pieces, each with the address that it links to, or none.
        code: the one in it that is meant to be typed, or nothing.
    """

    message: Message
    parts: Sequence[tuple[str, str | None]]
    code: str


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Messages of one channel.

    Attributes:
        older: address of the page with those before these, if there are any.
        newest: address of the first page, if this is not it.
    """

    letters: Sequence[Letter]
    older: str | None
    newest: str | None


@blueprint.get("")
@page(Action.READ_INBOX)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show what was captured, newest first."""
    services().inbox.demand(seat.organization.environment)
    typed = request.args.get("user", "").strip()
    user = _user(tx, seat, typed)
    is_unknown = bool(typed) and user is None
    return render(
        "admin/inbox/index.html",
        seat,
        typed=typed,
        user=user,
        is_unknown=is_unknown,
        mailbox=None if is_unknown else _shelf(tx, seat, EMAIL, _EMAILS, user),
        phone=None if is_unknown else _shelf(tx, seat, SMS, _TEXTS, user),
    )


def parts_of(text: str, base_url: str) -> Iterator[tuple[str, str | None]]:
    """Yield a text in pieces; addresses of Gatehouse itself are links, all others stay text (F67).

    Args:
        base_url: origin of the deployment, without a slash at the end.
    """
    end = 0
    for found in _ADDRESS.finditer(text):
        address = found[0].rstrip(_AFTER)
        if not address.startswith(f"{base_url}/"):
            continue
        yield text[end : found.start()], None
        yield address, address
        end = found.start() + len(address)
    yield text[end:], None


def _user(tx: Session, seat: Seat, typed: str) -> User | None:
    try:
        return services().directory.find(tx, seat.organization, typed) if typed else None
    except NotFound:
        return None


def _shelf(tx: Session, seat: Seat, channel: str, number: int, user: User | None) -> Shelf:
    before = _place(request.args.get(channel, ""))
    captured, more = services().inbox.newest(
        tx,
        seat.organization,
        channel,
        number=number,
        user_id=user.id if user else None,
        before=before,
    )
    return Shelf(
        letters=[_letter(one) for one in captured],
        older=_address(**{channel: _cursor(captured[-1].place)}) if more else None,
        newest=_address(**{channel: ""}) if before else None,
    )


def _letter(captured: Captured) -> Letter:
    text = captured.text.strip()
    codes = _CODE.findall(text) if captured.message.name == "code" else []
    parts = list(parts_of(text, services().config.base_url))
    return Letter(message=captured.message, parts=parts, code=codes[0] if codes else "")


def _address(**changes: str) -> str:
    """Return the address of this page with something else chosen on one of its shelves."""
    chosen = {name: request.args.get(name, "") for name in ("user", EMAIL, SMS)} | changes
    given = {name: value for name, value in chosen.items() if value}
    return url_for("admin_inbox.index", **given)  # type: ignore[arg-type]


def _cursor(place: Place) -> str:
    return f"{place.at.isoformat()}~{place.id.hex}"


def _place(cursor: str) -> Place | None:
    """Return the place that a cursor names; what we never made names none."""
    at, _, message_id = cursor.partition("~")
    try:
        place = Place(at=datetime.fromisoformat(at), id=uuid.UUID(message_id))
    except ValueError:
        return None
    return place if place.at.tzinfo else None
