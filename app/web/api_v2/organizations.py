"""/api/v2/organizations: an account-wide key creates and lists its environment's tenants."""

from __future__ import annotations

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import Field
from sqlalchemy.orm import Session

from app.errors import Invalid, Refusal
from app.models import Environment, Organization
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import Fields, read
from app.web.api_v2.wire import listing, naive
from app.web.support import services

blueprint = Blueprint("organizations", __name__, url_prefix="/api/v2/organizations")
_MOST_PER_PAGE = 100


class OrganizationFields(Fields):
    """The guides spell the last one in two ways."""

    name: str
    locale: str | None = Field(None, max_length=35)
    email_domains: list[str] = Field([], max_length=100)
    allowed_email_domains: list[str] = Field([], max_length=100)


@blueprint.post("")
@call()
def create(tx: Session, caller: Caller) -> ResponseReturnValue:
    """Create an organization."""
    _demand_account(caller)
    fields = read(OrganizationFields)
    organization = services().organizations.create(
        tx,
        caller.actor,
        environment=caller.environment,
        name=fields.name,
        email_domains=[*fields.email_domains, *fields.allowed_email_domains],
        locale=fields.locale,
    )
    return jsonify(_shown(organization)), 201


@blueprint.get("")
@call()
def index(tx: Session, caller: Caller) -> ResponseReturnValue:
    """List the environment's organizations, newest first."""
    _demand_account(caller)
    page, per_page = _number("page", 1, 1_000_000), _number("per_page", 10, _MOST_PER_PAGE)
    rows, total = services().organizations.page(
        tx, caller.environment, page=page, per_page=per_page
    )
    return jsonify(listing([_shown(row) for row in rows], total, page=page, per_page=per_page))


def _demand_account(caller: Caller) -> None:
    if caller.api_key is None or not caller.api_key.account_wide:
        raise Refusal("forbidden", "This call needs an account-wide API key.", status=403)


def _number(name: str, default: int, most: int) -> int:
    text = request.args.get(name, str(default))
    short = len(text) <= len(str(most))
    if not (short and text.isascii() and text.isdigit()) or not 1 <= int(text) <= most:
        raise Invalid(name, f"use a number from 1 to {most}.")
    return int(text)


def _shown(organization: Organization) -> dict[str, object]:
    return {
        "__type__": "Organization",
        "id": str(organization.id),
        "name": organization.name,
        "domain": organization.domain,
        "allowed_email_domains": organization.email_domains,
        "environments": [
            {"name": name.value, "status": "up" if name is organization.environment else "down"}
            for name in Environment
        ],
        "locale": organization.locale,
        "inserted_at": naive(organization.created_at),
        "updated_at": naive(organization.updated_at),
    }
