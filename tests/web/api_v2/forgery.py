"""A forger of tokens: everything that was ever tried against a verifier of JSON Web Tokens."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

Header = dict[str, Any]
_DIGESTS = {"256": SHA256(), "384": SHA384(), "512": SHA512()}


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def parts(token: str) -> tuple[Header, dict[str, Any], bytes]:
    header, payload, signature = token.split(".")
    return json.loads(decode(header)), json.loads(decode(payload)), decode(signature)


def put(header: Any, payload: Any, signature: bytes = b"") -> str:
    """Put a token together, whether it makes sense or not."""
    first, second = (
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)
    )
    return f"{encode(first)}.{encode(second)}.{encode(signature)}"


def signed(header: Header, payload: Any, key: Any, algorithm: str | None = None) -> str:
    """Sign properly, with a private key and any header; `algorithm` if not the header's."""
    unsigned = put(header, payload).rstrip(".")
    return f"{unsigned}.{encode(_signature(algorithm or header['alg'], key, unsigned.encode()))}"


def _signature(algorithm: str, key: Any, text: bytes) -> bytes:
    match algorithm:
        case "ES256" | "ES384":
            size = int(algorithm[2:]) // 8
            der = key.sign(text, ec.ECDSA(_DIGESTS[algorithm[2:]]))
            return b"".join(part.to_bytes(size) for part in decode_dss_signature(der))
        case "RS256" | "RS384" | "RS512":
            return bytes(key.sign(text, padding.PKCS1v15(), _DIGESTS[algorithm[2:]]))
        case "PS256":
            pss = padding.PSS(padding.MGF1(_DIGESTS["256"]), 32)
            return bytes(key.sign(text, pss, _DIGESTS["256"]))
        case _:
            return bytes(key.sign(text))


@cache
def strangers() -> dict[str, Any]:
    """Private keys of the forger's own, by algorithm."""
    p256, p384 = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP384R1())
    big = rsa.generate_private_key(65537, 2048)
    edwards = Ed25519PrivateKey.generate()
    return {
        "ES256": p256,
        "ES384": p384,
        "RS256": big,
        "RS384": big,
        "RS512": big,
        "PS256": big,
        "Ed25519": edwards,
        "EdDSA": edwards,
    }


def public_jwk(key: Any, kid: str) -> dict[str, Any]:
    """Return the public half of a private key as the forger would publish it."""
    wrapped: Any = OKPKey
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        wrapped = RSAKey if isinstance(key, rsa.RSAPrivateKey) else ECKey
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {**wrapped.import_key(pem).as_dict(private=False), "kid": kid}


def forgeries(good: str, published: dict[str, Any], listener: str) -> Iterator[tuple[str, str]]:
    """Yield (name, token): variants of a good token, none of which we ever signed.

    Args:
        good: a token that works.
        published: its key as the key set has it.
        listener: address of a key set of the forger's.
    """
    yield from _without_signature(good)
    yield from _with_our_public_key_as_secret(good, published)
    yield from _with_another_key(good, listener)
    yield from _with_another_name_of_the_key(good)
    yield from _of_another_shape(good)


def _without_signature(good: str) -> Iterator[tuple[str, str]]:
    header, payload, signature = parts(good)
    for alg in ("none", "None", "NONE", "nOnE", "", None, ["none"], ["ES256"], {"a": 1}, 0):
        yield f"alg {alg!r}, no signature", put({**header, "alg": alg}, payload)
        yield f"alg {alg!r}, the old signature", put({**header, "alg": alg}, payload, signature)
    without = {name: value for name, value in header.items() if name != "alg"}
    yield "no alg", put(without, payload, signature)
    yield "an empty signature", put(header, payload)
    yield "r and s are zero", put(header, payload, b"\0" * 64)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    for name, number in (("the order", order), ("one", 1), ("the largest", 2**256 - 1)):
        yield f"r and s are {name}", put(header, payload, number.to_bytes(32) * 2)
    yield "half a signature", put(header, payload, signature[:32])
    yield "a signature and more", put(header, payload, signature + b"\0")
    yield "a flipped bit", put(header, payload, bytes([signature[0] ^ 1]) + signature[1:])


