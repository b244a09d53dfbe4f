"""JSON Web Keys and signed tokens, by joserfc; algorithms always from an allow-list."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Literal, cast

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeyParameters, KeySet, OKPKey, RSAKey
from joserfc.registry import HeaderParameter

Algorithm = Literal["ES256", "RS256", "Ed25519"]
ALGORITHMS: tuple[Algorithm, ...] = ("ES256", "RS256", "Ed25519")
_ISSUER = HeaderParameter("Issuer", "str")
_REGISTRY = jws.JWSRegistry({"iss": _ISSUER}, algorithms=list(ALGORITHMS))

PrivateKey = ECKey | RSAKey | OKPKey
Claims = dict[str, Any]


class BadToken(Exception):
    """A token is not one of ours, was changed, or is of another kind."""


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
