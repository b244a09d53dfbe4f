"""The page that asks for a name, where a client names nobody and allows that."""

from __future__ import annotations

import uuid

from flask import render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.services.oidc_asks import Unopened
from app.services.oidc_parameters import RequestRefused
from app.services.oidc_requests import Request
from app.web.oidc.authorize import answered, blueprint, cookie_of, denied, dress, told
from app.web.support import actor, services

_MOST = 320


@blueprint.get("/authorize/<uuid:request_id>/name")
def name(request_id: uuid.UUID) -> ResponseReturnValue:
    """Ask who the user is."""
    try:
        with services().database.reading() as tx:
            return _form(tx, _parked(tx, request_id))
    except RequestRefused as refused:
        return told(refused)


@blueprint.post("/authorize/<uuid:request_id>/name")
def save_name(request_id: uuid.UUID) -> ResponseReturnValue:
    """Go on with the name that was typed: it proves nothing, so nothing rests on it."""
    typed = request.form.get("name", "").strip()
    try:
        with services().database.writing() as tx:
            asked = _parked(tx, request_id)
            if not typed or len(typed) > _MOST or not typed.isprintable():
                return _form(tx, asked, wrong=True)
            opened = services().oidc_asks.open(tx, actor("user"), asked, typed=typed)
            if opened is Unopened.UNNAMED:
                return _form(tx, asked, wrong=True)
            return answered(tx, asked, opened)
    except RequestRefused as refused:
        return told(refused)


def _parked(tx: Session, request_id: uuid.UUID) -> Request:
    requests = services().oidc_requests
    asked = requests.parked(tx, request_id, cookie_of(request_id))
    if asked.row is not None:
        requests.session_of(tx, asked.row)
    return asked


def _form(tx: Session, asked: Request, *, wrong: bool = False) -> ResponseReturnValue:
    dress(tx, asked)
    page = render_template(
        "oidc/name.html",
        application=asked.client.application,
        answer=denied(asked),
        wrong=wrong,
        typed=request.form.get("name", ""),
    )
    return page, 422 if wrong else 200
