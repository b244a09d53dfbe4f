"""Enrollment invitations: the page that a link opens, whose button opens the visit.

Opening the link changes nothing, as programs that check mail do it, too.
"""

from __future__ import annotations

from flask import Blueprint, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from app.models.gateway_session import ID_PREFIX
from app.services.enrollment_invitations import Found
from app.web.gateway.visit import VISIT, next_page, read_cookie, remember, user
from app.web.support import services
from app.web.support.branding import wear
from app.web.support.locale import speak

blueprint = Blueprint("enrollment_invitation", __name__, url_prefix="/enroll/<token>")


@blueprint.get("")
def landing(token: str) -> ResponseReturnValue:
    """Say what the link is for, and offer the one button that uses it."""
    with services().database.reading() as tx:
        found = _find(tx, token)
        if not services().enrollment_invitations.is_open(tx, found):
            return _over(tx, found)
        return _render("gateway/enrollment_invitation.html", found)


@blueprint.post("")
def follow(token: str) -> ResponseReturnValue:
    """Use the link up, and begin a visit that is bound to this browser."""
    with services().database.writing() as tx:
        found = _find(tx, token)
        entered = services().enrollment_invitations.follow(tx, user(), found)
        if entered is None:
            return _over(tx, found)
        response = make_response(next_page(tx, entered.session))
        remember(response, entered.session, entered.secret)
        return response


def _find(tx: Session, token: str) -> Found:
    found = services().enrollment_invitations.find(tx, token)
    if found is None:
        raise NotFound
    wish = found.user.profile.get("locale")
    wear(tx, found.organization)
    speak(wish if isinstance(wish, str) else None, found.organization.locale)
    return found


def _over(tx: Session, found: Found) -> ResponseReturnValue:
    """Answer a link that leads nowhere any more; the browser that used it is sent on."""
    opened = (found.row.gateway_session_id or "").removeprefix(ID_PREFIX)
    if opened and services().gateway_sessions.visit(tx, opened, read_cookie(opened, VISIT)):
        return redirect(url_for("gateway.resume", visit_id=opened), 303)
    return _render("gateway/enrollment_invitation_over.html", found), 410


def _render(template: str, found: Found) -> str:
    return render_template(template, organization=found.organization, application=found.application)
