"""A browser's visit: which gateway session it is bound to, and which page comes next."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from app.models import GatewaySession, SessionStatus
from app.services.audit import Actor
from app.services.gateway_sessions import origin_of
from app.services.visits import Step
from app.web.support import actor, services
from app.web.support.branding import wear
from app.web.support.forms import cookie_name
from app.web.support.headers import allow_form_to
from app.web.support.locale import speak

P = ParamSpec("P")
View = Callable[Concatenate[Session, GatewaySession, P], ResponseReturnValue]

blueprint = Blueprint("gateway", __name__, url_prefix="/gateway/<visit_id>")

VISIT, CODES = "visit", "codes"
"""Kinds of cookie: the secret that binds the browser, and recovery codes not saved yet, sealed."""

_LINGERS = 300
"""Seconds that a cookie outlives its visit, to tell "expired" from "another browser"."""

_MOST_VISITS = 8
"""So many unfinished visits a browser remembers; more would outgrow the Cookie header."""

_PAGES = {
    Step.SET_UP: "gateway.set_up",
    Step.ENROLL: "gateway.enroll",
    Step.SAVE_CODES: "gateway.codes",
    Step.VERIFY: "gateway.verify",
    Step.TELL_LOSSES: "gateway.losses",
    Step.MANAGE: "gateway.account",
    Step.OPEN_LINK: "gateway.link",
    Step.DUE: "gateway.due",
    Step.BLOCKED: "gateway.blocked",
    Step.UNMET: "gateway.unmet",
    Step.ENDED: "gateway.ended",
}


def page(
    *steps: Step, holds: Callable[[Session, GatewaySession], bool] | None = None
) -> Callable[[View[P]], Callable[P, ResponseReturnValue]]:
    """Make a view a page of a visit: one transaction, the bound browser, and the right step.

    A browser that is not the bound one gets a page that says so; one that asks for a page whose
    turn it isn't is sent to the page whose turn it is.

    Args:
        steps: those at which the page may be asked for; none means any.
        holds: what else has to be so.
    """

    def decorate(view: View[P]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            visit_id = str(kwargs.pop("visit_id"))
            database = services().database
            reads = request.method in {"GET", "HEAD"}
            with database.reading() if reads else database.writing() as tx:
                session = services().gateway_sessions.visit(
                    tx, visit_id, read_cookie(visit_id, VISIT), hold=not reads
                )
                if session is None:
                    return refuse_browser(tx, visit_id)
                prepare(tx, session)
                turn = not steps or services().visits.step(tx, session) in steps
                if not turn or (holds is not None and not holds(tx, session)):
                    return next_page(tx, session)
                return view(tx, session, *args, **kwargs)

        return wrapped

    return decorate


def user() -> Actor:
    """Return the user as the one who acts."""
    return actor("user")


def prepare(tx: Session, session: GatewaySession) -> None:
    """Choose the page's language and look, and let its forms end at the application."""
    person = session.user
    wear(tx, person.organization)
    wish = person.profile.get("locale") if session.subject_authenticated else None
    speak(session.locale, wish if isinstance(wish, str) else None, person.organization.locale)
    allow_form_to(origin_of(session.redirect_uri))


def next_page(tx: Session, session: GatewaySession) -> ResponseReturnValue:
    """Send the browser to the page whose turn it is."""
    endpoint = _PAGES[services().visits.step(tx, session)]
    return redirect(url_for(endpoint, visit_id=session.short_id), 303)


def refuse_browser(tx: Session, visit_id: str) -> ResponseReturnValue:
    """Answer a browser that this session is not bound to: of the user it learns nothing."""
    session = services().gateway_sessions.peek(tx, visit_id)
    if session is None:
        raise NotFound
    speak(session.locale)
    wear(tx, session.user.organization)
    own = services().gateway_sessions.is_own(session)
    never_opened = session.browser_hash is None
    expired = services().gateway_sessions.status(session) is SessionStatus.EXPIRED
    return render_template(
        "gateway/other_browser.html",
        application=session.application.name,
        origin=None if own else origin_of(session.redirect_uri),
        expired=never_opened and expired,
    ), 403


def remember(response: Response, session: GatewaySession, secret: str) -> None:
    """Bind the browser: a cookie of its own for each visit, none of which opens another."""
    set_cookie(response, session, VISIT, secret)
    known = sorted(name for name in request.cookies if name.startswith(_cookie(VISIT, "")))
    for name in known[: 1 - _MOST_VISITS] if len(known) >= _MOST_VISITS else []:
        _drop(response, name)


def set_cookie(response: Response, session: GatewaySession, kind: str, value: str) -> None:
    """Give the browser something that belongs to this visit, for as long as the visit may last."""
    lifetime = session.expires_at - services().clock.now()
    response.set_cookie(
        _cookie(kind, session.short_id),
        value,
        max_age=int(lifetime.total_seconds()) + _LINGERS,
        secure=services().config.https,
        httponly=True,
        samesite="Lax",
    )


def read_cookie(visit_id: str, kind: str) -> str:
    """Return what the browser was given, or nothing."""
    return request.cookies.get(_cookie(kind, visit_id), "")


def drop_cookie(response: Response, session: GatewaySession, kind: str) -> None:
    """Take it back from the browser."""
    _drop(response, _cookie(kind, session.short_id))


def render(template: str, session: GatewaySession, status: int = 200, **view: object) -> Response:
    """Render a page of a visit."""
    html = render_template(
        template,
        session=session,
        organization=session.user.organization,
        application=session.application,
        person=session.user,
        own=services().gateway_sessions.is_own(session),
        **view,
    )
    return make_response(html, status)


def _cookie(kind: str, visit_id: str) -> str:
    return cookie_name(services().config.https, f"gatehouse-{kind}-{visit_id}")


def _drop(response: Response, name: str) -> None:
    response.delete_cookie(name, secure=services().config.https, httponly=True, samesite="Lax")
