"""The delivery log: which messages went to whom, by whom, and what became of each."""

from __future__ import annotations

import uuid
from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import Challenge, User
from app.services.message_log import MessagePage
from app.services.message_ranges import Cursor
from app.services.recipients import masked
from app.services.roles import Action
from app.web.admin.desk import Seat, noun, page, render
from app.web.admin.messages import log_words as words
from app.web.admin.messages.limit_words import country
from app.web.admin.messages.log_form import LogForm
from app.web.admin.messages.providers import in_sandbox
from app.web.admin.messages.words import CHANNEL
from app.web.support import services

blueprint = noun("messages/log")
_INDEX = "admin_messages_log.index"


@blueprint.get("")
@page(Action.SEE_MESSAGES)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show a page of messages, newest first."""
    form = LogForm(tx, seat.organization, request.args)
    wanted = form.wanted(tx)
    if wanted is None:
        return _page(seat, form, MessagePage(), status=422)
    found = services().message_log.page(tx, wanted, Cursor.read(request.args.get("at")))
    user = tx.get(User, wanted.user_id) if wanted.user_id else None
    return _page(seat, form, found, user)


@blueprint.get("/<uuid:message_id>")
@page(Action.SEE_MESSAGES)
def show(tx: Session, seat: Seat, message_id: uuid.UUID) -> ResponseReturnValue:
    """Show what happened to one message."""
    message = services().message_log.find(tx, seat.organization, message_id)
    challenge = tx.get(Challenge, message.challenge_id) if message.challenge_id else None
    return render(
        "admin/messages/message.html",
        seat,
        message=message,
        user=tx.get(User, message.user_id) if message.user_id else None,
        name=words.name_of(message),
        why=words.why(message),
        state=words.STATUSES[message.status],
        means=words.MEANS[message.status],
        recipient=masked(message.recipient),
        channel=CHANNEL[message.channel],
        country=country(message.country) if message.country else "",
        reference=challenge.reference if challenge else "",
        steps=words.steps(message),
        is_shortened=words.is_shortened(message),
        sandbox=in_sandbox(seat),
    )


def _page(
    seat: Seat, form: LogForm, found: MessagePage, user: User | None = None, *, status: int = 200
) -> ResponseReturnValue:
    return render(
        "admin/messages/log.html",
        seat,
        status,
        form=form,
        found=found,
        user=user,
        states=words.STATUSES,
        name_of=words.name_of,
        why=words.why,
        masked=masked,
        channels=CHANNEL,
        newer=_address(form, found.newer),
        older=_address(form, found.older),
        days=services().config.message_days,
        sandbox=in_sandbox(seat),
    )


def _address(form: LogForm, cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    values: dict[str, Any] = {**form.values, "at": str(cursor)}
    return url_for(_INDEX, **values)
