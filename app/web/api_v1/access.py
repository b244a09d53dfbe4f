"""Who calls API v1: a key by its secret; one transaction for each call."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Response, jsonify, make_response, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.errors import Refusal
from app.models import ApiKey, Organization
from app.services.api_keys import Permission
from app.services.audit import Actor
from app.web.api_v1.versions import demand_known
from app.web.support import actor, services
from app.web.support.address_limits import count_key, count_stranger

Answer = dict[str, Any]
View = Callable[[Session, "Caller"], Answer | Refusal]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A key of API v1, and the one organization that it opens."""

    key: ApiKey
    organization: Organization
    actor: Actor

    @property
    def application_id(self) -> uuid.UUID | None:
        """The application on whose behalf it asks."""
        return self.key.application_id

    def demand(self, permission: Permission) -> None:
        """Refuse what the key may not do.

        Raises:
            Refusal: `forbidden`.
        """
        if not self.key.may(permission):
            raise Refusal("forbidden", f"This call needs the permission {permission}.", status=403)


def call(view: View) -> Callable[[], ResponseReturnValue]:
    """Make a view a call of API v1, in one transaction that writes.

    A refusal that the view returns is told after the commit, so that what was counted stays; one
    that it raises undoes everything.
    """

    @wraps(view)
    def wrapped() -> ResponseReturnValue:
        request.get_data()  # all of it, before a transaction: slow senders must hold no lock
        database = services().database
        with database.reading() as tx:
            _caller(tx)  # a stranger writes nothing, and waits for no writer
        with database.writing() as tx:
            answer = view(tx, _caller(tx))
        return _answered(answer)

    return wrapped


def look(view: View) -> Callable[[], ResponseReturnValue]:
    """Make a view a call of API v1 that changes nothing."""

    @wraps(view)
    def wrapped() -> ResponseReturnValue:
        with services().database.reading() as tx:
            answer = view(tx, _caller(tx))
        return _answered(answer)

    return wrapped


def _answered(answer: Answer | Refusal) -> Response:
    if isinstance(answer, Refusal):
        raise answer
    return make_response(jsonify(answer), 200)


def _caller(tx: Session) -> Caller:
    given = request.authorization
    secret = given.token if given is not None and given.type == "bearer" else None
    # The guide writes its placeholder in braces, and some leave them there.
    key = services().api_keys.bearing(tx, secret.strip("{}")) if secret else None
    if key is None or key.organization is None:
        count_stranger()
        raise Refusal(
            "invalid_api_key",
            "Send Authorization: Bearer with the secret of an API key for v1 (sk_test_… or "
            "sk_live_…) that works.",
            status=401,
        )
    count_key(str(key.id))
    demand_known()
    return Caller(key=key, organization=key.organization, actor=actor(f"api_key:{key.id}"))
