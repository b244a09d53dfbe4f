"""/api/v2/magic-link-challenge: a link for a user's mailbox, and the result that it leads to."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Literal

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from pydantic import Field
from sqlalchemy.orm import Session

from app.errors import Invalid, Refusal
from app.models import Application, Organization
from app.services.api_keys import Permission
from app.services.magic_link_challenges import Deliver, LinkAsk
from app.web.api_v2.access import Caller, Operation, answered, call, declared
from app.web.api_v2.body import Body, Fields, read
from app.web.api_v2.wire import Answer, OfOrganization, Zoned, place
from app.web.support import actor, services
from app.web.support.address_limits import count_key, count_stranger
from app.web.support.error_pages import api_error

blueprint = Blueprint("magic_link_challenges", __name__, url_prefix="/api/v2/magic-link-challenge")


class LinkFields(Fields):
    """Whom to send a link, and where the browser goes at the end."""

    user_email: str = Field(min_length=1, max_length=320)
    redirect_uri: str
    org_domain: str | None = Field(
        None, description="Slug of the user's organization; a key of one organization implies it."
    )
    client_id: str | None = Field(
        None, description="Needed only if several applications registered the redirect_uri."
    )
    state: str | None = Field(None, description="Given back to the application as it came.")
    deliver: Deliver = Field(
        Deliver.RETURN,
        description="`return`: the link is in the answer, for you to mail. `gateway`: it is "
        "mailed by the gateway, and never returned.",
    )

    EXAMPLE: ClassVar[Body] = {
        "user_email": "emilie@communitiz-app.co",
        "org_domain": "communitiz-app",
        "redirect_uri": "https://app.example/callback",
    }


class ExchangeFields(Fields):
    """The code that the browser brought back, and whose it is unless a header says so."""

    code: str = Field(max_length=200)
    grant_type: Literal["authorization_code"] | None = None


class CredentialFields(Fields):
    """An application's id and secret, where they stand in the body (RFC 6749 section 2.3.1)."""

    client_id: str = ""
    client_secret: str = ""


class ExchangeRequest(CredentialFields, ExchangeFields):
    """The code that the browser brought back; the credentials may be a Basic header instead."""

    EXAMPLE: ClassVar[Body] = {"code": "Zx3tDqk1", "grant_type": "authorization_code"}


class ChallengeShown(OfOrganization):
    """A magic link."""

    type_: Literal["MagicLinkChallenge"] = Field("MagicLinkChallenge", alias="__type__")
    code: None = None
    email_address: str
    find_or_create_user: Literal[False] = False
    find_or_create: Literal[False] = False
    magic_link: str | None = Field(description="Told only here; null if it was mailed.")
    request_id: str = Field(description="Comes back to the redirect_uri with the code.")
    expires_at: Zoned
    waiting_url: str = Field(
        description="Where to send the browser that asked, if you want the link to work there "
        "alone. Without that it works in the browser that opens it."
    )


class ExchangeShown(Answer):
    """The result of a magic link, used up by this call."""

    type_: Literal["MagicLinkResult"] = Field("MagicLinkResult", alias="__type__")
    result: str = Field(description="The signed statement (JWS).")
    claims: dict[str, Any] = Field(description="What it says.")
    request_id: str = Field(description="Of the challenge.")
    user_id: uuid.UUID
    email: str


@blueprint.post("")
@call(
    Permission.WRITE_CHALLENGES,
    body=LinkFields,
    answer=ChallengeShown,
    refusals=(
        "application_not_found",
        "channel_unavailable",
        "locked",
        "redirect_uri_not_registered",
        "user_not_found",
        "user_suspended",
    ),
)
def create(tx: Session, caller: Caller) -> ChallengeShown:
    """Make a link that proves that the user reads that mailbox; it works once, ten minutes long."""
    fields = read(LinkFields)
    organization = _organization(tx, caller, fields.org_domain)
    ask = LinkAsk(
        email=fields.user_email,
        redirect_uri=fields.redirect_uri,
        client_id=fields.client_id,
        state=fields.state,
        deliver=fields.deliver,
    )
    made = services().magic_link_challenges.create(tx, caller.actor, organization, ask)
    return ChallengeShown(
        **place(organization),
        email_address=made.user.email,
        magic_link=made.address,
        request_id=made.link.id,
        expires_at=made.link.expires_at,
        waiting_url=made.waiting_url,
    )


@blueprint.post("/token")
@declared(
    Operation(
        permission=None,
        body=ExchangeRequest,
        answer=ExchangeShown,
        refusals=("code_invalid", "user_suspended"),
        applications=True,
    )
)
def exchange() -> ResponseReturnValue:
    """Exchange the code that the browser brought back, once and within a minute."""
    request.get_data()  # all of it, before a transaction: slow senders must hold no lock
    with services().database.writing() as tx:
        application = _application(tx)
        fields = read(ExchangeFields)
        by = actor(f"application:{application.client_id}")
        found = services().magic_link_challenges.exchange(tx, by, application, fields.code)
        if found is None:  # returned and not raised, so that the record of a second use is kept
            message = "code: it is not one of yours, it was used, or it is older than a minute."
            return api_error("code_invalid", message, 422)
        return answered(
            ExchangeShown(
                result=found.result,
                claims=found.claims,
                request_id=found.link.id,
                user_id=found.user.id,
                email=found.user.email,
            )
        )


def _organization(tx: Session, caller: Caller, domain: str | None) -> Organization:
    if domain is not None:
        return caller.organization(tx, domain)
    if caller.key.organization is None:
        raise Invalid("org_domain", "name the organization: this API key reaches all of them.")
    return caller.key.organization


def _application(tx: Session) -> Application:
    """Return the application whose own credentials came, in the header or in the body."""
    given = request.authorization
    if given is not None and given.type == "basic":
        named = str(given.parameters.get("username")), str(given.parameters.get("password"))
    else:
        fields = read(CredentialFields)
        named = fields.client_id, fields.client_secret
    application = services().applications.authenticate(tx, *named)
    if application is None:
        count_stranger()
        raise Refusal("unauthorized", "The application's id and secret don't match.", status=401)
    count_key(application.client_id)
    return application
