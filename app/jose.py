"""JSON Web Keys and signed tokens, by joserfc; algorithms always from an allow-list."""

from __future__ import annotations

import base64
import hashlib
import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from joserfc import jws, jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, KeyParameters, KeySet, OctKey, OKPKey, RSAKey
from joserfc.registry import HeaderParameter

from app.certificates import self_signed

Algorithm = Literal["ES256", "RS256", "Ed25519"]
ALGORITHMS: tuple[Algorithm, ...] = ("ES256", "RS256", "Ed25519")
_SHARED = ["HS512"]
"""What is signed with a secret that both sides know, where a protocol insists on it."""
_ISSUER = HeaderParameter("Issuer", "str")
_REGISTRY = jws.JWSRegistry({"iss": _ISSUER}, algorithms=list(ALGORITHMS))
_FEWEST_BITS = 2048
"""Of an RSA key of somebody else's."""

PrivateKey = ECKey | RSAKey | OKPKey
Claims = dict[str, Any]


class BadToken(Exception):
    """A token is not one of ours, was changed, or is of another kind."""


class UnknownKid(BadToken):
    """A token was signed with a key that we don't have."""


def generate_key(algorithm: Algorithm) -> PrivateKey:
    """Make a private key for signing, with its RFC 7638 thumbprint as `kid`."""
    options: KeyParameters = {"use": "sig", "alg": algorithm}
    match algorithm:
        case "ES256":
            return ECKey.generate_key("P-256", options, auto_kid=True)
        case "RS256":
            return RSAKey.generate_key(2048, options, auto_kid=True)
        case "Ed25519":
            return OKPKey.generate_key("Ed25519", options, auto_kid=True)


def export_private(key: PrivateKey) -> bytes:
    """Return the whole key as JSON, for sealing."""
    return json.dumps(key.as_dict(private=True)).encode()


def export_public(key: PrivateKey) -> dict[str, Any]:
    """Return what the world may know of the key (RFC 7517)."""
    return cast(dict[str, Any], key.as_dict(private=False))


def certified(key: PrivateKey, *, at: datetime) -> dict[str, Any]:
    """Return what `export_public` does, with a new certificate over it (RFC 7517 4.7, 4.8).

    Raises:
        TypeError: it is no RSA key.
    """
    private = key.private_key
    if not isinstance(private, RSAPrivateKey):
        raise TypeError("a certificate is made over RSA keys alone")
    certificate = self_signed(private, at=at)
    # The field's own digest, a name for the certificate; nothing rests on it.
    digest = certificate.fingerprint(SHA1())  # noqa: S303
    return {
        **export_public(key),
        "x5c": [b64encode(certificate.public_bytes(Encoding.DER)).decode()],
        "x5t": urlsafe_b64encode(digest).rstrip(b"=").decode(),
    }


@lru_cache(maxsize=8)
def load_private(data: bytes) -> PrivateKey:
    """Return the key that `export_private` wrote.

    It is kept in this process: to check an RSA key takes longer than all else of a request.
    """
    value = json.loads(data)
    kinds: dict[str, type[PrivateKey]] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}
    return kinds[value["kty"]].import_key(value)


def sign(claims: Claims, *, typ: str, key: PrivateKey, issuer: str | None = None) -> str:
    """Return the claims as a compact JWS (RFC 7515, RFC 7519) that names its key and its kind.

    Args:
        issuer: stands in the header, too (RFC 7519 section 5.3).
    """
    value = key.as_dict(private=False)
    header = {"alg": value["alg"], "typ": typ, "kid": value["kid"]}
    if issuer is not None:
        header["iss"] = issuer
    return jwt.encode(header, claims, key, algorithms=list(ALGORITHMS), registry=_REGISTRY)


def half_hash(text: str) -> str:
    """Return the left half of a digest, as `at_hash` and `c_hash` are made.

    Source: OpenID Connect Core sections 3.1.3.6 and 3.3.2.11.
    """
    half = hashlib.sha256(text.encode("ascii")).digest()[:16]
    return base64.urlsafe_b64encode(half).rstrip(b"=").decode()


def header(token: str) -> Claims:
    """Return the protected header of a token, whoever signed it: for showing, never for judging.

    Raises:
        BadToken: it is none.
    """
    try:
        return dict(jws.extract_compact(token.encode("ascii")).headers())
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise BadToken from error


