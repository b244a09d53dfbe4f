"""/api/v2/organizations: what an account-wide key does with its environment's tenants."""

from __future__ import annotations

import uuid
from typing import ClassVar, Literal

from flask import Blueprint
from pydantic import Field
from sqlalchemy.orm import Session

from app.models import CUSTOMERS, Environment, Organization
from app.services.api_keys import Permission
from app.services.organizations import OrganizationChanges
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import Body, Fields, read, read_given, read_query
from app.web.api_v2.wire import Answer, Deleted, Listing, Naive, Page, listing
from app.web.support import services

blueprint = Blueprint("organizations", __name__, url_prefix="/api/v2/organizations")


class OrganizationFields(Fields):
    """The guides spell the last one in two ways."""

    name: str
    locale: str | None = Field(None, max_length=35)
    email_domains: list[str] = Field([], max_length=100)
    allowed_email_domains: list[str] = Field([], max_length=100)

    EXAMPLE: ClassVar[Body] = {"name": "Communitiz App", "email_domains": ["communitiz.app"]}


class OrganizationUpdate(Fields):
    """What is to change: a field that is not there stays as it is, in PUT as in PATCH.

    So does an empty field of a form. The slug never changes.
    """

    name: str = Field("", description="Never taken away.")
    locale: str | None = Field(
        None, max_length=35, description="Null or an empty text in JSON takes it away."
    )
    email_domains: list[str] = Field([], max_length=100, description="In place of all others.")
    allowed_email_domains: list[str] = Field(
        [], max_length=100, description="Another spelling of `email_domains`."
    )

    EXAMPLE: ClassVar[Body] = {"name": "Communitiz"}


class OrganizationsAsked(Page):
    """Which organizations are asked for."""

    statuses: list[Literal["up", "down"]] = Field(
        [],
        alias="q[environments_status_in][]",
        description="Those with this standing in the key's environment: all of them are up.",
    )


class EnvironmentShown(Answer):
    """Whether the organization is there in an environment."""

    name: Environment
    status: Literal["up", "down"]


class StatusShown(Answer):
    """How far the creation is: always at its end, since it takes no time."""

    errors: list[str] = Field([])
    estimated_time_to_complete_in_seconds: int = 0
    progress_in_percentage: int = 100
    state: Literal["terminated"] = "terminated"


class OrganizationShown(Answer):
    """An organization."""

    type_: Literal["Organization"] = Field("Organization", alias="__type__")
    id: uuid.UUID
    name: str
    domain: str = Field(description="The slug by which calls name it; it never changes.")
    allowed_email_domains: list[str]
    environments: list[EnvironmentShown]
    locale: str | None
    color: None = Field(None, description="Not kept: always null.")
    icon_logo_url: None = Field(None, description="Not kept: always null.")
    inline_logo_url: None = Field(None, description="Not kept: always null.")
    timezone: None = Field(None, description="Not kept: always null.")
    status: StatusShown = StatusShown()
    inserted_at: Naive
    updated_at: Naive


@blueprint.post("")
@call(Permission.WRITE_ORGANIZATIONS, body=OrganizationFields, answer=OrganizationShown, status=201)
def create(tx: Session, caller: Caller) -> OrganizationShown:
    """Create an organization."""
    caller.demand_account()
    fields = read(OrganizationFields)
    organization = services().organizations.create(
        tx,
        caller.actor,
        environment=caller.environment,
        name=fields.name,
        email_domains=[*fields.email_domains, *fields.allowed_email_domains],
        locale=fields.locale,
    )
    return _shown(organization)


@blueprint.get("")
@call(Permission.READ_ORGANIZATIONS, query=OrganizationsAsked, answer=Listing[OrganizationShown])
def index(tx: Session, caller: Caller) -> Listing[OrganizationShown]:
    """List the environment's organizations, newest first."""
    caller.demand_account()
    page = read_query(OrganizationsAsked)
    if page.statuses and "up" not in page.statuses:
        return listing([], 0, page)
    rows, total = services().organizations.page(
        tx, caller.environment, page=page.number, per_page=page.per_page
    )
    return listing([_shown(row) for row in rows], total, page)


@blueprint.get("/<domain>")
@call(Permission.READ_ORGANIZATIONS, answer=OrganizationShown)
def show(tx: Session, caller: Caller, domain: str) -> OrganizationShown:
    """Return an organization."""
    caller.demand_account()
    return _shown(caller.organization(tx, domain))


@blueprint.route("/<domain>", methods=["PUT", "PATCH"])
@call(Permission.WRITE_ORGANIZATIONS, body=OrganizationUpdate, answer=OrganizationShown)
def update(tx: Session, caller: Caller, domain: str) -> OrganizationShown:
    """Change what is given of an organization."""
    caller.demand_account()
    organization = caller.organization(tx, domain)
    changes = _changes(read_given(OrganizationUpdate))
    services().organizations.update(tx, caller.actor, organization, changes)
    return _shown(organization)


@blueprint.delete("/<domain>")
@call(Permission.WRITE_ORGANIZATIONS, answer=Deleted[OrganizationShown])
def delete(tx: Session, caller: Caller, domain: str) -> Deleted[OrganizationShown]:
    """Delete an organization: no call and no page finds it, or what is below it, any more.

    Its slug stays taken, since the operator can restore it.
    """
    caller.demand_account()
    organization = caller.organization(tx, domain)
    services().organizations.delete(tx, caller.actor, organization)
    return Deleted(resource=_shown(organization))


def _changes(fields: OrganizationUpdate) -> OrganizationChanges:
    given = fields.model_fields_set
    domains = [*fields.email_domains, *fields.allowed_email_domains]
    return OrganizationChanges(
        name=fields.name if "name" in given else None,
        email_domains=domains if given & {"email_domains", "allowed_email_domains"} else None,
        locale=(fields.locale or "") if "locale" in given else None,
    )


def _shown(organization: Organization) -> OrganizationShown:
    return OrganizationShown(
        id=organization.id,
        name=organization.name,
        domain=organization.domain,
        allowed_email_domains=organization.email_domains,
        environments=[
            EnvironmentShown(name=name, status="up" if name is organization.environment else "down")
            for name in CUSTOMERS
        ],
        locale=organization.locale,
        inserted_at=organization.created_at,
        updated_at=organization.updated_at,
    )
