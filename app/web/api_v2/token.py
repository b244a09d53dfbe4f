"""POST /oauth/token: an API key's bearer token (RFC 6749 section 4.4)."""

from __future__ import annotations

from typing import ClassVar, Literal

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from pydantic import Field

from app.errors import Refusal
from app.services.tokens import ACCESS_TOKEN_SECONDS, scope_of
from app.web.api_v2.access import Operation, answered, declared
from app.web.api_v2.body import Body, Fields, read
from app.web.api_v2.wire import Answer
from app.web.support import services
from app.web.support.address_limits import count_key, count_stranger

blueprint = Blueprint("token", __name__)


class TokenFields(Fields):
    """The account domain is `domain`, `audience` or `tenant_domain`, by the client's age."""

    grant_type: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    domain: str | None = None
    audience: str | None = None
    tenant_domain: str | None = None

    EXAMPLE: ClassVar[Body] = {
        "grant_type": "client_credentials",
        "client_id": "b7bde828-4df1-4f62-9a3a-d1541a2fc9e4",
        "client_secret": "79cef058-530c-4c19-a12d-ff57ff5e592b",
    }


class TokenShown(Answer):
    """A bearer token."""

    access_token: str = Field(description="A JWT; it says which environment, and what it opens.")
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  (RFC 6750)
    expires_in: int = Field(description="Seconds.")
    scope: str = Field(description="Permissions of the API key, space-separated.")


@blueprint.post("/oauth/token")
@blueprint.post("/api/v2/oauth/token", endpoint="create_v2")
@declared(Operation(permission=None, body=TokenFields, answer=TokenShown, oauth_errors=True))
def create() -> ResponseReturnValue:
    """Return a bearer token for an API key's id and secret."""
    try:
        fields = read(TokenFields)
    except Refusal as refusal:
        return _error("invalid_request", refusal.message, 400)
    if fields.grant_type != "client_credentials":
        return _error("unsupported_grant_type", "grant_type must be client_credentials.", 400)
    named = {fields.domain, fields.audience, fields.tenant_domain} - {None, ""}
    if named - {services().config.account_domain}:
        return _error("invalid_target", "This deployment has another account domain.", 400)
    client_id, secret = _credentials(fields)
    with services().database.reading() as tx:
        key = services().api_keys.authenticate(tx, client_id, secret)
        if key is None:
            count_stranger()
            return _error("invalid_client", "The client's id and secret don't match.", 401)
        count_key(client_id)
        shown = TokenShown(
            access_token=services().tokens.issue_access_token(tx, key),
            expires_in=ACCESS_TOKEN_SECONDS,
            scope=scope_of(key),
        )
        return answered(shown)


def _credentials(fields: TokenFields) -> tuple[str, str]:
    given = request.authorization
    if given is not None and given.type == "basic":
        return str(given.parameters.get("username")), str(given.parameters.get("password"))
    return fields.client_id or "", fields.client_secret or ""


def _error(code: str, description: str, status: int) -> ResponseReturnValue:
    """Return an error in OAuth's shape (RFC 6749 section 5.2)."""
    headers = {"WWW-Authenticate": 'Basic realm="gatehouse"'} if status == 401 else {}
    return jsonify(error=code, error_description=description), status, headers
