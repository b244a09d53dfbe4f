"""Structured logs: one line a request, with its id; never a query string, a body or a secret."""

from __future__ import annotations

import uuid
from time import perf_counter

import structlog
from flask import Flask, Response, g, request

from app import logs
from app.config import Config

_log = structlog.get_logger("gatehouse")


def request_id() -> str:
    """Return the id that this request has in logs, and on the page as the reference for help."""
    return str(g.get("request_id", ""))


def init_app(app: Flask, config: Config) -> None:
    """Give each request an id, and write its line when it is answered."""
    logs.start(config.log_format)

    @app.before_request
    def begin() -> None:
        g.request_id, g.began = uuid.uuid4().hex, perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = request_id()
        if request.endpoint != "static":
            _log.info(
                "request",
                method=request.method,
                route=str(request.url_rule or ""),
                status=response.status_code,
                ms=round((perf_counter() - g.began) * 1000, 1),
                peer=request.remote_addr,
            )
        return response

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        structlog.contextvars.clear_contextvars()
