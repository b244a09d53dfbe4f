"""/api/v2/org/{domain}/totp-connection: whether and how the organization offers codes."""

from __future__ import annotations

from typing import ClassVar, Literal

from flask import Blueprint
from pydantic import Field
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.models import MethodSetting, Organization
from app.services.api_keys import Permission
from app.services.totp_settings import settings_of
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import Body, Fields, read
from app.web.api_v2.wire import OfOrganization, place
from app.web.support import services

blueprint = Blueprint(
    "totp_connection", __name__, url_prefix="/api/v2/org/<domain>/totp-connection"
)


class ConnectionFields(Fields):
    """What can be set; authenticators that are there keep what they were made with."""

    active: bool | None = None
    methods: list[str] | None = Field(None, description="`app`, `sms`, or both.")
    issuer: str | None = Field(None, description="As authenticator apps show it; empty for ours.")
    digits: int | None = Field(None, description="6 to 8.", examples=[6])
    period: int | None = Field(None, description="Seconds, 15 to 120.", examples=[30])
    algorithm: str | None = Field(None, description="SHA1, SHA256 or SHA512.")
    window: int | None = Field(None, description="Steps before and after now, 0 to 5.")
    strict: bool | None = Field(None, description="Accept no code of a step after now.")
    recovery_codes: int | None = Field(None, description="How many, 1 to 20.")
    recovery_code_length: int | None = Field(None, description="Characters, 16 to 32.")
    sms_delivery: str | None = Field(
        None,
        description="`application`: the code is in the answer, for you to send. `gateway`: it is "
        "sent and never returned, which switches the channel SMS on.",
    )

    EXAMPLE: ClassVar[Body] = {"active": True, "methods": ["app", "sms"]}


class ConnectionShown(OfOrganization):
    """A TOTP connection."""

    type_: Literal["TotpConnection"] = Field("TotpConnection", alias="__type__")
    active: bool
    methods: list[str]
    issuer: str = Field(description="As authenticator apps show it.")
    digits: int
    period: int
    algorithm: str
    window: int
    strict: bool
    recovery_codes: int
    recovery_code_length: int
    sms_delivery: str


@blueprint.get("")
@call(Permission.READ_CONNECTIONS, answer=ConnectionShown)
def show(tx: Session, caller: Caller, domain: str) -> ConnectionShown:
    """Return the connection, which always exists."""
    organization = caller.organization(tx, domain)
    return _shown(services().method_settings.find(tx, organization), organization)


@blueprint.put("")
@blueprint.patch("", endpoint="patch")
@call(
    Permission.WRITE_CONNECTIONS,
    body=ConnectionFields,
    answer=ConnectionShown,
    refusals=("channel_unavailable",),
)
def update(tx: Session, caller: Caller, domain: str) -> ConnectionShown:
    """Switch the connection on or off, and set how it works; what is not named stays."""
    organization = caller.organization(tx, domain)
    changes = {
        name: value
        for name, value in read(ConnectionFields).model_dump(exclude_unset=True).items()
        if value is not None
    }
    if not changes:
        raise Invalid("active", "say true or false, or set another field.")
    if changes.get("issuer") == "":
        changes["issuer"] = None
    setting = services().method_settings.change(tx, caller.actor, organization, **changes)
    return _shown(setting, organization)


def _shown(setting: MethodSetting, organization: Organization) -> ConnectionShown:
    settings = settings_of(setting)
    return ConnectionShown(
        **place(organization),
        active=setting.active,
        methods=list(settings.methods),
        issuer=settings.issuer or organization.name,
        digits=settings.digits,
        period=settings.period,
        algorithm=settings.algorithm,
        window=settings.window,
        strict=settings.strict,
        recovery_codes=settings.recovery_codes,
        recovery_code_length=settings.recovery_code_length,
        sms_delivery=settings.sms_delivery,
    )
