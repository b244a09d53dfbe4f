"""What Harbor Notes must be told, read from the environment alone."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


class SettingsError(Exception):
    """A setting is missing or unusable; the message names the variable."""


@dataclass(frozen=True)
class User:
    """Someone who can sign in; `id` is the one that Gatehouse knows."""

    id: str
    email: str

    @property
    def name(self) -> str:
        """The first part of the address, as a name."""
        return self.email.split("@")[0].replace(".", " ").title()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The gateway, our own credentials there, and who can sign in here."""

    gateway_url: str
    client_id: str
    client_secret: str = field(repr=False)
    organization: str
    environment: str
    redirect_uri: str
    users: tuple[User, ...]
    secret_key: str = field(repr=False)
    ca_file: str | None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Settings:
        """Read the `HARBOR_` variables.

        Raises:
            SettingsError: one is missing or can't be used.
        """
        return cls(
            gateway_url=_address(environ, "HARBOR_GATEWAY_URL").rstrip("/"),
            client_id=_text(environ, "HARBOR_CLIENT_ID"),
            client_secret=_text(environ, "HARBOR_CLIENT_SECRET"),
            organization=_text(environ, "HARBOR_ORGANIZATION"),
            environment=environ.get("HARBOR_ENVIRONMENT") or "sandbox",
            redirect_uri=_address(environ, "HARBOR_REDIRECT_URI"),
            users=_users(_text(environ, "HARBOR_USERS")),
            secret_key=environ.get("HARBOR_SECRET_KEY") or secrets.token_urlsafe(32),
            ca_file=environ.get("HARBOR_CA_FILE") or None,
        )

    @property
    def https(self) -> bool:
        """Whether browsers reach Harbor Notes over TLS."""
        return self.redirect_uri.startswith("https://")

    @property
    def host(self) -> str:
        """The one host, with its port, at which browsers reach Harbor Notes."""
        return urlsplit(self.redirect_uri).netloc

    def user(self, email: str | None) -> User | None:
        """Return the user with this email address, if there is one."""
        return next((user for user in self.users if user.email == email), None)


def _text(environ: Mapping[str, str], name: str) -> str:
    if value := environ.get(name, "").strip():
        return value
    raise SettingsError(f"{name} is not set.")


def _address(environ: Mapping[str, str], name: str) -> str:
    value = _text(environ, name)
    parts = urlsplit(value)
    if parts.scheme in {"http", "https"} and parts.netloc:
        return value
    raise SettingsError(f"{name} must be an address that starts with https:// or http://.")


def _users(text: str) -> tuple[User, ...]:
    try:
        users = tuple(User(str(item["id"]), str(item["email"])) for item in json.loads(text))
    except (ValueError, TypeError, KeyError):
        users = ()
    if users:
        return users
    raise SettingsError('HARBOR_USERS must be JSON such as [{"id": "…", "email": "…"}].')
