"""/v1/mfa: send a code or show a QR code, verify what was typed, send backup codes."""

from __future__ import annotations

from flask import Blueprint
from sqlalchemy.orm import Session

from app.errors import Invalid, Refusal
from app.factors.base import Refused
from app.models import User
from app.services.api_keys import Permission
from app.services.contact_methods import APP, kind_of
from app.services.contacts import Contact
from app.services.recovery_messages import targets_of
from app.web.api_v1.access import Answer, Caller, call
from app.web.api_v1.body import MfaFields, VerifyFields, read
from app.web.api_v1.types import BACKED_UP, SENT, VERIFIED, Type, contact_of, type_of
from app.web.api_v1.verdicts import not_sent, not_verified
from app.web.support import qr, services

blueprint = Blueprint("v1_mfa", __name__, url_prefix="/v1/mfa")


@blueprint.post("")
@call
def create(tx: Session, caller: Caller) -> Answer | Refusal:
    """Send a code to a contact, or begin an authenticator app."""
    fields = read(MfaFields)
    wanted = type_of(SENT, fields.type)
    is_app = wanted.channel == APP
    caller.demand(Permission.WRITE_ENROLLMENTS if is_app else Permission.WRITE_CHALLENGES)
    user, contact = _known(tx, caller, wanted, fields.user)
    if is_app:
        return {**_told(fields, user), **_begun(tx, caller, user)}
    channel, recipient = wanted.channel or "", _recipient(wanted, user, contact)
    asked = services().contact_codes.send(tx, caller.actor, user, channel, recipient)
    if isinstance(asked, Refused):
        return not_sent(asked)
    challenge = asked.challenge
    return {
        **_told(fields, user),
        "id": challenge.id,
        "status": "pending",
        "reference": challenge.reference,
        "expires_at": f"{challenge.expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }


@blueprint.post("/verify")
@call
def verify(tx: Session, caller: Caller) -> Answer | Refusal:
    """Judge what was typed."""
    fields = read(VerifyFields)
    wanted = type_of(VERIFIED, fields.type)
    caller.demand(Permission.WRITE_CHALLENGES)
    contact = contact_of(wanted, fields.user)
    user = services().contacts.find(tx, caller.organization, contact)
    if user is None:  # no code was ever sent there
        return Refusal("invalid_code", "The code is wrong, used, or too old.", status=401)
    methods = services().contact_methods
    channel = wanted.channel or methods.to_phone(tx, user, caller.application_id)
    methods.demand(tx, user, channel, caller.application_id)
    passed = services().contact_codes.verify(
        tx,
        caller.actor,
        user,
        kind_of(channel),
        None if channel == APP else _recipient(wanted, user, contact),
        fields.code,
        application_id=caller.application_id,
    )
    if isinstance(passed, Refused):
        return not_verified(passed)
    return {
        **_told(fields, user),
        "status": "verified",
        "verified_at": f"{passed.at:%Y-%m-%dT%H:%M:%SZ}",
        "recovery_code_used": passed.recovery_code_used,
        "reenrollment_due": passed.due,
    }


@blueprint.post("/backup")
@call
def backup(tx: Session, caller: Caller) -> Answer | Refusal:
    """Send a new set of backup codes to the user, who alone reads them."""
    fields = read(MfaFields)
    if fields.type == "APP":
        raise Invalid(
            "Type",
            "backup codes go to an e-mail address or a phone number. Send one of them with EMAIL, "
            "SMS or DUAL.",
            code="contact_required",
        )
    wanted = type_of(BACKED_UP, fields.type)
    caller.demand(Permission.WRITE_ENROLLMENTS)
    user, contact = _known(tx, caller, wanted, fields.user)
    recipient = _recipient(wanted, user, contact)
    sent = services().recovery_messages.send(
        tx, caller.actor, user, targets_of(wanted.channel or "", recipient)
    )
    if isinstance(sent, Refused):
        return not_sent(sent)
    return {**_told(fields, user), "status": "sent", "count": sent}


def _known(tx: Session, caller: Caller, wanted: Type, named: str) -> tuple[User, Contact]:
    """Return whom the call is about, and where they are reached; unknown ones are added."""
    contact = contact_of(wanted, named)
    user = services().contacts.known(
        tx,
        caller.actor,
        caller.organization,
        contact,
        may_add=caller.key.may(Permission.WRITE_USERS),
    )
    services().contact_methods.demand(tx, user, wanted.channel or "", caller.application_id)
    return user, contact


def _begun(tx: Session, caller: Caller, user: User) -> Answer:
    begun = services().contact_codes.begin_app(tx, caller.actor, user)
    uri = begun.prompt.view["uri"]
    return {"status": "pending", "qr_code": qr.QrCode(uri).png(), "otp_uri": uri}


def _recipient(wanted: Type, user: User, contact: Contact) -> str:
    """Return where codes of a type go, in the spelling in which we keep it."""
    email = user.email or contact.email
    parts = (email if wanted.email else None, contact.phone_number if wanted.phone else None)
    return ":".join(part for part in parts if part)


def _told(fields: MfaFields, user: User) -> Answer:
    return {"success": True, "type": fields.type, "user_id": str(user.id)}
