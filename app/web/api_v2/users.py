"""/api/v2/org/{domain}/users: the people of an organization."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Literal, cast

from flask import Blueprint
from pydantic import Field
from sqlalchemy.orm import Session

from app.errors import Invalid, Refusal
from app.models import Organization, User
from app.services.api_keys import Permission
from app.services.standing import is_suspended
from app.services.user_fields import UserChanges
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import Body, Fields, read, read_body, read_given, read_query
from app.web.api_v2.wire import Deleted, Listing, Naive, OfOrganization, Page, listing, place
from app.web.support import services

blueprint = Blueprint("users", __name__, url_prefix="/api/v2/org/<domain>/users")

_PAGING = {"page", "per_page", "current_page"}
_MARKS = {"__type__", "__domain__", "__environment__"}
"""What the SDK writes into each object of a form; no part of a profile."""


class UserFields(Fields):
    """`email` and `phone_number` may stand at the top (SDK) or in `profile` (guide).

    One of them is enough.
    """

    email: str | None = None
    phone_number: str | None = Field(
        None, description="In E.164, such as +33612345678; kept without spaces."
    )
    external_id: str | None = Field(
        None, description="Your own id of the user, unique within the organization."
    )
    profile: dict[str, Any] = Field(
        {}, max_length=50, description="Whatever you keep: given_name, family_name, locale, …"
    )

    EXAMPLE: ClassVar[Body] = {
        "profile": {"email": "emilie@communitiz-app.co", "given_name": "Émilie"},
        "phone_number": "+33612345678",
    }


class UserUpdate(Fields):
    """What is to change: a field that is not there stays as it is, in PUT as in PATCH.

    So does an empty field of a form, since clients send whole users as forms. In JSON, null
    (or "") takes away what can be absent.
    """

    email: str | None = Field(None, description="Replaced, but never taken away.")
    phone_number: str | None = Field(
        None,
        description="In E.164. Null or an empty text in JSON takes it away, if there is an email.",
    )
    external_id: str | None = Field(
        None, description="Null or an empty text in JSON takes it away."
    )
    profile: dict[str, Any] | None = Field(
        None,
        max_length=50,
        description="Merged into the profile that is there. In JSON, a name with null is taken "
        "out, and null instead of the object takes all out.",
    )

    EXAMPLE: ClassVar[Body] = {"phone_number": "+33698765432"}


class UserShown(OfOrganization):
    """A user."""

    type_: Literal["User"] = Field("User", alias="__type__")
    id: uuid.UUID
    email: str | None = Field(description="Null for who is known by the phone number alone.")
    email_verified: bool = False
    phone_number: str | None
    phone_numbers: list[str] = Field(description="`phone_number`, if there is one.")
    phone_number_verified: bool = False
    external_id: str | None
    active: bool = Field(True, description="False while an administrator has suspended the user.")
    address: None = Field(None, description="Not kept: always null.")
    identities: list[dict[str, Any]] = Field([], description="Not kept: always empty.")
    meta_data: list[dict[str, Any]] = Field([], description="Not kept: always empty.")
    profile: dict[str, Any]
    inserted_at: Naive
    updated_at: Naive


@blueprint.post("")
@call(
    Permission.WRITE_USERS,
    body=UserFields,
    answer=UserShown,
    status=201,
    refusals=("email_taken", "external_id_taken", "phone_number_taken", "use_get"),
)
def create(tx: Session, caller: Caller, domain: str) -> UserShown:
    """Create a user, whatever the domain of the address is."""
    organization = caller.organization(tx, domain)
    _refuse_listing(domain)
    fields = read(UserFields)
    profile = _profile(fields.profile)
    email, phone_number = profile.pop("email", None), profile.pop("phone_number", None)
    user = services().directory.create(
        tx,
        caller.actor,
        organization,
        email=_text("email", fields.email or email),
        phone_number=_text("phone_number", fields.phone_number or phone_number),
        external_id=fields.external_id,
        profile=profile,
    )
    return shown(user, organization)


@blueprint.get("")
@call(Permission.READ_USERS, query=Page, answer=Listing[UserShown])
def index(tx: Session, caller: Caller, domain: str) -> Listing[UserShown]:
    """List the organization's users, newest first."""
    organization = caller.organization(tx, domain)
    page = read_query(Page)
    rows, total = services().directory.page(
        tx, organization, page=page.number, per_page=page.per_page
    )
    return listing([shown(row, organization) for row in rows], total, page)


@blueprint.get("/<person:id_or_email>")
@call(Permission.READ_USERS, answer=UserShown)
def show(tx: Session, caller: Caller, domain: str, id_or_email: str) -> UserShown:
    """Return a user by id or e-mail address."""
    organization = caller.organization(tx, domain)
    return shown(services().directory.find(tx, organization, id_or_email), organization)


@blueprint.route("/<person:id_or_email>", methods=["PUT", "PATCH"])
@call(
    Permission.WRITE_USERS,
    body=UserUpdate,
    answer=UserShown,
    refusals=("email_taken", "external_id_taken", "phone_number_taken"),
)
def update(tx: Session, caller: Caller, domain: str, id_or_email: str) -> UserShown:
    """Change what is given of a user."""
    organization = caller.organization(tx, domain)
    changes = _changes(read_given(UserUpdate))
    user = services().directory.update(tx, caller.actor, organization, id_or_email, changes)
    return shown(user, organization)


@blueprint.delete("/<person:id_or_email>")
@call(Permission.WRITE_USERS, answer=Deleted[UserShown])
def delete(tx: Session, caller: Caller, domain: str, id_or_email: str) -> Deleted[UserShown]:
    """Delete a user with all authenticators and recovery codes, for good."""
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, id_or_email)
    was = shown(user, organization)
    services().directory.delete(tx, caller.actor, organization, user)
    return Deleted[UserShown](resource=was)


def shown(user: User, organization: Organization) -> UserShown:
    """Return a user as the API shows it."""
    return UserShown(
        **place(organization),
        id=user.id,
        email=user.email,
        phone_number=user.phone_number,
        phone_numbers=[user.phone_number] if user.phone_number else [],
        active=not is_suspended(user),
        external_id=user.external_id,
        profile=user.profile,
        inserted_at=user.created_at,
        updated_at=user.updated_at,
    )


def _refuse_listing(domain: str) -> None:
    """Help out who lists users as the guide does, with `-d` but without `-G`."""
    given = set(read_body())
    if given and given <= _PAGING:
        raise Refusal(
            "use_get",
            f"This would create a user. To list users, send GET /api/v2/org/{domain}/users with "
            "page and per_page in the query (curl needs -G).",
        )


def _changes(fields: UserUpdate) -> UserChanges:
    """Return what is given, wherever the address and the number stand."""
    given: dict[str, Any] = {name: getattr(fields, name) for name in fields.model_fields_set}
    if given.get("profile"):
        profile = given["profile"] = _profile(given["profile"])
        for name in ("email", "phone_number"):
            if name in profile:
                inside = profile.pop(name)
                given.setdefault(name, inside)
    if "email" in given:
        given["email"] = _text("email", given["email"])
    if "phone_number" in given:
        given["phone_number"] = _text("phone_number", given["phone_number"])
    return cast(UserChanges, given)


def _profile(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in _MARKS}


def _text(name: str, value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise Invalid(name, "the field must be text.")
    return value
