"""What vendors report of messages that they took: POST /providers/<account>/<message>."""

from __future__ import annotations

import uuid

from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Forbidden, NotFound

from app.providers.base import Callback, Forged
from app.web.support import services
from app.web.support.address_limits import count_stranger
from app.web.support.forms import csrf

blueprint = Blueprint("provider_reports", __name__, url_prefix="/providers")


def init_app(app: Flask) -> None:
    """Register the address; a vendor has no form of ours, and proves itself by a signature."""
    app.register_blueprint(blueprint)
    csrf.exempt(blueprint)


@blueprint.post("/<uuid:account_id>/<uuid:message_id>")
def report(account_id: uuid.UUID, message_id: uuid.UUID) -> ResponseReturnValue:
    """Take a vendor's word, if the vendor signed it."""
    count_stranger()
    callback = Callback(
        # The address as we gave it to the vendor, whatever name the request came by.
        url=services().config.base_url + request.full_path.removesuffix("?"),
        headers=dict(request.headers),
        body=request.get_data(cache=True),
        form=request.form.to_dict(),
    )
    try:
        with services().database.writing() as tx:
            known = services().message_reports.take(tx, account_id, message_id, callback)
    except Forged:
        raise Forbidden from None
    if not known:
        raise NotFound
    return "", 204
