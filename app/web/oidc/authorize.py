"""The authorization endpoint: a browser comes with a request, and goes on to the hosted pages."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import ServiceUnavailable

from app.models import Application, PushedRequest, ResponseMode
from app.services.answers import Answer
from app.services.gateway_sessions import Opened, origin_of
from app.services.oidc_asks import Unopened
from app.services.oidc_parameters import Reply, RequestRefused
from app.services.oidc_requests import PARKED_FOR, Request
from app.web.support import actor, services
from app.web.support.branding import wear
from app.web.support.forms import cookie_name, csrf
from app.web.support.headers import allow_form_to
from app.web.support.locale import speak

blueprint = Blueprint("oidc", __name__, url_prefix="/oidc")

_MOST_COOKIES = 8


@blueprint.route("/authorize", methods=["GET", "POST"])
def authorize() -> ResponseReturnValue:
    """Open the gateway session that a request asks for, and send the browser there."""
    if "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", "")):
        raise ServiceUnavailable  # the browser asks again when the user really comes
    pairs = (request.args if request.method != "POST" else request.form).items(multi=True)
    try:
        with services().database.writing() as tx:
            return _granted(tx, services().oidc_requests.read(tx, [*pairs]))
    except RequestRefused as refused:
        return told(refused)


csrf.exempt(authorize)  # the request comes from the client's page; it changes nothing of anybody's


def _granted(tx: Session, asked: Request) -> ResponseReturnValue:
    row, requests = asked.row, services().oidc_requests
    if row is not None and row.browser_hash is not None:
        return _again(tx, asked, row)
    if row is None:
        return answered(tx, asked, services().oidc_asks.open(tx, actor("user"), asked))
    secret = requests.bind(tx, row)
    if secret is None:
        return _other_browser(asked)
    response = make_response(_opened(tx, asked))
    remember(response, row, secret)
    return response


def _opened(tx: Session, asked: Request) -> ResponseReturnValue:
    """Open the session of a pushed request; refused or not, no other browser comes with it."""
    try:
        with tx.begin_nested():
            opened = services().oidc_asks.open(tx, actor("user"), asked)
    except RequestRefused as refused:
        return told(refused)
    return answered(tx, asked, opened)


def _again(tx: Session, asked: Request, row: PushedRequest) -> ResponseReturnValue:
    """Let the browser that a pushed request is bound to load its address again."""
    if not services().oidc_requests.is_bound(row, cookie_of(row.id)):
        return _other_browser(asked)
    session = services().oidc_requests.session_of(tx, row)
    if session is not None:
        return redirect(url_for("gateway.resume", visit_id=session.short_id), 303)
    return _opened(tx, asked)


def answered(tx: Session, asked: Request, opened: Opened | Unopened) -> ResponseReturnValue:
    """Send the browser to the session that was opened, or show the page that comes instead."""
    if isinstance(opened, Opened):
        return redirect(opened.url, 303)
    if opened is Unopened.UNCONFIRMABLE:
        return _unconfirmable(tx, asked)
    row = asked.row
    if row is not None:
        return redirect(url_for("oidc.name", request_id=row.id), 303)
    parked = services().oidc_requests.keep(tx, asked, lasts=PARKED_FOR)
    secret = services().oidc_requests.bind(tx, parked.row) or ""
    response = make_response(redirect(url_for("oidc.name", request_id=parked.row.id), 303))
    remember(response, parked.row, secret)
    return response


def told(refused: RequestRefused) -> ResponseReturnValue:
    """Tell the application what is wrong; the browser alone, where nobody else may hear of it."""
    if refused.reply is None:
        page = render_template("oidc/refused.html", code=refused.code, message=refused.message)
        return page, 400
    fields = {"error": refused.code, "error_description": refused.message}
    return sent_back(refused.reply, fields)


def sent_back(reply: Reply, fields: dict[str, str]) -> ResponseReturnValue:
    """Send the browser back with an error, in the way that was asked for."""
    answer = _answer(reply, fields)
    if answer.response_mode is ResponseMode.QUERY:
        return redirect(answer.location, 303)
    allow_form_to(origin_of(reply.redirect_uri))
    return render_template("oidc/form_post.html", answer=answer)


def dress(tx: Session, asked: Request) -> None:
    """Give a page the language and the look that fit the request."""
    application = asked.client.application
    speak(asked.wishes.locale)
    if len(application.organizations) == 1:
        wear(tx, application.organizations[0])
    allow_form_to(origin_of(asked.wishes.reply.redirect_uri))


def denied(asked: Request) -> Answer:
    """Return what the application is told if the user goes back."""
    fields = {"error": "access_denied", "error_description": "The user was not confirmed."}
    return _answer(asked.wishes.reply, fields)


def remember(response: Response, row: PushedRequest, secret: str) -> None:
    """Bind the browser to a request that waits: a cookie of its own for each."""
    secure = services().config.https
    known = sorted(name for name in request.cookies if name.startswith(_cookie("")))
    for name in known[: 1 - _MOST_COOKIES] if len(known) >= _MOST_COOKIES else []:
        response.delete_cookie(name, secure=secure, httponly=True, samesite="Lax")
    response.set_cookie(
        _cookie(str(row.id)),
        secret,
        max_age=int(PARKED_FOR.total_seconds()),
        secure=secure,
        httponly=True,
        samesite="Lax",
    )


def cookie_of(request_id: object) -> str:
    """Return the secret that this browser holds for a request of this id."""
    return request.cookies.get(_cookie(str(request_id)), "")


def _unconfirmable(tx: Session, asked: Request) -> ResponseReturnValue:
    """Say that nobody of this name is confirmed here now, whyever that is."""
    dress(tx, asked)
    return _page("oidc/unconfirmable.html", asked.client.application, answer=denied(asked))


def _other_browser(asked: Request) -> ResponseReturnValue:
    application, origin = asked.client.application, origin_of(asked.wishes.reply.redirect_uri)
    speak(asked.wishes.locale)
    page = render_template(
        "gateway/other_browser.html", application=application.name, origin=origin, expired=False
    )
    return page, 403


def _page(template: str, application: Application, **view: Any) -> str:
    return render_template(template, application=application, **view)


def _answer(reply: Reply, fields: dict[str, str]) -> Answer:
    state = {} if reply.state is None else {"state": reply.state}
    return Answer(
        redirect_uri=reply.redirect_uri,
        response_mode=reply.response_mode,
        fields={**fields, **state, "iss": services().config.base_url},
    )


def _cookie(request_id: str) -> str:
    return cookie_name(services().config.https, f"gatehouse-oidc-{request_id}")
