"""Whatever goes wrong is told in the shape of its door: a page for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from math import ceil

import structlog
from flask import (
    Flask,
    Response,
    current_app,
    jsonify,
    make_response,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from app.config import Config
from app.engines import is_away
from app.errors import Refusal
from app.web.support import services

_log = structlog.get_logger("gatehouse")
_PROGRAMS = ("/api/", "/oauth/", "/org/", "/t/", "/.well-known/", "/healthz", "/readyz")
_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    421: "misdirected_request",
    429: "rate_limited",
    500: "internal_error",
}


_AWAY_SECONDS = 5
"""After which a request may be repeated that found no database."""

Teller = Callable[[str, str, int, datetime | None], Response]
_TELLERS = "gatehouse error tellers"


def tell_below(app: Flask, prefix: str, teller: Teller) -> None:
    """Let whatever goes wrong below an address be told in a shape of its own."""
    app.extensions.setdefault(_TELLERS, {})[prefix] = teller


def is_below(prefix: str, path: str) -> bool:
    """Tell whether a path is this address, or one below it."""
    return path == prefix or path.startswith(f"{prefix}/")


def api_error(code: str, message: str, status: int, retry_at: datetime | None = None) -> Response:
    """Return an error in the shape of the REST API, with the address that explains its type."""
    explained = f"{services().config.base_url}/api/v2/reference#error-{code}"
    error: dict[str, object] = {"type": code, "message": message, "doc_urls": [explained]}
    if retry_at is not None:
        error["retry_at"] = retry_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    told = make_response(jsonify(error=error), status)
    _say_when(told, retry_at)
    return told


def init_app(app: Flask, config: Config) -> None:
    """Answer refusals, HTTP errors and surprises."""
    app.register_error_handler(Refusal, refused)
    app.register_error_handler(CSRFError, _refuse_form)
    app.register_error_handler(HTTPException, _explain)
    app.register_error_handler(Exception, _surprise)


def refused(refusal: Refusal) -> Response:
    """Return a refusal in the shape of the door that the request came by."""
    told = _tell(refusal.code, refusal.message, refusal.status, retry_at=refusal.retry_at)
    _say_when(told, refusal.retry_at)
    return told


def _refuse_form(error: CSRFError) -> ResponseReturnValue:
    return render_template("errors/form.html", path=_page_of_form()), 400


def _page_of_form() -> str:
    """Return where to look again; some forms have no page at their own address."""
    visit_id = (request.view_args or {}).get("visit_id")  # a visit knows which page is next
    return url_for("gateway.resume", visit_id=visit_id) if visit_id else request.path


def _explain(error: HTTPException) -> ResponseReturnValue:
    status = error.code or 500
    if 300 <= status < 400:
        return error
    message = f"{error.name}. Request it as the API reference says."
    return _tell(_CODES.get(status, "bad_request"), message, status, error.get_headers())


def _surprise(error: Exception) -> ResponseReturnValue:
    _log.error("unexpected error", exc_info=error)
    if not is_away(error):
        return _tell("internal_error", "The fault is ours. Repeat the request later.", 500)
    # Nothing else gets this status: a proxy may take it for a sign of the host.
    told = _tell("internal_error", "The database can't be reached. Repeat the request later.", 504)
    told.headers["Retry-After"] = str(_AWAY_SECONDS)
    return told


def _tell(
    code: str,
    message: str,
    status: int,
    headers: Iterable[tuple[str, str]] = (),
    *,
    retry_at: datetime | None = None,
) -> Response:
    told = _shape(code, message, status, retry_at)
    told.headers.update({name: value for name, value in headers if name == "Allow"})
    if status == 401:
        told.headers["WWW-Authenticate"] = 'Bearer realm="gatehouse"'
    return told


def _shape(code: str, message: str, status: int, retry_at: datetime | None) -> Response:
    tellers: dict[str, Teller] = current_app.extensions.get(_TELLERS, {})
    for prefix, teller in tellers.items():
        if is_below(prefix, request.path):
            return teller(code, message, status, retry_at)
    if request.path.startswith(_PROGRAMS):
        return api_error(code, message, status, retry_at)
    path = "" if request.method == "GET" else _page_of_form()
    return make_response(render_template(_page(), status=status, path=path), status)


def _page() -> str:
    """Return the template in the words of the area that the request was for."""
    return "admin/error.html" if request.path.startswith("/admin") else "errors/error.html"


def _say_when(told: Response, retry_at: datetime | None) -> None:
    if retry_at is not None:
        wait = retry_at - services().clock.now()
        told.headers["Retry-After"] = str(max(1, ceil(wait.total_seconds())))
