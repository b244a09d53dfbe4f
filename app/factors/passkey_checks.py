"""What WebAuthn asks of a relying party and py_webauthn leaves to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from webauthn.helpers import (
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
    encode_cbor,
    parse_attestation_object,
    parse_cbor,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import AttestationFormat

_LEAST_RSA_BITS = 2048
_AAGUID_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")


def comes_from_a_frame(client_data: Mapping[str, Any]) -> bool:
    """Tell whether the page stood in a page of another origin, which no page of ours does."""
    return client_data.get("crossOrigin") not in (None, False) or "topOrigin" in client_data


def demand_nothing_more(attestation: bytes) -> None:
    """Refuse bytes after the attestation, which the library passes over.

    Raises:
        ValueError: there are some.
    """
    if len(encode_cbor(parse_cbor(attestation))) != len(attestation):
        raise ValueError("more than one value")


def demand_fitting_key(cose: bytes) -> None:
    """Refuse a key that is of another kind than its algorithm, or too short.

    Raises:
        ValueError: it is.
    """
    decoded = decode_credential_public_key(cose)
    key = decoded_public_key_to_cryptography(decoded)
    match decoded.alg:
        case COSEAlgorithmIdentifier.EDDSA:
            fits = isinstance(key, Ed25519PublicKey)
        case COSEAlgorithmIdentifier.ECDSA_SHA_256:
            fits = isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
        case _:
            fits = isinstance(key, RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS
    if not fits:
        raise ValueError("another kind of key")


def is_attested(attestation: bytes, aaguid: str) -> bool:
    """Tell whether a maker vouches for the model: by a certificate, and for no other model.

    The certificate's chain was checked with the signature.
    """
    found = parse_attestation_object(attestation)
    if found.fmt == AttestationFormat.NONE or not found.att_stmt.x5c:
        return False
    leaf = x509.load_der_x509_certificate(found.att_stmt.x5c[0])
    for extension in leaf.extensions:
        if extension.oid == _AAGUID_EXTENSION:
            told = extension.value.public_bytes()[2:]  # without the tag of its OCTET STRING
            return bool(told.hex() == aaguid.replace("-", ""))
    return found.fmt != AttestationFormat.PACKED


def certificates(pem: str) -> tuple[str, ...]:
    """Return each certificate of a PEM text as one.

    Raises:
        ValueError: it is no such text, or holds none.
    """
    found = x509.load_pem_x509_certificates(pem.encode())
    return tuple(one.public_bytes(Encoding.PEM).decode() for one in found)
