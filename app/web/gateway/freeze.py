"""Freeze links: the page that a notice's link opens, whose button stops what was changed.

Opening the link changes nothing, as programs that check mail do it, too.
"""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from app.services.freeze_links import Found
from app.web.gateway.visit import user
from app.web.support import services
from app.web.support.branding import wear
from app.web.support.locale import speak

blueprint = Blueprint("freeze", __name__, url_prefix="/stop/<token>")


@blueprint.get("")
def landing(token: str) -> ResponseReturnValue:
    """Say what the button does, and offer it."""
    with services().database.reading() as tx:
        found = _find(tx, token)
        if not services().freezes.is_open(found):
            return _render("over", found), 410
        return _render("ask", found)


@blueprint.post("")
def follow(token: str) -> ResponseReturnValue:
    """Stop what was changed."""
    with services().database.writing() as tx:
        found = _find(tx, token)
        if not services().freezes.freeze(tx, user(), found):
            return _render("over", found), 410
        return _render("done", found)


def _find(tx: Session, token: str) -> Found:
    found = services().freezes.find(tx, token)
    if found is None:
        raise NotFound
    wish = found.user.profile.get("locale")
    wear(tx, found.organization)
    speak(wish if isinstance(wish, str) else None, found.organization.locale)
    return found


def _render(state: str, found: Found) -> str:
    return render_template(
        "gateway/freeze.html",
        state=state,
        organization=found.organization,
        change=found.row.notice,
    )
