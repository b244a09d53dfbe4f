"""What an API key opens, and on whose behalf."""

from __future__ import annotations

from app.errors import Invalid
from app.models import Api, ApiKey, Environment

V2_PREFIX = "ghk_"
V1_PREFIXES = {Environment.SANDBOX: "sk_test_", Environment.PRODUCTION: "sk_live_"}
"""So that whoever sees a secret of API v1 knows what it opens."""


def prefix_of(key: ApiKey) -> str:
    """Return what the key's secret begins with, for people and secret scanners."""
    return V1_PREFIXES[key.environment] if key.api is Api.V1 else V2_PREFIX


def check_api(key: ApiKey) -> None:
    """Demand what a key of API v1 needs, and of others that they name no application.

    Raises:
        Invalid: it has no organization, or its application doesn't serve that.
    """
    if key.api is Api.V1 and key.organization is None:
        raise Invalid("organization", "a key of API v1 opens one organization. Name it.")
    if key.application is None:
        return
    if key.api is not Api.V1:
        raise Invalid("application", "only a key of API v1 asks on behalf of an application.")
    if not _is_served(key):
        raise no_application()


def no_application() -> Invalid:
    """Return the refusal of an application that is unknown, or serves others alone."""
    return Invalid("application", "no such application serves the organization.")


def is_usable(key: ApiKey) -> bool:
    """Tell whether the key opens anything: not if it is blocked, or what it is for is gone."""
    if key.blocked_at is not None:
        return False
    if key.organization is not None and key.organization.deleted_at is not None:
        return False
    return _is_served(key)


def _is_served(key: ApiKey) -> bool:
    """Tell whether the application that a key names is there, and serves its organization."""
    if key.application_id is None or key.application is None or key.organization is None:
        return True
    return key.application.deleted_at is None and key.application.serves(key.organization)
