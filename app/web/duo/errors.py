"""Whatever goes wrong on Duo's addresses: always JSON for a program, as its SDKs read nothing else.

A browser that was sent here with a request that can't be accepted is shown a page.
"""

from __future__ import annotations

from datetime import datetime

from flask import Response, jsonify, make_response, render_template, request

from app.services.duo_tokens import PATH
from app.web.support import services


def tell(code: str, message: str, status: int, retry_at: datetime | None) -> Response:
    """Return an error in the shape of the call that was made."""
    if request.path == f"{PATH}/health_check":
        return make_response(_failed(code, message, status), status)
    if request.path == f"{PATH}/authorize" and _is_read_by_people():
        page = render_template("errors/request.html", code=code, message=message, status=status)
        return make_response(page, status)
    return make_response(jsonify(error=code, error_description=message), status)


def _failed(code: str, message: str, status: int) -> Response:
    """Return a failed health check; SDKs show `message` and `message_detail`."""
    return jsonify(
        stat="FAIL",
        code=status * 100,
        message=code.replace("_", " ").capitalize(),
        message_detail=message,
        timestamp=int(services().clock.now().timestamp()),
    )


def _is_read_by_people() -> bool:
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"]
