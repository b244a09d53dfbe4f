"""GET /oauth/v1/authorize: the application sends its user's browser here, with a signed request."""

from __future__ import annotations

import re
from hashlib import sha256

from flask import Response, make_response, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import MethodNotAllowed, ServiceUnavailable

from app.errors import Refusal
from app.services.duo_sessions import Declined
from app.web.duo.call import blueprint, given
from app.web.support import actor, services
from app.web.support.address_limits import count_stranger
from app.web.support.forms import cookie_name

_REMEMBERED_SECONDS = 900
_PATH = re.compile(r"/gateway/[0-9A-Za-z]{27}\?token=[0-9A-Za-z_-]{22}")


@blueprint.get("/authorize")
def authorize() -> ResponseReturnValue:
    """Open the gateway session that is asked for, and send the browser there.

    A request counts once. The browser that brought it first is remembered for a while, so that a
    reload goes on where it was; in any other one it is refused.
    """
    if "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", "")):
        raise ServiceUnavailable  # the browser asks again when the user really comes
    if request.method == "HEAD":  # a link checker's look, which must not use the request up
        raise MethodNotAllowed(["GET"])
    count_stranger()
    token = given("request")
    cookie = cookie_name(services().config.https, f"gatehouse-duo-{_digest(token)}")
    place = request.cookies.get(cookie, "")
    if _PATH.fullmatch(place):
        return redirect(services().config.base_url + place, 303)
    return _open(token, cookie)


def _open(token: str, cookie: str) -> Response:
    client_id, nonce = given("client_id"), given("nonce")
    if given("response_type") not in {"", "code"}:
        raise Refusal("invalid_request", "response_type has to be code.", status=400)
    try:
        with services().database.writing() as tx:
            url = (
                services()
                .duo_sessions.open(
                    tx, actor("application"), client_id=client_id, token=token, nonce=nonce
                )
                .url
            )
    except Declined as declined:
        return make_response(redirect(declined.answer.location, 303))
    response = make_response(redirect(url, 303))
    response.set_cookie(
        cookie,
        url.removeprefix(services().config.base_url),
        max_age=_REMEMBERED_SECONDS,
        secure=services().config.https,
        httponly=True,
        samesite="Lax",
    )
    return response


def _digest(token: str) -> str:
    """Return what stands for a request in the name of a cookie."""
    return sha256(token.rpartition(".")[0].encode("utf-8", "replace")).hexdigest()[:16]
