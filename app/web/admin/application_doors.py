"""The protocols that an application may speak, and what each is for."""

from __future__ import annotations

from dataclasses import dataclass

from app.models import Door


@dataclass(frozen=True, kw_only=True)
class Way:
    """One of them, as the page for a new application offers it."""

    door: Door
    name: str
    says: str


WAYS = (
    Way(
        door=Door.REST,
        name="Your own code",
        says="It calls the REST API and checks a signed result.",
    ),
    Way(
        door=Door.OIDC,
        name="OpenID Connect",
        says="It takes an identity provider: the product finds out most by itself.",
    ),
    Way(
        door=Door.DUO,
        name="Duo Universal",
        says="It has an SDK or a plug-in for Duo: change host, id and secret.",
    ),
    Way(
        door=Door.ENTRA,
        name="Microsoft Entra",
        says="Entra ID checks the password, and takes this gateway as an external MFA method.",
    ),
    Way(
        door=Door.CRYPTR,
        name="Cryptr’s SPA SDK",
        says="It runs in the browser with @cryptr/cryptr-spa-js: change address and client id.",
    ),
)
"""In the order in which they are offered."""
