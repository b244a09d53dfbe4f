"""Addresses of clients, as far as one party can be expected to hold them."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network


def party_of(address: str) -> str:
    """Return what is counted as one: an IPv4 address, or an IPv6 network of 64 bits.

    What can't be read as an address is counted as it stands.
    """
    try:
        peer = ip_address(address)
    except ValueError:
        return address
    if not isinstance(peer, IPv6Address):
        return str(peer)
    # A socket for both versions writes each IPv4 peer in one and the same network.
    mapped = peer.ipv4_mapped
    return str(mapped or ip_network((int(peer), 64), strict=False))
