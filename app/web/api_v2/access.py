"""Who calls the API, what that caller reaches, and what each call takes and gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from flask import Response, g, make_response, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel
from sqlalchemy.orm import Session

from app.errors import NotFound, Refusal
from app.models import ApiKey, Application, Environment, Organization
from app.services.api_keys import Permission
from app.services.audit import Actor
from app.web.api_v2.bearers import admit, bearer
from app.web.api_v2.repeats import answer_once, may_repeat
from app.web.api_v2.wire import Answer
from app.web.support import actor, services
from app.web.support.address_limits import count_key, count_stranger

P = ParamSpec("P")
T = TypeVar("T")
View = Callable[Concatenate[Session, "Caller", P], Answer | ResponseReturnValue]
StreamedView = Callable[Concatenate["Caller", P], Answer]


@dataclass(frozen=True, kw_only=True)
class Caller:
    """An API key (by its bearer token), or an application (by its own credentials)."""

    environment: Environment
    actor: Actor
    api_key: ApiKey | None = None
    application: Application | None = None

    @property
    def key(self) -> ApiKey:
        """The API key, on a call that is not open to applications."""
        if self.api_key is None:
            raise _needs_key()
        return self.api_key

    @property
    def client_id(self) -> str:
        """The id by which the caller proved itself."""
        found = self.api_key or self.application
        return str(found.id) if found else ""

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

    def demand_account(self) -> None:
        """Refuse a key of one organization.

        Raises:
            Refusal: `forbidden`.
        """
        if not self.key.account_wide:
            raise Refusal("forbidden", "This call needs an account-wide API key.", status=403)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What the reference says of a call; it hangs on the view as `operation`.

    Attributes:
        permission: what an API key needs; None for a call with credentials of its own.
        body: the fields that it reads.
        query: the fields of its query.
        answer: the body of its answer.
        status: of a good answer.
        refusals: types of error besides those that every call has.
        applications: whether an application's own id and secret open it, too.
        oauth_errors: whether its errors have OAuth's shape.
        media: type of the body's content; in one that is streamed, the fields are a row's.
    """

    permission: Permission | None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    status: int = 200
    refusals: tuple[str, ...] = ()
    applications: bool = False
    media: str = "application/json"
    oauth_errors: bool = False


def declared(
    operation: Operation,
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, ResponseReturnValue]]:
    """Hang on a view what the reference says of it."""

    def decorate(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
        cast(Any, view).operation = operation
        return view

    return decorate


def call(
    permission: Permission,
    *,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    answer: type[BaseModel] | None = None,
    status: int = 200,
    refusals: tuple[str, ...] = (),
    applications: bool = False,
    prepare: Callable[[], object] | None = None,
    directly: Callable[..., Answer | None] | None = None,
) -> Callable[[View[P]], Callable[P, ResponseReturnValue]]:
    """Make a view a call of the API: one transaction, and a caller that proved itself.

    Args:
        prepare: does before the transaction what takes long, as to look a name up, for a caller
            that proved itself; `prepared` returns what it found. See `Operation` for the others.
        directly: answers a usual call by itself, and faster; None leaves it to the view.
    """
    operation = Operation(
        permission=permission,
        body=body,
        query=query,
        answer=answer,
        status=status,
        refusals=refusals,
        applications=applications,
    )

    def decorate(view: View[P]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            request.get_data()  # all of it, before a transaction: slow senders must hold no lock

            def work(tx: Session) -> Response:
                caller = _admitted(tx, operation)
                return make_response(answered(view(tx, caller, *args, **kwargs), status))

            if may_repeat():
                return answer_once(
                    lambda tx: _admitted(tx, operation).client_id, work, lambda: _prepare(prepare)
                )
            if directly is not None and (answer := directly(*args, **kwargs)) is not None:
                return answered(answer, status)
            database = services().database
            if prepare is not None:
                with database.reading() as tx:
                    _admitted(tx, operation)
                _prepare(prepare)
            reads = request.method in {"GET", "HEAD"}
            with database.reading() if reads else database.writing() as tx:
                return work(tx)

        return declared(operation)(wrapped)

    return decorate


def streamed(
    permission: Permission,
    *,
    body: type[BaseModel],
    media: str,
    most_bytes: int,
    answer: type[BaseModel],
    query: type[BaseModel] | None = None,
    refusals: tuple[str, ...] = (),
) -> Callable[[StreamedView[P]], Callable[P, ResponseReturnValue]]:
    """Make a view a call that reads its body as it comes and opens its own transactions.

    The caller proves itself before anything is read.

    Args:
        most_bytes: so long a body may be. See `Operation` for the others.
    """
    operation = Operation(
        permission=permission,
        body=body,
        query=query,
        media=media,
        answer=answer,
        refusals=refusals,
    )

    def decorate(view: StreamedView[P]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            request.max_content_length = most_bytes
            with services().database.reading() as tx:
                caller = _admitted(tx, operation)
            return answered(view(caller, *args, **kwargs))

        return declared(operation)(wrapped)

    return decorate


def prepared(kind: type[T]) -> T:
    """Return what was prepared for this call, which is of this kind."""
    found = g.prepared
    if not isinstance(found, kind):
        raise TypeError(f"the call prepares no {kind.__name__}")
    return found


def _prepare(prepare: Callable[[], object] | None) -> None:
    if prepare is not None:
        g.prepared = prepare()


def answered(answer: Answer | ResponseReturnValue, status: int = 200) -> ResponseReturnValue:
    """Return what a view gave as a response."""
    if isinstance(answer, Answer):
        return Response(answer.json_text() + "\n", status, mimetype="application/json")
    return answer


def _admitted(tx: Session, operation: Operation) -> Caller:
    """Return who calls, if that caller may make this call."""
    caller = _caller(tx)
    _demand(caller, operation)
    return caller


def _demand(caller: Caller, operation: Operation) -> None:
    if caller.application is not None:
        if not operation.applications:
            raise _needs_key()
        return
    permission = operation.permission
    if permission is not None and not caller.key.may(permission):
        raise Refusal("forbidden", f"This call needs the permission {permission}.", status=403)


def _caller(tx: Session) -> Caller:
    given = request.authorization
    if token := bearer():
        return _by_token(tx, token)
    if given is not None and given.type == "basic":
        return _by_credentials(tx, given.parameters)
    count_stranger()
    raise _unauthorized("Send Authorization: Bearer with a token from POST /oauth/token.")


def _by_token(tx: Session, token: str) -> Caller:
    client_id = services().tokens.api_key_of(tx, token)
    key = services().api_keys.find_usable(tx, client_id) if client_id else None
    if key is None:
        count_stranger()
        raise _unauthorized("The token is not valid, or it has expired. Ask for a new one.")
    return Caller(environment=key.environment, actor=admit(key.id), api_key=key)


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


def _needs_key() -> Refusal:
    return Refusal("forbidden", "This call needs an API key's bearer token.", status=403)


def _unauthorized(message: str) -> Refusal:
    return Refusal("unauthorized", message, status=401)
