"""Keys that clients registered, and what they sign with them; by joserfc, never by the header."""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection
from typing import Any, Literal

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from app.jose import BadToken, Claims, PrivateKey, export_public

Algorithm = Literal["RS256", "PS256", "ES256", "EdDSA"]
ALGORITHMS: tuple[Algorithm, ...] = ("RS256", "PS256", "ES256", "EdDSA")
"""In what clients may sign with keys that they registered; each is for one kind of key alone."""
_KINDS = {"RS256": ("RSA", None), "PS256": ("RSA", None), "ES256": ("EC", "P-256")}
_EDWARDS = ("OKP", "Ed25519")
_LEAST_RSA_BITS = 2048
_REGISTRY = jws.JWSRegistry(algorithms=[*ALGORITHMS, "Ed25519"])


def checked_key(value: object, algorithm: str) -> dict[str, Any]:
    """Return a public key (RFC 7517) as it can be registered for an algorithm, with a `kid`.

    Raises:
        ValueError: what is wrong with it, in words.
    """
    kinds: dict[str, type[PrivateKey]] = {"EC": ECKey, "RSA": RSAKey, "OKP": OKPKey}
    if not isinstance(value, dict) or value.get("kty") not in kinds:
        raise ValueError("is no key that signs: kty must be RSA, EC or OKP.")
    if value.get("d"):
        raise ValueError("holds a private key. Paste the public half alone, and replace this key.")
    if (value["kty"], value.get("crv")) != _KINDS.get(algorithm, _EDWARDS):
        raise ValueError(f"is no key for {algorithm}.")
    try:
        key = kinds[value["kty"]].import_key(value)
        public = export_public(key)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise ValueError("can’t be read as a JSON Web Key.") from error
    if isinstance(key, RSAKey) and key.raw_value.key_size < _LEAST_RSA_BITS:
        raise ValueError(f"is shorter than {_LEAST_RSA_BITS:,} bits.")
    return {**public, "kid": str(value.get("kid") or key.thumbprint())}


def verify(
    token: str, *, keys: list[dict[str, Any]], algorithm: str, types: Collection[str | None]
) -> Claims:
    """Return the claims of a token that a client signed with a key that it registered.

    Keys come from the registration alone, and so does the algorithm: what the header says must
    agree with both, and nothing in it is followed. Claims are the caller's to judge.

    Args:
        types: values of `typ` that this kind of token may have; None stands for none.

    Raises:
        BadToken: whatever is wrong with it.
    """
    names = {"EdDSA": ("EdDSA", "Ed25519")}.get(algorithm, (algorithm,))
    try:
        header = jws.extract_compact(token.encode("ascii")).headers()
        if header.get("alg") not in names or header.get("typ") not in types or "crit" in header:
            raise BadToken
        kid = header.get("kid")
        chosen = [one for one in keys if kid in {None, one["kid"]}]
        if len(chosen) != 1:
            raise BadToken
        bare = {name: value for name, value in chosen[0].items() if name not in {"alg", "use"}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # EdDSA has a newer name; clients still write this one
            decoded = jwt.decode(
                token,
                KeySet.import_key_set({"keys": [bare]}),
                algorithms=[*names],
                registry=_REGISTRY,
            )
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise BadToken from error
    if not isinstance(decoded.claims, dict):
        raise BadToken
    return decoded.claims


def unverified(token: str) -> Claims:
    """Return what a token says, whoever signed it: to find who is meant, never to judge.

    Raises:
        BadToken: it is none.
    """
    try:
        claims = json.loads(jws.extract_compact(token.encode("ascii")).payload)
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise BadToken from error
    if not isinstance(claims, dict):
        raise BadToken
    return claims
