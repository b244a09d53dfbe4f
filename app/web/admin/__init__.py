"""The admin area: where an organization's administrators run their tenant."""

from __future__ import annotations

from flask import Flask, request

from app.web.admin import (
    administrators,
    api_keys,
    application_forms,
    applications,
    audit,
    branding,
    desk,
    gate,
    home,
    inbox,
    invitation,
    methods,
    overview,
    passkeys,
    policy,
    profile,
    retention,
    sign_in,
    signing_keys,
    trials,
    trust_rules,
    user,
    user_access,
    user_accounts,
    user_authenticators,
    user_browsers,
    user_exports,
    user_forms,
    user_imports,
    user_ways_in,
    users,
    webhook_deliveries,
    webhooks,
)
from app.web.admin.messages import channels, limits, log, provider_trials, providers, risk, texts
from app.web.support.locale import speak

__all__ = [
    "application_forms",
    "passkeys",
    "provider_trials",
    "retention",
    "risk",
    "trials",
    "user_access",
    "user_accounts",
    "user_authenticators",
    "user_browsers",
    "user_exports",
    "user_forms",
    "user_ways_in",
    "webhook_deliveries",
]
"""These put their views on the blueprint of `user`, `users`, `applications`, `audit`, `channels`,
`providers` or `webhooks`."""


def init_app(app: Flask) -> None:
    """Register the pages."""
    gate.init_app(app)
    app.url_default_functions.setdefault(None, []).append(desk.fill_address)
    app.jinja_env.globals.update(menu=desk.menu, environment_names=desk.environments())
    app.before_request(_speak_english)
    for page in (
        audit,
        users,
        user_imports,
        user,
        home,
        sign_in,
        invitation,
        profile,
        administrators,
        overview,
        policy,
        trust_rules,
        methods,
        channels,
        providers,
        texts,
        limits,
        log,
        branding,
        inbox,
        applications,
        api_keys,
        webhooks,
        signing_keys,
    ):
        app.register_blueprint(page.blueprint)


def _speak_english() -> None:
    """The admin area has one language; the hosted pages have the user's."""
    if request.path.startswith("/admin"):
        speak("en")
