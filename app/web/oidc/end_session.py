"""The end of a session: we have none, so what ends is that this browser is spared anything."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import validate_csrf
from sqlalchemy.orm import Session
from wtforms.validators import ValidationError

from app.errors import Refusal
from app.services.gateway_sessions import origin_of
from app.services.oidc_logouts import Logout, LogoutWish
from app.web.support import actor, services
from app.web.support.browser_cookies import KINDS, MARK, TRUST, brought, drop, name_of
from app.web.support.forms import csrf
from app.web.support.headers import allow_form_to
from app.web.support.locale import speak

blueprint = Blueprint("oidc_end_session", __name__, url_prefix="/oidc")

_MOST_STATE = 4096


@blueprint.route("/end-session", methods=["GET", "POST"])
def end_session() -> ResponseReturnValue:
    """Forget this browser, and send it on where the client registered that."""
    given = request.args if request.method == "GET" else request.form
    if any(len(values) > 1 for _, values in given.lists()):
        return _refused("A parameter is there twice.")
    speak(next(iter(given.get("ui_locales", "").split()), None))
    wish = LogoutWish(
        id_token_hint=given.get("id_token_hint") or None,
        client_id=given.get("client_id") or None,
        post_logout_redirect_uri=given.get("post_logout_redirect_uri") or None,
    )
    state = given.get("state")
    if state is not None and (len(state.encode()) > _MOST_STATE or not state.isprintable()):
        return _refused("state: it is too long, or holds control characters.")
    try:
        with services().database.writing() as tx:
            logout = services().oidc_logouts.read(tx, wish)
            if logout.user_id is None and not _is_confirmed():
                return _question(logout, wish, state)
            return _forgotten(tx, logout, state)
    except Refusal as refusal:
        return _refused(refusal.message)


csrf.exempt(end_session)  # clients post here, too; without an ID token our own form's token is due


def _is_confirmed() -> bool:
    """Tell whether the user pressed the button of our own page."""
    if request.method != "POST" or "csrf_token" not in request.form:
        return False
    try:
        validate_csrf(request.form["csrf_token"])
    except ValidationError:
        return False
    return True


def _question(logout: Logout, wish: LogoutWish, state: str | None) -> ResponseReturnValue:
    if logout.redirect_uri is not None:
        allow_form_to(origin_of(logout.redirect_uri))
    fields = {
        "client_id": wish.client_id,
        "post_logout_redirect_uri": wish.post_logout_redirect_uri,
        "state": state,
    }
    return render_template(
        "oidc/end_session.html",
        application=logout.client.application if logout.client else None,
        fields={name: value for name, value in fields.items() if value is not None},
    )


def _forgotten(tx: Session, logout: Logout, state: str | None) -> ResponseReturnValue:
    names = _names(logout)
    secrets = {
        kind: [request.cookies[one] for one in names if one in brought(kind)] for kind in KINDS
    }
    services().visit_browsers.forget(tx, actor("user"), trusts=secrets[TRUST], marks=secrets[MARK])
    response = _done(logout, state)
    for one in names:
        drop(response, one)
    return response


def _names(logout: Logout) -> list[str]:
    """Return the cookies that go: the named user's, or all that there are."""
    found = [one for kind in KINDS for one in brought(kind)]
    if logout.user_id is None or logout.client is None:
        return found
    theirs = {name_of(kind, logout.user_id, logout.client.application_id) for kind in KINDS}
    return [one for one in found if one in theirs]


def _done(logout: Logout, state: str | None) -> Response:
    if logout.redirect_uri is None:
        return make_response(render_template("oidc/session_ended.html"))
    place = logout.redirect_uri
    if state is not None:
        place += f"{'&' if '?' in place else '?'}state={quote(state, safe='')}"
    return make_response(redirect(place, 303))


def _refused(message: str) -> ResponseReturnValue:
    page = render_template("oidc/refused.html", code="invalid_request", message=message)
    return page, 400
