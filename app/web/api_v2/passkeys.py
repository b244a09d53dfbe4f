"""/api/v2/org/{domain}/passkey-…: passkeys on pages of your own, on the gateway's host."""

from __future__ import annotations

import json
import uuid
from typing import Any, ClassVar, Literal

from flask import Blueprint
from pydantic import Field
from sqlalchemy.orm import Session

from app.models import Organization, User
from app.services.api_keys import Permission
from app.services.headless import Judged
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import Body, Fields, read
from app.web.api_v2.verdicts import demand_unlocked, reason_of
from app.web.api_v2.wire import OfOrganization, Zoned, place
from app.web.support import services

blueprint = Blueprint("passkeys", __name__, url_prefix="/api/v2/org/<domain>")
CREDENTIAL: Body = {
    "id": "dGhlIGNyZWRlbnRpYWwncyBpZA",
    "rawId": "dGhlIGNyZWRlbnRpYWwncyBpZA",
    "type": "public-key",
    "response": {"clientDataJSON": "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiYyJ9"},
}


class RegisterFields(Fields):
    """How to register."""

    force_enroll: bool = Field(
        False, description="A human verified the user: replace what is there, with new codes."
    )

    EXAMPLE: ClassVar[Body] = {"force_enroll": False}


class CredentialFields(Fields):
    """What the browser made."""

    credential: dict[str, Any] = Field(description="What `credential.toJSON()` returned.")

    EXAMPLE: ClassVar[Body] = {"credential": CREDENTIAL}


class RegistrationShown(OfOrganization):
    """A passkey that is being registered."""

    type_: Literal["PasskeyRegistration"] = Field("PasskeyRegistration", alias="__type__")
    request_id: str
    user_id: uuid.UUID
    options: dict[str, Any] | None = Field(
        description="For `PublicKeyCredential.parseCreationOptionsFromJSON`."
    )
    recovery_codes: str | None = Field(
        description="One a line, shown this once; they work once the passkey is registered. Null "
        "if the user keeps the old ones."
    )
    recovery_codes_remaining: int = Field(description="Codes that the user could use now.")
    success: bool
    reason: str | None = Field(None, description="Why the passkey was refused.")
    retry_at: Zoned | None = None
    attempts_remaining: int | None = None
    expires_at: Zoned | None = Field(description="Until when the options can be answered.")


class AuthenticationShown(OfOrganization):
    """A question to a user's passkeys."""

    type_: Literal["PasskeyAuthentication"] = Field("PasskeyAuthentication", alias="__type__")
    request_id: str
    user_id: uuid.UUID
    options: dict[str, Any] | None = Field(
        description="For `PublicKeyCredential.parseRequestOptionsFromJSON`."
    )
    success: bool
    reason: str | None = Field(None, description="Why the answer was refused.")
    retry_at: Zoned | None = None
    attempts_remaining: int | None = None
    expires_at: Zoned | None = Field(description="Until when the options can be answered.")


@blueprint.post("/passkey-registration/<user_id>")
@call(
    Permission.WRITE_ENROLLMENTS,
    body=RegisterFields,
    answer=RegistrationShown,
    status=201,
    refusals=(
        "already_enrolled",
        "enrollment_closed",
        "passkeys_inactive",
        "reenrollment_limit_reached",
        "user_frozen",
        "user_suspended",
    ),
)
def register(tx: Session, caller: Caller, domain: str, user_id: str) -> RegistrationShown:
    """Begin a passkey for a user."""
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, user_id)
    begun = services().headless_passkeys.register(
        tx, caller.actor, user, forced=read(RegisterFields).force_enroll
    )
    return RegistrationShown(
        **place(organization),
        request_id=begun.request_id,
        user_id=user.id,
        options=begun.options,
        recovery_codes="\n".join(begun.recovery_codes) if begun.recovery_codes else None,
        recovery_codes_remaining=begun.remaining,
        success=False,
        expires_at=begun.expires_at,
    )


@blueprint.put("/passkey-registration/validation/<user_id>")
@call(
    Permission.WRITE_ENROLLMENTS,
    body=CredentialFields,
    answer=RegistrationShown,
    refusals=("locked", "no_pending_enrollment", "passkeys_inactive", "user_suspended"),
)
def finish(tx: Session, caller: Caller, domain: str, user_id: str) -> RegistrationShown:
    """Register the passkey that the browser made."""
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, user_id)
    judged = services().headless_passkeys.finish(tx, caller.actor, user, _credential())
    return RegistrationShown(
        **_judged(organization, user, judged),
        recovery_codes=None,
        recovery_codes_remaining=services().recovery.remaining(tx, user),
    )


@blueprint.post("/passkey-authentication/<user_id>")
@call(
    Permission.WRITE_CHALLENGES,
    answer=AuthenticationShown,
    status=201,
    refusals=("not_enrolled", "passkeys_inactive", "user_suspended"),
)
def ask(tx: Session, caller: Caller, domain: str, user_id: str) -> AuthenticationShown:
    """Ask a user's passkeys to sign."""
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, user_id)
    asked = services().headless_passkeys.ask(tx, user)
    return AuthenticationShown(
        **place(organization),
        request_id=asked.request_id,
        user_id=user.id,
        options=asked.options,
        success=False,
        expires_at=asked.expires_at,
    )


@blueprint.post("/passkey-authentication/validation/<user_id>")
@call(
    Permission.WRITE_CHALLENGES,
    body=CredentialFields,
    answer=AuthenticationShown,
    refusals=("locked", "not_enrolled", "passkeys_inactive", "user_suspended"),
)
def verify(tx: Session, caller: Caller, domain: str, user_id: str) -> AuthenticationShown:
    """Judge what a passkey signed; `success` tells, and a refused one is no error."""
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, user_id)
    judged = services().headless_passkeys.verify(tx, caller.actor, user, _credential())
    return AuthenticationShown(**_judged(organization, user, judged))


def _credential() -> str:
    return json.dumps(read(CredentialFields).credential)


def _judged(organization: Organization, user: User, judged: Judged) -> dict[str, Any]:
    """Return what both answers say of a verdict.

    Raises:
        Refusal: `locked`.
    """
    refused = judged.refused
    demand_unlocked(refused)
    return {
        **place(organization),
        "request_id": judged.request_id,
        "user_id": user.id,
        "options": None,
        "success": refused is None,
        "reason": reason_of(refused),
        "retry_at": refused.retry_at if refused else None,
        "attempts_remaining": refused.attempts_left if refused else None,
        "expires_at": None,
    }
