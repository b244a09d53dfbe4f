"""Who calls the API, and what that caller reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from flask import request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.errors import NotFound, Refusal
from app.models import ApiKey, Application, Environment, Organization
from app.services.audit import Actor
from app.web.support import actor, services
from app.web.support.address_limits import count_key, count_stranger

P = ParamSpec("P")


@dataclass(frozen=True, kw_only=True)
class Caller:
    """An API key (by its bearer token), or an application (by its own credentials)."""

    environment: Environment
    actor: Actor
    api_key: ApiKey | None = None
    application: Application | None = None

    def organization(self, tx: Session, domain: str) -> Organization:
        """Return an organization that the caller reaches.

        Raises:
            NotFound: it is unknown, or not the caller's: which of the two is not told.
        """
        found = services().organizations.find(tx, self.environment, domain)
        by_key = self.api_key is not None and self.api_key.reaches(found)
        by_application = self.application is not None and self.application.serves(found)
        if not (by_key or by_application):
            raise NotFound("organization")
        return found


def call(
    *, applications: bool = False
) -> Callable[
    [Callable[Concatenate[Session, Caller, P], ResponseReturnValue]],
    Callable[P, ResponseReturnValue],
]:
    """Make a view a call of the API: one transaction, and a caller that proved itself.

    Args:
        applications: whether an application's own id and secret open it, too.
    """

    def decorate(
        view: Callable[Concatenate[Session, Caller, P], ResponseReturnValue],
    ) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            request.get_data()  # all of it, before a transaction: slow senders must hold no lock
            database = services().database
            reads = request.method in {"GET", "HEAD"}
            with database.reading() if reads else database.writing() as tx:
                caller = _caller(tx)
                if caller.application is not None and not applications:
                    raise Refusal(
                        "forbidden", "This call needs an API key's bearer token.", status=403
                    )
                return view(tx, caller, *args, **kwargs)

        return wrapped

    return decorate


def _caller(tx: Session) -> Caller:
    given = request.authorization
    if given is not None and given.type == "bearer" and given.token:
        return _by_token(tx, given.token)
    if given is not None and given.type == "basic":
        return _by_credentials(tx, given.parameters)
    count_stranger()
    raise _unauthorized("Send Authorization: Bearer with a token from POST /oauth/token.")


def _by_token(tx: Session, token: str) -> Caller:
    client_id = services().tokens.api_key_of(tx, token)
    key = services().api_keys.find(tx, client_id) if client_id else None
    if key is None:
        count_stranger()
        raise _unauthorized("The token is not valid, or it has expired. Ask for a new one.")
    count_key(str(key.id))
    return Caller(environment=key.environment, actor=actor(f"api_key:{key.id}"), api_key=key)


def _by_credentials(tx: Session, parameters: dict[str, Any]) -> Caller:
    username, password = str(parameters.get("username")), str(parameters.get("password"))
    application = services().applications.authenticate(tx, username, password)
    if application is None:
        count_stranger()
        raise _unauthorized("The application's id and secret don't match.")
    count_key(application.client_id)
    return Caller(
        environment=application.environment,
        actor=actor(f"application:{application.client_id}"),
        application=application,
    )


def _unauthorized(message: str) -> Refusal:
    return Refusal("unauthorized", message, status=401)
