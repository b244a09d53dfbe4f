"""/api/v2/org/{domain}/users/{id}/…: what a user has, and what an administrator does about it."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from app.models import Authenticator, AuthenticatorStatus, Event
from app.services.api_keys import Permission
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import read_query
from app.web.api_v2.users import UserShown, shown
from app.web.api_v2.wire import Answer, Deleted, Listing, Page, Zoned, listing
from app.web.support import services

blueprint = Blueprint(
    "authenticators", __name__, url_prefix="/api/v2/org/<domain>/users/<person:id_or_email>"
)


class AuthenticatorShown(Answer):
    """An authenticator; its secret is never shown."""

    id: uuid.UUID
    kind: str
    status: AuthenticatorStatus
    created_at: Zoned
    confirmed_at: Zoned | None
    last_used_at: Zoned | None


class AuthenticatorsShown(Answer):
    """All that a user has or is setting up, newest first."""

    data: list[AuthenticatorShown]
    total: int


class RemovalQuery(BaseModel):
    """What becomes of a user who is left with nothing."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    reopen: bool = Field(
        False,
        description="Whether the user may enroll at the next visit without further proof, "
        "if this was the last authenticator.",
    )


class RecoveryCodesShown(Answer):
    """How a user stands with recovery codes; the codes themselves are never shown again."""

    remaining: int
    next_use_at: Zoned | None = Field(description="Null if the next code works at once.")
    reenrollments: int = Field(
        description="So many times a code replaced an authenticator since a human looked."
    )
    reenrollments_left: int


class ApprovalShown(Answer):
    """That a human verified the user is on record."""

    due: bool = Field(description="Whether the user now enrolls anew at the next visit.")


class EventShown(Answer):
    """Something that happened."""

    id: int
    at: Zoned
    kind: str = Field(examples=["verification:accepted"], description="`subject:action`.")
    actor: str = Field(
        description="`user`, `application:<id>`, `api_key:<id>`, `administrator:<id>`, `operator` "
        "or `system`."
    )
    address: str | None = Field(description="The peer's IP address.")
    detail: dict[str, Any]
    gateway_session_id: str | None


@blueprint.get("/authenticators")
@call(Permission.READ_USERS, answer=AuthenticatorsShown)
def index(tx: Session, caller: Caller, domain: str, id_or_email: str) -> AuthenticatorsShown:
    """List a user's authenticators; removed ones are not there."""
    user = services().directory.find(tx, caller.organization(tx, domain), id_or_email)
    rows = services().authenticators.of(tx, user)
    return AuthenticatorsShown(data=[_shown(row) for row in rows], total=len(rows))


@blueprint.delete("/authenticators/<authenticator_id>")
@call(Permission.WRITE_USERS, query=RemovalQuery, answer=Deleted[AuthenticatorShown])
def remove(
    tx: Session, caller: Caller, domain: str, id_or_email: str, authenticator_id: str
) -> Deleted[AuthenticatorShown]:
    """Remove a user's authenticator: it stops working at once, and the user is told.

    Without `reopen=true` a user who is left with none can't set up another before an
    administrator helps.
    """
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, id_or_email)
    one = services().authenticators.find(tx, user, authenticator_id)
    was, reopen = _shown(one), read_query(RemovalQuery).reopen
    services().authenticators.remove(tx, caller.actor, organization, user, one, reopen=reopen)
    return Deleted[AuthenticatorShown](resource=was)


@blueprint.get("/recovery-codes")
@call(Permission.READ_USERS, answer=RecoveryCodesShown)
def recovery_codes(
    tx: Session, caller: Caller, domain: str, id_or_email: str
) -> RecoveryCodesShown:
    """Tell how many recovery codes a user has left, and when the next one works."""
    user = services().directory.find(tx, caller.organization(tx, domain), id_or_email)
    left = services().authenticators.recovery(tx, user)
    return RecoveryCodesShown(
        remaining=left.remaining,
        next_use_at=left.next_use_at,
        reenrollments=left.reenrollments,
        reenrollments_left=left.reenrollments_left,
    )


@blueprint.post("/unlock")
@call(Permission.WRITE_USERS, answer=UserShown)
def unlock(tx: Session, caller: Caller, domain: str, id_or_email: str) -> UserShown:
    """Let a user try again, whatever was typed wrong before."""
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, id_or_email, locked=True)
    services().user_care.unlock(tx, caller.actor, organization, user)
    return shown(user, organization)


@blueprint.post("/reenrollment-approval")
@call(Permission.WRITE_USERS, answer=ApprovalShown)
def approve(tx: Session, caller: Caller, domain: str, id_or_email: str) -> ApprovalShown:
    """Record that a human verified a user: re-enrollments by recovery codes count anew."""
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, id_or_email, locked=True)
    due = services().enrollment.approve(tx, caller.actor, organization, user)
    return ApprovalShown(due=due)


@blueprint.get("/events")
@call(Permission.READ_EVENTS, query=Page, answer=Listing[EventShown])
def events(tx: Session, caller: Caller, domain: str, id_or_email: str) -> Listing[EventShown]:
    """List what happened to a user, newest first."""
    user = services().directory.find(tx, caller.organization(tx, domain), id_or_email)
    page = read_query(Page)
    rows, total = services().audit.page(tx, user, page=page.number, per_page=page.per_page)
    return listing([_event(row) for row in rows], total, page)


def _shown(row: Authenticator) -> AuthenticatorShown:
    return AuthenticatorShown(
        id=row.id,
        kind=row.kind,
        status=row.status,
        created_at=row.created_at,
        confirmed_at=row.confirmed_at,
        last_used_at=row.last_used_at,
    )


def _event(row: Event) -> EventShown:
    return EventShown(
        id=row.id,
        at=row.at,
        kind=row.kind,
        actor=row.actor,
        address=row.address,
        detail=row.detail,
        gateway_session_id=row.gateway_session_id,
    )
