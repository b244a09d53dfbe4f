"""/api/v2/org/{domain}/totp-enrollment: a backend enrolls a user on pages of its own."""

from __future__ import annotations

import uuid
from typing import ClassVar, Literal

from flask import Blueprint
from pydantic import Field
from sqlalchemy.orm import Session

from app.models import Organization, User
from app.services.api_keys import Permission
from app.services.headless import Begun, Judged
from app.web.api_v2.access import Caller, call
from app.web.api_v2.body import Body, Fields, read
from app.web.api_v2.verdicts import UNSENT, demand_unlocked, reason_of
from app.web.api_v2.wire import NaiveMicro, OfOrganization, Zoned, place
from app.web.support import qr, services

blueprint = Blueprint(
    "totp_enrollments", __name__, url_prefix="/api/v2/org/<domain>/totp-enrollment"
)
REFUSALS = (
    *UNSENT,
    "already_enrolled",
    "enrollment_closed",
    "locked",
    "reenrollment_limit_reached",
    "totp_connection_inactive",
    "user_frozen",
    "user_suspended",
)


class EnrollFields(Fields):
    """How to enroll."""

    force_enroll: bool = Field(
        False, description="A human verified the user: replace what is there, with new codes."
    )
    method: str | None = Field(None, description="`app` or `sms`; else the connection's first.")

    EXAMPLE: ClassVar[Body] = {"force_enroll": True, "method": "app"}


class EnrollUserFields(EnrollFields):
    """How to enroll, and whom."""

    user_id: str = Field(min_length=1, max_length=320, description="Id or e-mail address.")

    EXAMPLE: ClassVar[Body] = {
        "user_id": "0d34d179-8a81-49e8-b572-289d0e522691",
        "force_enroll": False,
    }


class ConfirmFields(Fields):
    """The first code."""

    code: str = Field(max_length=1000)

    EXAMPLE: ClassVar[Body] = {"code": "145632"}


class EnrollmentShown(OfOrganization):
    """An enrollment."""

    type_: Literal["TotpEnrollment"] = Field("TotpEnrollment", alias="__type__")
    request_id: str
    user_id: uuid.UUID
    method: Literal["app", "sms"]
    otp_uri: str | None = Field(description="For an authenticator app; shown this once.")
    qr_code: str | None = Field(description="The same as a picture: PNG in base64.")
    qr_code_svg: str | None = Field(description="The same as SVG.")
    recovery_codes: str | None = Field(
        description="One a line, shown this once; they work once the enrollment is confirmed. "
        "Null on a plain re-enrollment: the user keeps the old ones."
    )
    recovery_codes_remaining: int = Field(description="Codes that the user could use now.")
    code: str | None = Field(description="Of method `sms`: send it to the user.")
    validated_at: NaiveMicro | None
    success: bool
    reason: str | None = Field(None, description="Why a code was refused.")
    retry_at: Zoned | None = None
    attempts_remaining: int | None = None
    expires_at: Zoned | None


@blueprint.post("")
@call(
    Permission.WRITE_ENROLLMENTS,
    body=EnrollUserFields,
    answer=EnrollmentShown,
    status=201,
    refusals=(*REFUSALS, "user_not_found"),
)
def create(tx: Session, caller: Caller, domain: str) -> EnrollmentShown:
    """Begin to enroll the user that the body names."""
    organization = caller.organization(tx, domain)
    fields = read(EnrollUserFields)
    user = services().directory.find(tx, organization, fields.user_id)
    return _enroll(tx, caller, organization, user, fields)


@blueprint.post("/<user_id>")
@call(
    Permission.WRITE_ENROLLMENTS,
    body=EnrollFields,
    answer=EnrollmentShown,
    status=201,
    refusals=REFUSALS,
)
def create_for(tx: Session, caller: Caller, domain: str, user_id: str) -> EnrollmentShown:
    """Begin to enroll a user."""
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, user_id)
    return _enroll(tx, caller, organization, user, read(EnrollFields))


@blueprint.put("/validation/<user_id>")
@call(
    Permission.WRITE_ENROLLMENTS,
    body=ConfirmFields,
    answer=EnrollmentShown,
    refusals=("locked", "no_pending_enrollment", "totp_connection_inactive", "user_suspended"),
)
def confirm(tx: Session, caller: Caller, domain: str, user_id: str) -> EnrollmentShown:
    """Confirm an enrollment with the first code."""
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, user_id)
    judged = services().headless.confirm(tx, caller.actor, user, read(ConfirmFields).code)
    demand_unlocked(judged.refused)
    return _confirmed(tx, organization, user, judged)


def _enroll(
    tx: Session, caller: Caller, organization: Organization, user: User, fields: EnrollFields
) -> EnrollmentShown:
    begun = services().headless.enroll(
        tx, caller.actor, user, method=fields.method, forced=fields.force_enroll
    )
    uri = begun.prompt.view["uri"] if begun.prompt else None
    code = qr.QrCode(uri) if uri else None
    return EnrollmentShown(
        **_place(organization, user, begun),
        otp_uri=uri,
        qr_code=code.png() if code else None,
        qr_code_svg=code.svg() if code else None,
        recovery_codes="\n".join(begun.recovery_codes) if begun.recovery_codes else None,
        recovery_codes_remaining=begun.remaining,
        code=begun.code,
        validated_at=None,
        success=False,
        expires_at=begun.authenticator.expires_at,
    )


def _confirmed(
    tx: Session, organization: Organization, user: User, judged: Judged
) -> EnrollmentShown:
    refused, authenticator = judged.refused, judged.authenticator
    return EnrollmentShown(
        **place(organization),
        request_id=judged.request_id,
        user_id=user.id,
        method="app" if authenticator is None or authenticator.kind == "totp" else "sms",
        otp_uri=None,
        qr_code=None,
        qr_code_svg=None,
        recovery_codes=None,
        recovery_codes_remaining=services().recovery.remaining(tx, user),
        code=None,
        validated_at=judged.judged_at if refused is None else None,
        success=refused is None,
        reason=reason_of(refused),
        retry_at=refused.retry_at if refused else None,
        attempts_remaining=refused.attempts_left if refused else None,
        expires_at=authenticator.expires_at if authenticator else None,
    )


def _place(organization: Organization, user: User, begun: Begun) -> dict[str, object]:
    return {
        **place(organization),
        "request_id": begun.authenticator.request_id,
        "user_id": user.id,
        "method": "app" if begun.prompt else "sms",
    }
