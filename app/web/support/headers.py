"""Security headers on every response, errors included (OWASP ASVS 5.0, V3.4)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256

from flask import Flask, Response, g, request, session

from app.config import Config

_CSP = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
_USUAL_POLICY = (
    "; ".join(f"{name} {value}" for name, value in _CSP.items()) + "; form-action 'self'"
)
_INERT = {
    "default-src": "'none'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "form-action": "'none'",
}
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}


def allow_form_to(origin: str) -> None:
    """Let this page's forms end at one more origin.

    Chromium applies `form-action` to the redirect that answers a form, too; without this the way
    back to the application is blocked.
    """
    g.form_origin = origin


def allow_requests() -> None:
    """Let this page's script ask us for more without loading a page; nobody else."""
    g.requests = True


def allow_styles(attributes: Iterable[str]) -> None:
    """Let these styles hold on this page, letter by letter, and no others.

    Mail programs load no style sheet, so a mail that is shown has its styles inside.
    """
    g.styles = sorted({b64encode(sha256(one.encode()).digest()).decode() for one in attributes})


def be_inert() -> None:
    """Let this answer do nothing should a browser ever take it for a page."""
    g.inert = True


def init_app(app: Flask, config: Config) -> None:
    """Set the headers after every request."""

    @app.after_request
    def set_headers(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = _policy()
        response.headers["Referrer-Policy"] = _referrer_policy(response)
        for name, value in _ALWAYS.items():
            response.headers[name] = value
        if config.https:
            response.headers["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"
        response.headers.setdefault("Cache-Control", "no-store")
        if request.endpoint == "static" or g.get("inert"):
            session.accessed = False  # the same for everybody: nothing varies with a cookie
        return response


def _policy() -> str:
    if not any(name in g for name in ("form_origin", "styles", "requests", "inert")):
        return _USUAL_POLICY
    form_action = " ".join(filter(None, ["'self'", g.get("form_origin")]))
    policy = {**_CSP, "form-action": form_action}
    if g.get("styles"):
        hashes = " ".join(f"'sha256-{one}'" for one in g.styles)
        policy["style-src"] = f"'self' 'unsafe-hashes' {hashes}"
    if g.get("requests"):
        policy["connect-src"] = "'self'"
    if g.get("inert"):
        policy = {**_INERT, "sandbox": ""}
    return "; ".join(f"{name} {value}".rstrip() for name, value in policy.items())


def _referrer_policy(response: Response) -> str:
    """Tell nobody where the user came from, except ourselves on pages with a form.

    With `no-referrer` Chromium sends `Origin: null`, and Flask-WTF then refuses the form.
    """
    is_page = response.mimetype == "text/html" and not response.direct_passthrough
    return "same-origin" if is_page and b"<form" in response.get_data() else "no-referrer"
