"""/api/v2/org/{domain}/totp-connection: whether the organization offers authenticator apps."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.errors import Invalid
from app.factors.totp import Totp
from app.models import MethodSetting, Organization
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import Fields, read
from app.web.support import services

blueprint = Blueprint(
    "totp_connection", __name__, url_prefix="/api/v2/org/<domain>/totp-connection"
)


class ConnectionFields(Fields):
    """What can be set."""

    active: bool | None = None
    strict: bool | None = None


@blueprint.get("")
@call()
def show(tx: Session, caller: Caller, domain: str) -> ResponseReturnValue:
    """Return the connection, which always exists."""
    organization = caller.organization(tx, domain)
    setting = services().organizations.method_setting(tx, organization, Totp.kind)
    return jsonify(_shown(setting, organization))


@blueprint.put("")
@call()
def update(tx: Session, caller: Caller, domain: str) -> ResponseReturnValue:
    """Switch the connection on or off, and set what it accepts."""
    organization = caller.organization(tx, domain)
    fields = read(ConnectionFields)
    if fields.active is None and fields.strict is None:
        raise Invalid("active", "say true or false; or set strict.")
    setting = services().organizations.switch(
        tx, caller.actor, organization, Totp.kind, active=fields.active, strict=fields.strict
    )
    return jsonify(_shown(setting, organization))


def _shown(setting: MethodSetting, organization: Organization) -> dict[str, object]:
    return {
        "__type__": "TotpConnection",
        "__domain__": organization.domain,
        "__environment__": organization.environment.value,
        "active": setting.active,
        "strict": setting.strict,
    }
