"""/api/v2/org/{domain}/messages: what the sandbox captured instead of sending it."""

from __future__ import annotations

import uuid

from flask import Blueprint
from pydantic import Field
from sqlalchemy.orm import Session

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
    inbox = services().inbox
    inbox.demand(caller.environment)
    organization, page = caller.organization(tx, domain), read_query(Page)
    rows, total = inbox.page(tx, organization, page=page.number, per_page=page.per_page)
    found = [
        MessageShown(
            id=row.message.id,
            channel=row.message.channel,
            to=row.message.recipient,
            subject=row.message.subject,
            text=row.text,
            html=row.html,
            status=row.message.status.value,
            created_at=row.message.created_at,
        )
        for row in rows
    ]
    return listing(found, total, page)
