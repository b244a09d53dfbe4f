"""A passkey in software: it signs as a device does, and lies wherever a test asks it to.

Of WebAuthn it shares no code with the product: CBOR by cbor2, keys by cryptography.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from app.clock import SystemClock

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40
AAGUID = bytes.fromhex("cb69481e8ff7403993ec0a2729a154a8")
AAGUID_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Maker:
    """A maker of security keys: its root, and a certificate for one model."""

    def __init__(self, aaguid: bytes = AAGUID, root: Maker | None = None) -> None:
        self.root_key: ec.EllipticCurvePrivateKey
        self.root: x509.Certificate
        self.root_key = root.root_key if root else ec.generate_private_key(ec.SECP256R1())
        self.root = root.root if root else self._certificate("Maker Root", self.root_key, None)
        self.key = ec.generate_private_key(ec.SECP256R1())
        told = x509.UnrecognizedExtension(AAGUID_EXTENSION, b"\x04\x10" + aaguid)
        self.leaf = self._certificate("Maker Model", self.key, told)

    @property
    def pem(self) -> str:
        return self.root.public_bytes(Encoding.PEM).decode()

    def _certificate(
        self, name: str, key: ec.EllipticCurvePrivateKey, told: x509.UnrecognizedExtension | None
    ) -> x509.Certificate:
        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

        now = SystemClock().now()  # chains are checked against the machine's time
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named("Maker Root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=told is None, path_length=None), critical=True)
        )
        if told is not None:
            builder = builder.add_extension(told, critical=False)
        return builder.sign(self.root_key, SHA256())


@dataclass
class SoftwareAuthenticator:
    """One device with one passkey.

    Attributes:
        flags: what it says of the user and of itself, such as `UP | UV`.
        counts: whether it counts its answers.
        client: changes to what the browser says (`clientDataJSON`); None leaves a part out.
        rp_id: for whom it signs, if not for whom it was asked.
        maker: who vouches for it.
    """

    origin: str = "http://localhost"
    flags: int = UP | UV
    sign_count: int = 0
    counts: bool = True
    algorithm: int = -7
    client: dict[str, Any] = field(default_factory=dict)
    rp_id: str | None = None
    aaguid: bytes = AAGUID
    maker: Maker | None = None
    fmt: str | None = None
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    handle: bytes | None = None
    user_handle: bytes | None = None
    twist_statement: Callable[[dict[str, Any]], Any] = lambda statement: statement
    twist_key: Callable[[dict[int, Any]], Any] = lambda key: key
    twist_object: Callable[[bytes], bytes] = lambda data: data
    twist_signature: Callable[[bytes], bytes] = lambda data: data

    def __post_init__(self) -> None:
        self.key: Any = {
            -7: lambda: ec.generate_private_key(ec.SECP256R1()),
            -8: ed25519.Ed25519PrivateKey.generate,
            -257: lambda: rsa.generate_private_key(65537, 2048),
            -65535: lambda: rsa.generate_private_key(65537, 2048),
            -35: lambda: ec.generate_private_key(ec.SECP384R1()),
        }[self.algorithm]()

    def create(self, options: dict[str, Any]) -> str:
        """Make the passkey, and return what the page's script sends."""
        client = self._client("webauthn.create", options["challenge"])
        self.handle = unb64(options["user"]["id"])
        attested = self.aaguid + len(self.credential_id).to_bytes(2, "big") + self.credential_id
        attested += cbor2.dumps(self.twist_key(self._cose()))
        data = self._data(self.rp_id or options["rp"]["id"], self.flags | AT) + attested
        statement = self.twist_statement(self._statement(data + hashlib.sha256(client).digest()))
        fmt = self.fmt or ("packed" if self.maker else "none")
        whole = cbor2.dumps({"fmt": fmt, "attStmt": statement, "authData": data})
        return self._answer(
            client, attestationObject=b64(self.twist_object(whole)), transports=["usb"]
        )

    def get(self, options: dict[str, Any]) -> str:
        """Sign, and return what the page's script sends."""
        client = self._client("webauthn.get", options["challenge"])
        self.sign_count += self.counts
        data = self._data(self.rp_id or options["rpId"], self.flags)
        signature = self.twist_signature(self._signed(data + hashlib.sha256(client).digest()))
        handle = self.user_handle if self.user_handle is not None else self.handle
        return self._answer(
            client,
            authenticatorData=b64(data),
            signature=b64(signature),
            userHandle=b64(handle) if handle is not None else None,
        )

    def _client(self, kind: str, challenge: str) -> bytes:
        told = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        told |= self.client
        return json.dumps(
            {name: value for name, value in told.items() if value is not None}
        ).encode()

    def _data(self, rp_id: str, flags: int) -> bytes:
        return (
            hashlib.sha256(rp_id.encode()).digest()
            + bytes([flags])
            + self.sign_count.to_bytes(4, "big")
        )

    def _statement(self, signed: bytes) -> dict[str, Any]:
        if self.maker is None:
            return {}
        leaf = self.maker.leaf.public_bytes(Encoding.DER)
        return {
            "alg": -7,
            "sig": self.maker.key.sign(signed, ec.ECDSA(SHA256())),
            "x5c": [leaf],
        }

    def _cose(self) -> dict[int, Any]:
        public = self.key.public_key()
        if self.algorithm == -8:
            return {1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()}
        numbers = public.public_numbers()
        if self.algorithm in (-257, -65535):
            size = (numbers.n.bit_length() + 7) // 8
            return {
                1: 3,
                3: self.algorithm,
                -1: numbers.n.to_bytes(size, "big"),
                -2: b"\x01\x00\x01",
            }
        size, curve = (48, 2) if self.algorithm == -35 else (32, 1)
        x, y = numbers.x.to_bytes(size, "big"), numbers.y.to_bytes(size, "big")
        return {1: 2, 3: self.algorithm, -1: curve, -2: x, -3: y}

    def _signed(self, data: bytes) -> bytes:
        if self.algorithm == -8:
            return bytes(self.key.sign(data))
        if self.algorithm in (-257, -65535):
            return bytes(self.key.sign(data, padding.PKCS1v15(), SHA256()))
        return bytes(self.key.sign(data, ec.ECDSA(SHA256())))

    def _answer(self, client: bytes, **response: Any) -> str:
        return json.dumps(
            {
                "id": b64(self.credential_id),
                "rawId": b64(self.credential_id),
                "type": "public-key",
                "response": {"clientDataJSON": b64(client), **response},
                "clientExtensionResults": {},
            }
        )