def _with_our_public_key_as_secret(
    good: str, published: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    header, payload, _ = parts(good)
    [key] = KeySet.import_key_set({"keys": [published]}).keys
    public: Any = key.public_key  # type: ignore[union-attr]
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    secrets = {
        "PEM": pem,
        "PEM without its last line break": pem.strip(),
        "PEM without frame": b"".join(pem.splitlines()[1:-1]),
        "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "JWK": json.dumps(published).encode(),
        "JWK, sorted and compact": json.dumps(
            published, sort_keys=True, separators=(",", ":")
        ).encode(),
        "the key set": json.dumps({"keys": [published]}).encode(),
        "kid": header["kid"].encode(),
        "nothing": b"",
    }
    if "x" in published:
        secrets["x"] = decode(published["x"])
    for name, secret in secrets.items():
        for alg, digest in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")):
            unsigned = put({**header, "alg": alg}, payload).rstrip(".")
            mac = hmac.digest(secret, unsigned.encode(), digest)
            yield f"{alg} keyed with {name}", f"{unsigned}.{encode(mac)}"
            kept = put(header, payload).rstrip(".")
            mac = hmac.digest(secret, kept.encode(), digest)
            yield f"{alg} keyed with {name}, under our alg", f"{kept}.{encode(mac)}"


def _with_another_key(good: str, listener: str) -> Iterator[tuple[str, str]]:
    header, payload, _ = parts(good)
    for alg, key in strangers().items():
        yield f"{alg} by a stranger", signed({**header, "alg": alg}, payload, key)
        jwk = public_jwk(key, header["kid"])
        for name, value in (
            ("jwk", jwk),
            ("jku", f"{listener}/jwks.json"),
            ("x5u", f"{listener}/certificate.pem"),
            ("x5c", [base64.b64encode(b"no certificate").decode()]),
            ("keys", [jwk]),
        ):
            yield f"{alg} with {name}", signed({**header, "alg": alg, name: value}, payload, key)
            named = {**header, "alg": alg, name: value, "kid": "stranger"}
            yield f"{alg} with {name} and kid", signed(named, payload, key)
            without = {key_: value_ for key_, value_ in named.items() if key_ != "kid"}
            yield f"{alg} with {name}, no kid", signed(without, payload, key)


def _with_another_name_of_the_key(good: str) -> Iterator[tuple[str, str]]:
    header, payload, signature = parts(good)
    stranger = strangers()[header["alg"]]
    for kid in (
        "../../dev/null",
        "/dev/null",
        "' or 1=1",
        "' or 1=1 --",
        "x" * 10_000,
        "",
        "\0",
        header["kid"] + "\0",
        header["kid"].upper() + "x",
        "\ud800",
        "%00",
        None,
        0,
        True,
        [],
        [header["kid"]],
        {"kid": header["kid"]},
        "http://127.0.0.1/",
    ):
        yield (
            f"kid {str(kid)[:20]!r}, the old signature",
            put({**header, "kid": kid}, payload, signature),
        )
        yield (
            f"kid {str(kid)[:20]!r}, signed",
            signed({**header, "kid": kid}, payload, stranger),
        )
        mac = hmac.digest(b"", put({**header, "alg": "HS256"}, payload).encode(), "sha256")
        yield (
            f"kid {str(kid)[:20]!r}, HS256",
            put({**header, "alg": "HS256", "kid": kid}, payload, mac),
        )
    without = {name: value for name, value in header.items() if name != "kid"}
    yield "no kid", put(without, payload, signature)


def _of_another_shape(good: str) -> Iterator[tuple[str, str]]:
    header, payload, signature = parts(good)
    first, second, third = good.split(".")
    shapes = {
        "an extra dot behind": f"{good}.",
        "an extra dot before": f".{good}",
        "an extra dot inside": f"{first}..{second}.{third}",
        "a fourth part": f"{good}.{third}",
        "five parts": f"{good}.{third}.{third}",
        "two parts": f"{first}.{second}",
        "one part": first,
        "dots": "..",
        "many dots": "." * 5000,
        "an unknown part first": f"x{first}.{second}.{third}",
        "a padded header": f"{first}=.{second}.{third}",
        "spaces inside": f"{first} .{second}.{third}",
        "no header": f".{second}.{third}",
        "no payload": f"{first}..{third}",
        "letters that are no base64": f"{first}.{second}.!!!",
        "text that is not ASCII": f"{first}.{second}.\u00e9",
        "a header that is no object": put([], payload, signature),
        "a header of text": put("ES256", payload, signature),
        "a header of a number": put(1, payload, signature),
        "a header of null": put(None, payload, signature),
        "a header that is no JSON": put(b"{", payload, signature),
        "a header that is no text": put(b"\xff\xfe", payload, signature),
        "a header nested too deeply": put(
            json.dumps(header)[:-1].encode() + b', "a": ' + b"[" * 3000 + b"]" * 3000 + b"}",
            payload,
            signature,
        ),
        "alg twice": put(b'{"alg": "none", ' + json.dumps(header)[1:].encode(), payload, signature),
        "a payload that is no object": put(header, [], signature),
        "a payload that is no JSON": put(header, b"{", signature),
        "a detached payload": put({**header, "b64": False, "crit": ["b64"]}, b"", signature),
        "crit": put({**header, "crit": ["exp"]}, payload, signature),
        "a compressed payload": put({**header, "zip": "DEF"}, payload, signature),
        "JSON serialization": json.dumps(
            {"payload": second, "protected": first, "signature": third}
        ),
    }
    yield from shapes.items()
    for name in payload:
        changed = {**payload, name: "changed" if payload[name] != "changed" else "x"}
        yield f"another {name}", put(header, changed, signature)
    yield "one claim more", put(header, {**payload, "admin": True}, signature)


@contextmanager
def listening(keys: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Serve the forger's keys; yield the address, and the list of who came for them."""
    came: list[str] = []

    class Serves(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(keys).encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Serves)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", came
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
