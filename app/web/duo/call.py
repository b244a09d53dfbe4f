"""A call of a Duo SDK: its parameters, wherever it puts them, and the client that signs it."""

from __future__ import annotations

from flask import Blueprint, request
from sqlalchemy.orm import Session

from app.errors import Refusal
from app.services.duo_tokens import PATH, Proved
from app.web.support import services
from app.web.support.address_limits import count_key, count_stranger

blueprint = Blueprint("duo", __name__, url_prefix=PATH)


def given(name: str) -> str:
    """Return a parameter: in the query (Python), in a form, or in parts of one (PHP).

    Raises:
        Refusal: `invalid_request`: it is there twice, so nobody knows which is meant.
    """
    values = request.values.getlist(name)
    if len(values) > 1:
        raise Refusal("invalid_request", f"{name} is there more than once.", status=400)
    return values[0] if values else ""


def prove(tx: Session, call: str) -> Proved:
    """Return the client whose assertion came with this call; a stranger counts by the address.

    Raises:
        Refusal: `invalid_client`, `invalid_request`, `rate_limited`.
    """
    client_id, assertion = given("client_id"), given("client_assertion")
    try:
        proved = services().duo_tokens.prove(
            tx, call=call, client_id=client_id, assertion=assertion
        )
    except Refusal:
        count_stranger()
        raise
    count_key(proved.client.client_id)
    return proved
