"""/api/v2/webhooks: where backends are told of events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Literal

from flask import Blueprint
from pydantic import Field
from sqlalchemy.orm import Session

from app.models import Environment, Organization, Webhook
from app.services.api_keys import Permission
from app.services.webhook_drafts import Draft
from app.web.api_v2.access import Caller, call, prepared
from app.web.api_v2.api_keys import ReplacementFields
from app.web.api_v2.body import Body, Fields, read, read_query
from app.web.api_v2.wire import Answer, Deleted, Listing, Naive, Page, Zoned, listing
from app.web.support import services

blueprint = Blueprint("webhooks", __name__, url_prefix="/api/v2/webhooks")


class WebhookFields(Fields):
    """Where a new webhook leads, and what it hears of."""

    name: str = Field(description="For people, to tell webhooks apart.")
    event_codes: list[str] = Field(
        max_length=500,
        description="Kinds of events, as `verification:accepted`; `user:*` means all of a subject, "
        "and `*` all there are, also in later releases.",
    )
    target_url: str = Field(description="Gets a signed POST for each event. HTTPS, and public.")
    organization: str | None = Field(
        None,
        description="Slug of the one that it hears of. Without it, it hears of what the key that "
        "asks for it reaches.",
    )

    EXAMPLE: ClassVar[Body] = {
        "name": "Sign-in log",
        "event_codes": ["verification:accepted", "user:*"],
        "target_url": "https://hooks.example.com/gatehouse",
    }


class SwitchFields(Fields):
    """Whether it hears of what happens."""

    active: bool = Field(
        description="True switches it on again: what waited for it goes on. What happens while it "
        "is off is never sent."
    )

    EXAMPLE: ClassVar[Body] = {"active": True}


class WebhookShown(Answer):
    """A webhook."""

    type_: Literal["Webhook"] = Field("Webhook", alias="__type__")
    environment_: Environment = Field(alias="__environment__")
    id: str = Field(examples=["webhook_2jlSkfEqBWLNb3kyw4LKrCgY9Lu"])
    name: str
    active: bool = Field(description="Off, it hears of nothing.")
    event_codes: list[str]
    target_url: str
    signature_key: str | None = Field(
        description="Secret of its signatures (Standard Webhooks). Told only when it is made; "
        "else null."
    )
    organization: str | None = Field(
        description="Slug of the one that it hears of; null: all of its environment."
    )
    off_reason: Literal["gone", "failing"] | None = Field(
        description="Why it was switched off by itself: it answered 410, or nothing good for long."
    )
    previous_signature_key_until: Zoned | None = Field(
        description="Until then requests are signed with the key before this one, too."
    )
    inserted_at: Naive
    updated_at: Naive


def _draft() -> Draft:
    fields = read(WebhookFields)
    return services().webhook_drafts.drafted(
        name=fields.name, target_url=fields.target_url, event_codes=fields.event_codes
    )


@blueprint.post("")
@call(
    Permission.WRITE_WEBHOOKS,
    body=WebhookFields,
    answer=WebhookShown,
    status=201,
    refusals=("too_many_webhooks",),
    prepare=_draft,
)
def create(tx: Session, caller: Caller) -> WebhookShown:
    """Create a webhook; only this answer holds its signature_key."""
    named, organization = read(WebhookFields).organization, _reach(caller)
    if named is not None:
        organization = caller.organization(tx, named)
    webhook, secret = services().webhooks.create(
        tx,
        caller.actor,
        prepared(Draft),
        environment=caller.environment,
        organization=organization,
    )
    return WebhookShown(**_shown(webhook), signature_key=secret)


@blueprint.get("")
@call(Permission.READ_WEBHOOKS, query=Page, answer=Listing[WebhookShown])
def index(tx: Session, caller: Caller) -> Listing[WebhookShown]:
    """List the webhooks of what the caller reaches, newest first."""
    page = read_query(Page)
    rows, total = services().webhooks.page(
        tx, caller.environment, _reach(caller), page=page.number, per_page=page.per_page
    )
    found = [WebhookShown(**_shown(row), signature_key=None) for row in rows]
    return listing(found, total, page)


@blueprint.get("/<webhook_id>")
@call(Permission.READ_WEBHOOKS, answer=WebhookShown)
def show(tx: Session, caller: Caller, webhook_id: str) -> WebhookShown:
    """Return a webhook."""
    return WebhookShown(**_shown(_find(tx, caller, webhook_id)), signature_key=None)


@blueprint.put("/<webhook_id>")
@call(Permission.WRITE_WEBHOOKS, body=SwitchFields, answer=WebhookShown)
def switch(tx: Session, caller: Caller, webhook_id: str) -> WebhookShown:
    """Switch a webhook on or off."""
    webhook, webhooks = _find(tx, caller, webhook_id), services().webhooks
    if read(SwitchFields).active:
        webhooks.switch_on(tx, caller.actor, webhook)
    else:
        webhooks.switch_off(tx, caller.actor, webhook)
    return WebhookShown(**_shown(webhook), signature_key=None)


@blueprint.post("/<webhook_id>/replacement")
@call(Permission.WRITE_WEBHOOKS, body=ReplacementFields, answer=WebhookShown)
def replace(tx: Session, caller: Caller, webhook_id: str) -> WebhookShown:
    """Give a webhook a new signature_key, which only this answer holds."""
    webhook = _find(tx, caller, webhook_id)
    overlap = timedelta(seconds=read(ReplacementFields).overlap_seconds)
    secret = services().webhooks.replace_secret(tx, caller.actor, webhook, overlap=overlap)
    return WebhookShown(**_shown(webhook), signature_key=secret)


@blueprint.delete("/<webhook_id>")
@call(Permission.WRITE_WEBHOOKS, answer=Deleted[WebhookShown])
def delete(tx: Session, caller: Caller, webhook_id: str) -> Deleted[WebhookShown]:
    """Delete a webhook with all that waits for it."""
    webhook = _find(tx, caller, webhook_id)
    was = WebhookShown(**_shown(webhook), signature_key=None)
    services().webhooks.delete(tx, caller.actor, webhook)
    return Deleted[WebhookShown](resource=was)


def _find(tx: Session, caller: Caller, webhook_id: str) -> Webhook:
    return services().webhooks.named(tx, caller.environment, _reach(caller), webhook_id)


def _reach(caller: Caller) -> Organization | None:
    """Return the one organization of the key that asks; None if it reaches all."""
    return caller.key.organization


def _shown(webhook: Webhook) -> dict[str, Any]:
    return {
        "environment_": webhook.environment,
        "id": webhook.id,
        "name": webhook.name,
        "active": webhook.active,
        "event_codes": webhook.event_codes,
        "target_url": webhook.target_url,
        "organization": webhook.organization.domain if webhook.organization else None,
        "off_reason": webhook.off_reason,
        "previous_signature_key_until": services().webhooks.overlaps_until(webhook),
        "inserted_at": webhook.created_at,
        "updated_at": webhook.updated_at,
    }
