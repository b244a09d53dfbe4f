"""What vendors report of messages that they took: /providers/<account>/<message>."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Flask, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Forbidden, NotFound

from app.providers.base import Callback, Forged
from app.services.message_reports import PATH, long
from app.web.support import services
from app.web.support.address_limits import count_stranger, refuse_stranger
from app.web.support.forms import csrf

blueprint = Blueprint("provider_reports", __name__, url_prefix=PATH)


def init_app(app: Flask) -> None:
    """Register the address; a vendor has no form of ours, and proves itself by a signature."""
    app.register_blueprint(blueprint)
    csrf.exempt(blueprint)


@blueprint.route("/<account_id>/<message_id>", methods=["GET", "POST"])
def report(account_id: str, message_id: str) -> ResponseReturnValue:
    """Take a vendor's word, if the vendor signed it, by whichever method it reports.

    Only what was not signed is counted: a vendor's own reports all come from few addresses.
    """
    refuse_stranger()
    try:
        known = _is_taken(long(account_id), long(message_id))
    except Forged:
        count_stranger()
        raise Forbidden from None
    if not known:
        count_stranger()
        raise NotFound
    return "", 204


def _is_taken(account_id: UUID | None, message_id: UUID | None) -> bool:
    if account_id is None or message_id is None:
        return False
    callback = Callback(
        # The address as we gave it to the vendor, whatever name the request came by.
        url=services().config.base_url + request.full_path.removesuffix("?"),
        headers=dict(request.headers),
        body=request.get_data(cache=True),
        form=request.form.to_dict(),
    )
    return services().message_reports.take(account_id, message_id, callback)
