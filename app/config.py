"""Settings: read from the environment alone, typed, and checked before anything starts."""

from __future__ import annotations

import os
import re
import secrets
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import limits
from phonenumbers import SUPPORTED_REGIONS
from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from app import addresses, countries, crypto, mail_servers

PREFIX = "GATEHOUSE_"
_SECRET_CHARACTERS = 32
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_AUTHORITY = re.compile(r"([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[1-9][0-9]*)?", re.I)

Network = IPv4Network | IPv6Network

WAITS = {
    5: timedelta(seconds=30),
    6: timedelta(minutes=1),
    7: timedelta(minutes=2),
    8: timedelta(minutes=5),
    9: timedelta(minutes=15),
    10: timedelta(hours=1),
    20: timedelta(hours=24),
}
"""How long an authenticator waits from so many consecutive failures on."""


class ConfigError(Exception):
    """A setting can't be used; the message names the variable and what it should hold."""


class Config(BaseSettings):
    """Everything that an operator can set, each as `GATEHOUSE_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
        validate_default=False,  # the two secrets are made later if nobody set them
    )

    base_url: str = "http://localhost:8000"
    account_domain: str = Field(default="gatehouse", min_length=1, max_length=100)
    data_dir: Path = Path("var")
    database_url: SecretStr | None = None
    secret_key: SecretStr = SecretStr("")
    encryption_keys: SecretStr = SecretStr("")
    signing_algorithm: Literal["ES256", "RS256", "Ed25519"] = "ES256"
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = ()
    country_header: str | None = None
    attempts_per_session: int = Field(default=5, ge=1, le=10)
    failures_per_user: int = Field(default=100, ge=5, le=100)  # NIST SP 800-63B-4, 3.2.2
    waits: Annotated[dict[int, timedelta], NoDecode] = WAITS
    address_limit: str = "600 per minute"
    key_limit: str = "1000 per second"
    default_country: str = "US"
    sender_threads: int = Field(default=16, ge=1, le=200)
    message_days: int = Field(default=90, ge=7, le=3650)
    log_format: Literal["json", "text"] = "text"
    mail_from: str | None = None
    smtp_url: SecretStr | None = None
    outbound_networks: Annotated[tuple[Network, ...], NoDecode] = ()
    ca_file: Path | None = None
    twilio_url: str = "https://api.twilio.com"
    vonage_url: str = "https://rest.nexmo.com"

    @field_validator("base_url")
    @classmethod
    def _is_an_origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an address such as https://mfa.example.com")
        if parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
            raise ValueError("must hold a scheme, a host and at most a port, nothing after them")
        if not _AUTHORITY.fullmatch(parts.netloc) or parts.port == 0:  # .port raises over 65535
            raise ValueError("must hold a host in ASCII, as a browser sends it")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("must start with https:// (http:// is for this machine only)")
        usual = {"http": ":80", "https": ":443"}[parts.scheme]
        return f"{parts.scheme}://{parts.netloc.lower().removesuffix(usual)}"

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            url = make_url(value.get_secret_value().replace("postgres://", "postgresql://", 1))
        except ArgumentError:
            raise ValueError("must be an address such as postgresql://user@host/name") from None
        if url.get_backend_name() == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        elif url.drivername != "sqlite":
            raise ValueError("must start with postgresql:// or sqlite:///")
        return SecretStr(url.render_as_string(hide_password=False))

    @field_validator("trusted_proxies", "outbound_networks", mode="before")
    @classmethod
    def _are_networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())

    @field_validator("country_header")
    @classmethod
    def _is_a_header(cls, value: str | None, info: ValidationInfo) -> str | None:
        return countries.checked_header(value, info.data.get("trusted_proxies"))

    @field_validator("secret_key")
    @classmethod
    def _is_long(cls, value: SecretStr) -> SecretStr:
        if len(value) < _SECRET_CHARACTERS:
            raise ValueError(f"must hold at least {_SECRET_CHARACTERS} random characters")
        return value

    @field_validator("encryption_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr) -> SecretStr:
        crypto.parse_keys(value.get_secret_value())
        return value

    @field_validator("waits", mode="before")
    @classmethod
    def _are_waits(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.split(":") for part in value.split(",")]
        if not all(len(pair) == 2 and all(map(str.isdecimal, pair)) for pair in pairs):
            raise ValueError("must read such as 5:30,6:60 (failures in a row, then seconds)")
        return {int(failures): timedelta(seconds=int(seconds)) for failures, seconds in pairs}

    @field_validator("address_limit", "key_limit")
    @classmethod
    def _is_a_rate(cls, value: str) -> str:
        try:
            limits.parse(value)
        except ValueError:
            raise ValueError("must read such as 600 per minute") from None
        return value

    @field_validator("default_country")
    @classmethod
    def _is_a_country(cls, value: str) -> str:
        if value.upper() not in SUPPORTED_REGIONS:
            raise ValueError("must be the two letters of a country, such as FR")
        return value.upper()

    @field_validator("mail_from")
    @classmethod
    def _is_a_sender(cls, value: str | None) -> str | None:
        if value is not None:
            mail_servers.sender(value)
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_a_mail_server(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None:
            mail_servers.parse(value.get_secret_value())
            if not info.data.get("mail_from"):
                raise ValueError(f"needs {PREFIX}MAIL_FROM beside it")
        return value

    @field_validator("ca_file")
    @classmethod
    def _holds_certificates(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        path, found = value.expanduser().absolute(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with suppress(OSError):
            found.load_verify_locations(path)
        if not found.cert_store_stats()["x509"]:
            raise ValueError("must be a readable file of certificates (PEM)")
        return path

    @field_validator("twilio_url", "vonage_url")
    @classmethod
    def _is_a_vendor(cls, value: str) -> str:
        try:
            addresses.target(value)
        except addresses.NotAllowed as refused:
            raise ValueError(str(refused)) from None
        return value.rstrip("/")

    @model_validator(mode="after")
    def _data_dir_is_absolute(self) -> Config:
        self.data_dir = self.data_dir.expanduser().absolute()
        return self

    @property
    def https(self) -> bool:
        """Whether browsers reach us over TLS."""
        return self.base_url.startswith("https://")

    @property
    def host(self) -> str:
        """The one host (with its port, if not the usual one) that we answer to."""
        return urlsplit(self.base_url).netloc

    @property
    def rp_id(self) -> str | None:
        """The name that passkeys are bound to; None at a bare IP address, where none work."""
        name = urlsplit(self.base_url).hostname or ""
        return None if ":" in name or name.replace(".", "").isdigit() else name

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'gatehouse.sqlite3'}"


def load(say: Callable[[str], None] | None = None) -> Config:
    """Read the settings; make the two secrets on first start if nobody set them.

    Args:
        say: told one line for each file that was made.

    Raises:
        ConfigError: a variable holds something unusable, or the data folder can't be written.
    """
    try:
        config = Config()
    except ValidationError as error:
        raise ConfigError("\n".join(map(_explain, error.errors()))) from None
    makers = {"secret_key": lambda: secrets.token_urlsafe(48), "encryption_keys": crypto.new_key}
    kept: dict[str, Any] = {
        name: _kept(config.data_dir, name, make, say)
        for name, make in makers.items()
        if not getattr(config, name)
    }
    try:
        return Config(**kept) if kept else config
    except ValidationError as error:
        raise ConfigError(f"{_explain(error.errors()[0])} (in {config.data_dir})") from None


def _explain(error: ErrorDetails) -> str:
    name = PREFIX + str(error["loc"][0] if error["loc"] else "").upper()
    return f"{name}: {str(error['msg']).removeprefix('Value error, ')}"


def _kept(
    folder: Path, name: str, make: Callable[[], str], say: Callable[[str], None] | None
) -> SecretStr:
    """Read a secret from its file; the first process to start makes it, the others read it."""
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists() and _write_once(path, make()) and say:
            say(f"Made {path}. Keep a copy of it apart from the database.")
        return SecretStr(path.read_text().strip())
    except OSError as error:
        raise ConfigError(
            f"{PREFIX}DATA_DIR: {path} can't be read or made ({error.strerror}). "
            f"Set {PREFIX}DATA_DIR to a folder of this user, or set {PREFIX}{name.upper()}."
        ) from None


def _write_once(path: Path, text: str) -> bool:
    """Write the whole file or nothing, mode 0600; tell whether this process was the one."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