def verify(token: str, *, typ: str, keys: list[dict[str, Any]]) -> Claims:
    """Return the claims of a token that one of these public keys signed, of exactly this kind.

    The key is chosen by `kid` from `keys` alone; a key, address or certificate inside the token
    (`jwk`, `jku`, `x5u`, `x5c`) is never looked at, and `crit` is refused (RFC 7515 section 4.1).
    The algorithm must be the one that the key was made for. Times are the caller's to judge.

    Raises:
        BadToken: whatever is wrong with it.
    """
    try:
        header = jws.extract_compact(token.encode("ascii")).headers()
        key = next(key for key in keys if key["kid"] == header.get("kid"))
        if header.get("alg") != key["alg"] or header.get("typ") != typ or "crit" in header:
            raise BadToken
        decoded = jwt.decode(
            token,
            KeySet.import_key_set({"keys": [key]}),
            algorithms=[key["alg"]],
            registry=_REGISTRY,
        )
    except (JoseError, StopIteration, ValueError, TypeError, RecursionError) as error:
        raise BadToken from error
    return decoded.claims


def verifies_rs256(key: Any) -> bool:
    """Tell whether somebody else's key (RFC 7517) is a public one that RS256 can be checked by."""
    try:
        wanted = isinstance(key, dict) and key.get("use", "sig") == "sig" and key["kty"] == "RSA"
        if not wanted or not isinstance(key["kid"], str) or key.get("alg", "RS256") != "RS256":
            return False
        if "d" in key or len(key["n"]) * 6 < _FEWEST_BITS:
            return False
        made = RSAKey.import_key({name: key[name] for name in ("kty", "n", "e")})
    except (JoseError, SecurityWarning, KeyError, ValueError, TypeError):
        return False
    return made.public_key.key_size >= _FEWEST_BITS


def is_certified(key: Any) -> bool:
    """Tell whether a public RSA key comes with a certificate over it (RFC 7517 section 4.7)."""
    if not verifies_rs256(key):
        return False
    try:
        certificate = load_der_x509_certificate(b64decode(key["x5c"][0]))
    except (KeyError, IndexError, ValueError, TypeError):
        return False
    named = RSAKey.import_key({name: key[name] for name in ("kty", "n", "e")})
    return certificate.public_key() == named.public_key


def verify_rs256(token: str, *, keys: list[dict[str, Any]]) -> tuple[Claims, dict[str, Any]]:
    """Return the claims of a token that one of somebody else's keys signed, and that key.

    Found and judged as in `verify`, but for `typ`, which is JWT or left out. Neither are times.

    Args:
        keys: each of which `verifies_rs256`.

    Raises:
        UnknownKid: it names a key that is not among these.
        BadToken: whatever else is wrong with it.
    """
    told = header(token)
    if told.get("alg") != "RS256" or told.get("typ", "JWT") != "JWT" or "crit" in told:
        raise BadToken
    key = next((key for key in keys if key["kid"] == told.get("kid")), None)
    if key is None:
        raise UnknownKid
    try:
        public = RSAKey.import_key({name: key[name] for name in ("kty", "n", "e")})
        return jwt.decode(token, public, algorithms=["RS256"]).claims, key
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise BadToken from error


def sign_shared(claims: Claims, *, secret: str) -> str:
    """Return the claims as a compact JWS, by HMAC with a secret that the reader knows, too."""
    key = OctKey.import_key(secret)
    return jwt.encode({"alg": "HS512", "typ": "JWT"}, claims, key, algorithms=_SHARED)


def verify_shared(token: str, *, secret: str) -> Claims:
    """Return the claims of a token that was signed by HMAC-SHA-512 with this secret, and so alone.

    What its header says of the algorithm chooses nothing, and no key inside it is looked at. Times
    are the caller's to judge.

    Raises:
        BadToken: whatever is wrong with it.
    """
    try:
        if "crit" in jws.extract_compact(token.encode("ascii")).headers():
            raise BadToken
        return jwt.decode(token, OctKey.import_key(secret), algorithms=_SHARED).claims
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise BadToken from error


def unproven(token: str) -> Claims:
    """Return what a token says, whoever signed it: to find out whose secret might verify it.

    Raises:
        BadToken: it says nothing.
    """
    try:
        said = json.loads(jws.extract_compact(token.encode("ascii")).payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise BadToken from error
    if not isinstance(said, dict):
        raise BadToken
    return said
