"""The header Idempotency-Key: a POST that comes twice does its work once."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, request
from sqlalchemy.orm import Session

from app.errors import Refusal
from app.services.idempotency import Ask, Claim, Kept
from app.web.support import services
from app.web.support.error_pages import refused

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"


def may_repeat() -> bool:
    """Tell whether this request says how it is known when it comes again."""
    return request.method == "POST" and HEADER in request.headers


def answer_once(
    admit: Callable[[Session], str],
    work: Callable[[Session], Response],
    prepare: Callable[[], object],
) -> Response:
    """Do the work and keep its answer, or return what was answered before.

    Args:
        admit: returns the `client_id` of the caller, or refuses.
        work: does what is asked, and returns the answer.
        prepare: what is done before it, in no transaction.

    Raises:
        Refusal: of `admit`, or `idempotency_key_invalid`, `idempotency_key_reused`,
            `idempotency_in_flight`.
    """
    with services().database.writing() as tx:
        found = services().idempotency.claim(tx, _ask(admit(tx)))
    if isinstance(found, Kept):
        headers = {REPLAYED: "true"}
        return Response(found.body, found.status, headers, mimetype="application/json")
    try:
        prepare()
        with services().database.writing() as tx:
            response = work(tx)
            _keep(tx, found, response)
    except Refusal as refusal:
        response = refused(refusal)
        with services().database.writing() as tx:
            _keep(tx, found, response)
    except Exception:
        with services().database.writing() as tx:
            services().idempotency.release(tx, found)
        raise
    return response


def _ask(caller: str) -> Ask:
    """Return the request as it would come again; the boundary of its parts would be another."""
    body, boundary = request.get_data(), request.mimetype_params.get("boundary", "").encode()
    if boundary:
        body = body.replace(boundary, b"")
    return Ask(
        caller=caller,
        key=request.headers[HEADER],
        call=f"{request.method} {request.path}",
        content=b"\n".join([request.mimetype.encode(), request.query_string, body]),
    )


def _keep(tx: Session, claim: Claim, response: Response) -> None:
    services().idempotency.keep(tx, claim, response.status_code, response.get_data())
