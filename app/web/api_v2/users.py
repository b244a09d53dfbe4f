"""/api/v2/org/{domain}/users: creating and reading the people of an organization."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from pydantic import Field
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.models import Organization, User
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import Fields, read
from app.web.api_v2.wire import naive
from app.web.support import services

blueprint = Blueprint("users", __name__, url_prefix="/api/v2/org/<domain>/users")


class UserFields(Fields):
    """`email` and `phone_number` may stand at the top (SDK) or in `profile` (guide)."""

    email: str | None = None
    phone_number: str | None = None
    external_id: str | None = None
    profile: dict[str, Any] = Field(default={}, max_length=50)


@blueprint.post("")
@call()
def create(tx: Session, caller: Caller, domain: str) -> ResponseReturnValue:
    """Create a user."""
    organization = caller.organization(tx, domain)
    fields = read(UserFields)
    profile = dict(fields.profile)
    user = services().directory.create(
        tx,
        caller.actor,
        organization,
        email=_text("email", fields.email or profile.pop("email", None), required=True) or "",
        phone_number=_text(
            "phone_number", fields.phone_number or profile.pop("phone_number", None)
        ),
        external_id=fields.external_id,
        profile=profile,
    )
    return jsonify(_shown(user, organization)), 201


@blueprint.get("/<id_or_email>")
@call()
def show(tx: Session, caller: Caller, domain: str, id_or_email: str) -> ResponseReturnValue:
    """Return a user by id or e-mail address."""
    organization = caller.organization(tx, domain)
    return jsonify(_shown(services().directory.find(tx, organization, id_or_email), organization))


def _text(name: str, value: object, *, required: bool = False) -> str | None:
    if value is None and required:
        raise Invalid(name, "the field is missing.")
    if value is not None and not isinstance(value, str):
        raise Invalid(name, "the field must be text.")
    return value


def _shown(user: User, organization: Organization) -> dict[str, object]:
    return {
        "__type__": "User",
        "__domain__": organization.domain,
        "__environment__": organization.environment.value,
        "id": str(user.id),
        "email": user.email,
        "email_verified": False,
        "phone_number": user.phone_number,
        "phone_number_verified": False,
        "external_id": user.external_id,
        "active": True,
        "profile": user.profile,
        "inserted_at": naive(user.created_at),
        "updated_at": naive(user.updated_at),
    }
