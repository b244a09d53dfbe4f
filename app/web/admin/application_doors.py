"""The protocols that an application may speak: what each is for, and which form registers one."""

from __future__ import annotations

from dataclasses import dataclass

from app.models import Door


@dataclass(frozen=True, kw_only=True)
class Way:
    """One of them, as the page for a new application offers it.

    Attributes:
        endpoint: of its form.
    """

    door: Door
    name: str
    says: str
    endpoint: str


WAYS = (
    Way(
        door=Door.REST,
        name="Your own code",
        says="It calls the REST API and checks a signed result.",
        endpoint="admin_applications.new",
    ),
    Way(
        door=Door.OIDC,
        name="OpenID Connect",
        says="It takes an identity provider: the product finds out most by itself.",
        endpoint="admin_applications.new_oidc",
    ),
    Way(
        door=Door.DUO,
        name="Duo Universal",
        says="It has an SDK or a plug-in for Duo: change host, id and secret.",
        endpoint="admin_applications.new_duo",
    ),
    Way(
        door=Door.ENTRA,
        name="Microsoft Entra",
        says="Entra ID checks the password, and takes this gateway as an external MFA method.",
        endpoint="admin_applications.new_entra",
    ),
    Way(
        door=Door.CRYPTR,
        name="Cryptr’s SPA SDK",
        says="It runs in the browser with @cryptr/cryptr-spa-js: change address and client id.",
        endpoint="admin_applications.new_cryptr",
    ),
)
"""In the order in which they are offered."""

EDITS = {
    Door.OIDC: "admin_applications.edit_oidc",
    Door.DUO: "admin_applications.edit_duo",
    Door.ENTRA: "admin_applications.edit_entra",
    Door.CRYPTR: "admin_applications.edit_cryptr",
}
"""Endpoints of forms that change an application, where it is not that of your own code."""
