"""/api/v2/org/{domain}/messages: what the sandbox captured instead of sending it."""

from __future__ import annotations

import uuid

from flask import Blueprint, abort
from pydantic import Field
from sqlalchemy.orm import Session

from app.models import Environment
from app.services.api_keys import Permission
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import read_query
from app.web.api_v2.wire import Answer, Listing, Page, Zoned, listing
from app.web.support import services

blueprint = Blueprint("messages", __name__, url_prefix="/api/v2/org/<domain>/messages")


class MessageShown(Answer):
    """A message that was captured."""

    id: uuid.UUID
    channel: str = Field(examples=["email"])
    to: str
    subject: str
    text: str
    html: str | None
    status: str = Field(examples=["captured"])
    created_at: Zoned


@blueprint.get("")
@call(Permission.READ_MESSAGES, query=Page, answer=Listing[MessageShown])
def index(tx: Session, caller: Caller, domain: str) -> Listing[MessageShown]:
    """List an organization's captured messages, newest first (none in production)."""
    if caller.environment is not Environment.SANDBOX:
        abort(404)
    organization, page = caller.organization(tx, domain), read_query(Page)
    rows, total = services().delivery.page(
        tx, organization, page=page.number, per_page=page.per_page
    )
    found = [
        MessageShown(
            id=row.id,
            channel=row.channel,
            to=row.recipient,
            subject=row.subject,
            text=text,
            html=None,
            status=row.status,
            created_at=row.created_at,
        )
        for row, text in rows
    ]
    return listing(found, total, page)
