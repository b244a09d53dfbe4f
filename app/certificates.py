"""Certificates of our own making, for keys that others know by one alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Gatehouse")])
_LASTS = timedelta(days=3650)
_CLOCKS_DIFFER = timedelta(days=1)


def self_signed(key: RSAPrivateKey, *, at: datetime) -> x509.Certificate:
    """Return a certificate over a key that vouches for itself (RFC 5280), for ten years.

    Nobody checks it further than to the key inside; which one counts is said by where it is
    published.

    Args:
        at: from when on, less a day for clocks that differ.
    """
    return (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _CLOCKS_DIFFER)
        .not_valid_after(at + _LASTS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, SHA256())
    )
