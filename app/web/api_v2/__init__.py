"""REST API v2: the calls of the Cryptr guides, and gateway sessions."""

from __future__ import annotations

from flask import Flask, request

from app.web.api_v2 import (
    api_keys,
    applications,
    authenticators,
    gateway_sessions,
    imports,
    magic_link_challenges,
    messages,
    organizations,
    passkeys,
    paths,
    reference,
    token,
    totp_challenges,
    totp_connections,
    totp_enrollments,
    users,
    webhooks,
)
from app.web.support.forms import csrf

PARTS = (
    token,
    api_keys,
    organizations,
    applications,
    users,
    imports,
    authenticators,
    messages,
    totp_connections,
    totp_enrollments,
    totp_challenges,
    passkeys,
    gateway_sessions,
    magic_link_challenges,
    webhooks,
)

MOST_BYTES = 1024 * 1024
"""Of a body whose sender proves itself before it is read; all others are far shorter."""


def init_app(app: Flask) -> None:
    """Register the calls; they rest on a header that no browser adds by itself, so CSRF is moot."""
    paths.init_app(app)
    app.register_blueprint(reference.blueprint)
    app.url_map.merge_slashes = False  # what would be merged is answered by a redirect in HTML
    for part in PARTS:
        csrf.exempt(part.blueprint)
        app.register_blueprint(part.blueprint)

    @app.before_request
    def take_larger_bodies() -> None:
        operation = getattr(app.view_functions.get(request.endpoint or ""), "operation", None)
        if operation is not None and operation.permission is not None:
            request.max_content_length = request.max_form_memory_size = MOST_BYTES
