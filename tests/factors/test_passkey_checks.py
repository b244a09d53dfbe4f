"""What is looked at in a new passkey beside what the library looks at."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from webauthn.helpers import encode_cbor

from app.factors.passkey_checks import demand_fitting_key, is_attested
from tests.software_authenticator import AAGUID, Maker

ES256, RS256 = -7, -257
MODEL = AAGUID.hex()
OTHER = bytes(16).hex()


def on_curve(number: int, curve: ec.EllipticCurve) -> bytes:
    point, size = ec.generate_private_key(curve).public_key().public_numbers(), curve.key_size // 8
    x, y = point.x.to_bytes(size), point.y.to_bytes(size)
    return encode_cbor({1: 2, 3: ES256, -1: number, -2: x, -3: y})


def of_bits(bits: int) -> bytes:
    numbers = rsa.generate_private_key(65537, bits).public_key().public_numbers()
    return encode_cbor({1: 3, 3: RS256, -1: numbers.n.to_bytes(bits // 8), -2: b"\1\0\1"})


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        (on_curve(1, ec.SECP256R1()), True),
        (on_curve(2, ec.SECP384R1()), False),
        (of_bits(2048), True),
        (of_bits(1024), False),
    ],
    ids=["P-256", "P-384", "RSA 2048", "RSA 1024"],
)
def test_a_key_is_of_the_kind_and_length_that_its_algorithm_asks_for(
    key: bytes, fits: bool
) -> None:
    with nullcontext() if fits else pytest.raises(ValueError, match="kind of key"):
        demand_fitting_key(key)


def attestation(fmt: str, **statement: object) -> bytes:
    return encode_cbor({"fmt": fmt, "attStmt": statement, "authData": bytes(37)})


def test_who_vouches_is_a_maker_with_a_certificate_and_for_the_very_model() -> None:
    maker = Maker()
    named = maker.leaf.public_bytes(Encoding.DER)
    nameless = maker.root.public_bytes(Encoding.DER)

    assert not is_attested(attestation("none"), MODEL)
    assert not is_attested(attestation("packed", alg=ES256, sig=b""), MODEL)  # by itself
    assert is_attested(attestation("packed", x5c=[named]), MODEL)
    assert not is_attested(attestation("packed", x5c=[named]), OTHER)
    assert not is_attested(attestation("packed", x5c=[nameless]), MODEL)
    assert is_attested(attestation("fido-u2f", x5c=[nameless]), MODEL)  # they name none
