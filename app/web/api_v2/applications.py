"""/api/v2/applications: the relying parties that send users here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Literal

from flask import Blueprint
from pydantic import Field
from sqlalchemy.orm import Session

from app.models import Application, Environment, Organization
from app.services.api_keys import Permission
from app.services.application_changes import ApplicationChanges
from app.services.application_methods import NAMES, named_methods
from app.services.credentials import MOST_OVERLAP
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import Body, Fields, Number, read, read_given, read_query
from app.web.api_v2.wire import Answer, Deleted, Listing, Page, Zoned, listing
from app.web.support import services

blueprint = Blueprint("applications", __name__, url_prefix="/api/v2/applications")

_SERVED = (
    "Slugs of those that it serves. Null means all of the environment; to a key of one "
    "organization, that one."
)

_VOUCHES = (
    "Whether its users have proved a first factor, such as a password, before it sends them. Then "
    "a second one confirmed here makes `mfa` of `amr`. Never for an email."
)


_METHODS = (
    f"Those that it takes, of {', '.join(f'`{name}`' for name in NAMES)}. Empty means all that an "
    "organization offers."
)


class ApplicationFields(Fields):
    """A new application."""

    name: str = Field(description="As its users know it.")
    redirect_uris: list[str] = Field(
        min_length=1,
        max_length=100,
        description="Absolute https addresses (http for localhost), compared letter by letter.",
    )
    organizations: list[str] | None = Field(None, min_length=1, max_length=500, description=_SERVED)
    vouches_for_first_factor: bool = Field(False, description=_VOUCHES)
    methods: list[str] = Field([], description=_METHODS)

    EXAMPLE: ClassVar[Body] = {
        "name": "Intranet",
        "redirect_uris": ["https://app.example/callback"],
    }


class ApplicationUpdate(Fields):
    """What is to change: a field that is not there stays as it is, in PUT as in PATCH.

    So does an empty field of a form.
    """

    name: str = Field("", description="Never taken away.")
    redirect_uris: list[str] = Field(
        [], min_length=1, max_length=100, description="In place of all others."
    )
    organizations: list[str] | None = Field(
        None, min_length=1, max_length=500, description=f"In place of all others. {_SERVED}"
    )
    vouches_for_first_factor: bool = Field(False, description=_VOUCHES)
    methods: list[str] = Field([], description=_METHODS)

    EXAMPLE: ClassVar[Body] = {"name": "Intranet"}


class SecretFields(Fields):
    """How long the old secret goes on working."""

    overlap_seconds: Number = Field(0, ge=0, le=int(MOST_OVERLAP.total_seconds()))

    EXAMPLE: ClassVar[Body] = {"overlap_seconds": 3600}


class ApplicationShown(Answer):
    """An application."""

    type_: Literal["Application"] = Field("Application", alias="__type__")
    environment_: Environment = Field(alias="__environment__")
    client_id: str
    name: str
    redirect_uris: list[str]
    organizations: list[str] | None = Field(
        description="Slugs of those that it serves; null: all of its environment."
    )
    vouches_for_first_factor: bool = Field(description=_VOUCHES)
    methods: list[str] = Field(description=_METHODS)
    previous_secret_until: Zoned | None = Field(
        description="Until then the secret before this one works, too."
    )
    created_at: Zoned
    updated_at: Zoned


class ApplicationMade(ApplicationShown):
    """An application with its new secret."""

    client_secret: str = Field(description="Told only here.")


@blueprint.post("")
@call(Permission.WRITE_APPLICATIONS, body=ApplicationFields, answer=ApplicationMade, status=201)
def create(tx: Session, caller: Caller) -> ApplicationMade:
    """Register an application; only this answer holds its secret."""
    fields = read(ApplicationFields)
    application, secret = services().applications.create(
        tx,
        caller.actor,
        environment=caller.environment,
        name=fields.name,
        redirect_uris=fields.redirect_uris,
        organizations=_served(tx, caller, fields.organizations),
        vouches_for_first_factor=fields.vouches_for_first_factor,
        methods=fields.methods,
    )
    return ApplicationMade(**_shown(application), client_secret=secret)


@blueprint.get("")
@call(Permission.READ_APPLICATIONS, query=Page, answer=Listing[ApplicationShown])
def index(tx: Session, caller: Caller) -> Listing[ApplicationShown]:
    """List applications, newest first; to a key of one organization only those of its own."""
    page = read_query(Page)
    rows, total = services().applications.page(
        tx, caller.environment, _reach(caller), page=page.number, per_page=page.per_page
    )
    return listing([ApplicationShown(**_shown(row)) for row in rows], total, page)


@blueprint.get("/<client_id>")
@call(Permission.READ_APPLICATIONS, answer=ApplicationShown)
def show(tx: Session, caller: Caller, client_id: str) -> ApplicationShown:
    """Return an application."""
    return ApplicationShown(**_shown(_find(tx, caller, client_id)))


@blueprint.route("/<client_id>", methods=["PUT", "PATCH"])
@call(Permission.WRITE_APPLICATIONS, body=ApplicationUpdate, answer=ApplicationShown)
def update(tx: Session, caller: Caller, client_id: str) -> ApplicationShown:
    """Change what is given of an application."""
    application = _find(tx, caller, client_id)
    fields = read_given(ApplicationUpdate)
    given = fields.model_fields_set
    changes = ApplicationChanges(
        name=fields.name if "name" in given else None,
        redirect_uris=fields.redirect_uris if "redirect_uris" in given else None,
        organizations=(
            _served(tx, caller, fields.organizations) if "organizations" in given else None
        ),
        vouches_for_first_factor=(
            fields.vouches_for_first_factor if "vouches_for_first_factor" in given else None
        ),
        methods=fields.methods if "methods" in given else None,
    )
    services().applications.update(tx, caller.actor, application, changes)
    return ApplicationShown(**_shown(application))


@blueprint.post("/<client_id>/secret")
@call(
    Permission.WRITE_APPLICATIONS,
    body=SecretFields,
    answer=ApplicationMade,
    refusals=("secret_not_replaceable",),
)
def rotate(tx: Session, caller: Caller, client_id: str) -> ApplicationMade:
    """Give an application a new secret; only this answer holds it."""
    application = _find(tx, caller, client_id)
    overlap = timedelta(seconds=read(SecretFields).overlap_seconds)
    secret = services().applications.replace_secret(tx, caller.actor, application, overlap=overlap)
    return ApplicationMade(**_shown(application), client_secret=secret)


@blueprint.delete("/<client_id>")
@call(Permission.WRITE_APPLICATIONS, answer=Deleted[ApplicationShown])
def delete(tx: Session, caller: Caller, client_id: str) -> Deleted[ApplicationShown]:
    """Delete an application: its secrets and its open gateway sessions die at once."""
    application = _find(tx, caller, client_id)
    services().applications.delete(tx, caller.actor, application)
    return Deleted(resource=ApplicationShown(**_shown(application)))


def _find(tx: Session, caller: Caller, client_id: str) -> Application:
    return services().applications.named(tx, caller.environment, _reach(caller), client_id)


def _reach(caller: Caller) -> Organization | None:
    """Return the one organization of the key that asks; None if it reaches all."""
    return caller.key.organization


def _served(tx: Session, caller: Caller, domains: list[str] | None) -> list[Organization]:
    """Return the organizations that are meant; none means all of the environment."""
    if domains is None:
        own = _reach(caller)
        return [own] if own else []
    return [caller.organization(tx, domain) for domain in dict.fromkeys(domains)]


def _shown(application: Application) -> dict[str, Any]:
    return {
        "environment_": application.environment,
        "client_id": application.client_id,
        "name": application.name,
        "redirect_uris": application.redirect_uris,
        "organizations": application.served_domains,
        "vouches_for_first_factor": application.vouches_for_first_factor,
        "methods": named_methods(application.methods),
        "previous_secret_until": services().applications.overlaps_until(application),
        "created_at": application.created_at,
        "updated_at": application.updated_at,
    }
