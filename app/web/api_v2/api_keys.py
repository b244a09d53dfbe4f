"""/api/v2/api-keys: the credentials with which backends call this API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Literal

from flask import Blueprint
from pydantic import Field
from sqlalchemy.orm import Session

from app.errors import Refusal
from app.models import Api, ApiKey, Application, Environment, Organization
from app.services.api_keys import Permission
from app.services.credentials import MOST_OVERLAP
from app.services.key_reach import no_application
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import Body, Fields, Number, read, read_query
from app.web.api_v2.wire import Answer, Listing, Page, Zoned, listing
from app.web.support import services

blueprint = Blueprint("api_keys", __name__, url_prefix="/api/v2/api-keys")


class ApiKeyFields(Fields):
    """What a new key is called, and what it may do: no more than the key that asks for it."""

    name: str = Field(description="For people, to tell keys apart.")
    organization: str | None = Field(
        None,
        description="Slug of the one that it reaches. Without it, it reaches what the key that "
        "asks for it reaches.",
    )
    permissions: list[Permission] | None = Field(
        None, min_length=1, max_length=100, description="Null means all."
    )
    environment: Literal["sandbox", "production", "default"] | None = Field(
        None, description="That of the key that asks; `default` is another word for production."
    )

    api: Api = Field(
        Api.V2,
        description="With `v1` the secret itself is the bearer of the DevRIFT v1 API, for one "
        "organization.",
    )
    application: str | None = Field(
        None,
        description="With `v1`: client_id of the application on whose behalf it asks. Its policy "
        "holds for the calls.",
    )

    EXAMPLE: ClassVar[Body] = {
        "name": "Nightly import",
        "permissions": ["read:users", "write:users"],
    }


class ReplacementFields(Fields):
    """How long the old secret goes on working."""

    overlap_seconds: Number = Field(0, ge=0, le=int(MOST_OVERLAP.total_seconds()))

    EXAMPLE: ClassVar[Body] = {"overlap_seconds": 3600}


class ApiKeyShown(Answer):
    """An API key."""

    type_: Literal["ApiKey"] = Field("ApiKey", alias="__type__")
    environment_: Environment = Field(alias="__environment__")
    client_id: str
    name: str
    api: Api = Field(description="Which API it opens.")
    application: str | None = Field(
        description="client_id of the application on whose behalf a key of API v1 asks."
    )
    organization: str | None = Field(
        description="Slug of the one that it reaches; null: all of its environment."
    )
    permissions: list[Permission] | None = Field(description="Null means all.")
    previous_secret_until: Zoned | None = Field(
        description="Until then the secret before this one works, too."
    )
    blocked_at: Zoned | None = Field(description="Since then it opens nothing.")
    created_at: Zoned


class ApiKeyMade(ApiKeyShown):
    """An API key with its new secret."""

    client_secret: str = Field(description="Told only here.")


@blueprint.post("")
@call(Permission.WRITE_API_KEYS, body=ApiKeyFields, answer=ApiKeyMade, status=201)
def create(tx: Session, caller: Caller) -> ApiKeyMade:
    """Create an API key; only this answer holds its secret."""
    fields = read(ApiKeyFields)
    _demand_environment(caller, fields.environment)
    organization = caller.key.organization
    if fields.organization is not None:
        organization = caller.organization(tx, fields.organization)
    key, secret = services().api_keys.create(
        tx,
        caller.actor,
        environment=caller.environment,
        name=fields.name,
        organization=organization,
        permissions=fields.permissions,
        api=fields.api,
        application=_application(tx, fields.application),
        grantor=caller.key,
    )
    return ApiKeyMade(**_shown(key), client_secret=secret)


@blueprint.get("")
@call(Permission.READ_API_KEYS, query=Page, answer=Listing[ApiKeyShown])
def index(tx: Session, caller: Caller) -> Listing[ApiKeyShown]:
    """List the keys of what the caller reaches, newest first."""
    page = read_query(Page)
    rows, total = services().api_keys.page(
        tx, caller.environment, _reach(caller), page=page.number, per_page=page.per_page
    )
    return listing([ApiKeyShown(**_shown(row)) for row in rows], total, page)


@blueprint.get("/<client_id>")
@call(Permission.READ_API_KEYS, answer=ApiKeyShown)
def show(tx: Session, caller: Caller, client_id: str) -> ApiKeyShown:
    """Return an API key."""
    return ApiKeyShown(**_shown(_find(tx, caller, client_id)))


@blueprint.post("/<client_id>/replacement")
@call(
    Permission.WRITE_API_KEYS,
    body=ReplacementFields,
    answer=ApiKeyMade,
    refusals=("api_key_blocked",),
)
def replace(tx: Session, caller: Caller, client_id: str) -> ApiKeyMade:
    """Give a key a new secret, which only this answer holds; tokens issued before live on."""
    key = _find(tx, caller, client_id)
    overlap = timedelta(seconds=read(ReplacementFields).overlap_seconds)
    secret = services().api_keys.replace_secret(
        tx, caller.actor, key, overlap=overlap, grantor=caller.key
    )
    return ApiKeyMade(**_shown(key), client_secret=secret)


@blueprint.post("/<client_id>/blocklist")
@call(Permission.WRITE_API_KEYS, answer=ApiKeyShown)
def block(tx: Session, caller: Caller, client_id: str) -> ApiKeyShown:
    """Block a key for good: its secrets and its tokens open nothing from now on."""
    key = _find(tx, caller, client_id)
    services().api_keys.block(tx, caller.actor, key)
    return ApiKeyShown(**_shown(key))


def _application(tx: Session, client_id: str | None) -> Application | None:
    if client_id is None:
        return None
    found = services().applications.find(tx, client_id)
    if found is None:
        raise no_application()
    return found


def _find(tx: Session, caller: Caller, client_id: str) -> ApiKey:
    return services().api_keys.named(tx, caller.environment, _reach(caller), client_id)


def _reach(caller: Caller) -> Organization | None:
    """Return the one organization of the key that asks; None if it reaches all."""
    return caller.key.organization


def _demand_environment(caller: Caller, wanted: str | None) -> None:
    named = Environment.PRODUCTION.value if wanted == "default" else wanted
    if named not in {None, caller.environment.value}:
        raise Refusal(
            "forbidden", "environment: a key makes keys of its own environment alone.", status=403
        )


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "environment_": key.environment,
        "client_id": str(key.id),
        "name": key.name,
        "api": key.api,
        "application": str(key.application_id) if key.application_id else None,
        "organization": key.organization.domain if key.organization else None,
        "permissions": key.permissions,
        "previous_secret_until": services().api_keys.overlaps_until(key),
        "blocked_at": key.blocked_at,
        "created_at": key.created_at,
    }
