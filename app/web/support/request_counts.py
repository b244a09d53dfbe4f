"""Counts answered requests for Prometheus, by names of ours alone."""

from __future__ import annotations

from functools import cache
from time import perf_counter

from flask import Flask, Response, g, request

from app import metrics
from app.config import Config

_PACKAGE = ["app", "web"]


def init_app(app: Flask, _config: Config) -> None:
    """Count each request when it is answered."""

    @cache
    def door_of(endpoint: str) -> str:
        """Return the package of the view in `app.web`; there are as many as front doors."""
        parts = app.view_functions[endpoint].__module__.split(".")
        return parts[2] if parts[:2] == _PACKAGE else "static"

    @app.after_request
    def end(response: Response) -> Response:
        rule, endpoint = request.url_rule, request.endpoint
        metrics.count_request(
            request.method,
            rule.rule if rule else metrics.UNKNOWN_ROUTE,
            door_of(endpoint) if rule and endpoint else metrics.UNKNOWN_ROUTE,
            response.status_code,
            perf_counter() - g.began,
        )
        return response
