"""Addresses that somebody else names: taken apart strictly, and judged whether they are public."""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address

_PRINTABLE = re.compile(r"[!-\[\]-~]+")  # ASCII without space and backslash
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*", re.I)
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.I)
_WEB_PORTS = frozenset({80, 443})
_FIRST_FREE_PORT = 1024
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address behind a NAT64
_UNICAST = ipaddress.ip_network("2000::/3")
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        # Neither meant to be called, nor marked as such by every Python that we run on.
        ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2002::/16", "3fff::/20"),
    )
)


class NotAllowed(Exception):
    """An address that may not be called; the message is a sentence for who named it."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """An address of the web, taken apart.

    Attributes:
        path: with its query, as it is asked for.
    """

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def place(self) -> tuple[str, str, int]:
        """Where a connection leads."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The host and port as the Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


def target(url: str) -> Target:
    """Take an address apart.

    Raises:
        NotAllowed: it is not one of the web, or holds what a plain one does not.
    """
    if not _PRINTABLE.fullmatch(url):
        raise NotAllowed("Write it in ASCII, without spaces and backslashes.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise NotAllowed("Write an address such as https://sms.example.com/send.") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise NotAllowed("Write an address that starts with https://.")
    if "@" in parts.netloc or parts.fragment:
        raise NotAllowed("Write it without user name, password and fragment.")
    port = port if port is not None else {"https": 443, "http": 80}[parts.scheme]
    if port not in _WEB_PORTS and port < _FIRST_FREE_PORT:
        raise NotAllowed(f"Port {port} is not for the web. Use 443, 80, or one from 1024 on.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme, host=host_name(parts.hostname), port=port, path=path)


def host_name(host: str) -> str:
    """Return a host as it is looked up: a name in ASCII, or an IP address in its usual form.

    Raises:
        NotAllowed: it is neither, or a number that some resolvers read as an address.
    """
    with suppress(ValueError):
        return str(ipaddress.ip_address(host.replace("%", " ")))  # no zone of this machine
    if not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise NotAllowed(
            "Its host is neither a name in ASCII nor an IP address as usually written."
        )
    return host.lower()


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the open internet, also where it wraps another one."""
    address = unwrapped(address)
    if any(address in network for network in _SPECIAL):
        return False
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not address.is_multicast


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address only wraps, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address
