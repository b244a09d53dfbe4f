"""Keys that live outside the database: sealing what must be read back, hashing what is compared.

Everything here is a thin use of `cryptography` and the standard library's `hmac`.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12
KEY_BYTES = 32


class UnknownKey(Exception):
    """A stored value names a key that the deployment no longer has."""


class Sealed(Exception):
    """A stored value does not open: it was changed, or moved from another row or column."""


def new_token(bits: int = 256) -> str:
    """Return a fresh URL-safe secret of so many random bits."""
    return secrets.token_urlsafe(bits // 8)


def new_characters(number: int, alphabet: str) -> str:
    """Return a fresh secret of so many characters, where somebody else sets its form."""
    return "".join(secrets.choice(alphabet) for _ in range(number))


def new_key() -> str:
    """Return one fresh entry for `GATEHOUSE_ENCRYPTION_KEYS`: `<id>:<base64 of 32 bytes>`."""
    return f"k{secrets.token_hex(3)}:{base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def parse_keys(text: str) -> dict[str, bytes]:
    """Read `id:base64[,id:base64…]` into keys by id; the first is the one that writes.

    Raises:
        ValueError: an entry has no id, is not base64, or does not hold 32 bytes.
    """
    keys: dict[str, bytes] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        key_id, separator, encoded = entry.partition(":")
        if not separator or not key_id.isalnum():
            raise ValueError("each entry must read <id>:<base64>, the id letters and digits")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            raise ValueError(f"the key {key_id} is not base64") from None
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key {key_id} must hold {KEY_BYTES} bytes")
        if key_id in keys:
            raise ValueError(f"the key {key_id} is there twice")
        keys[key_id] = key
    if not keys:
        raise ValueError("at least one key is needed")
    return keys


@lru_cache(maxsize=256)
def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(key)


class Vault:
    """Seals and hashes under the deployment's keys.

    Args:
        keys: key bytes by id, the writing key first; later ones only open and compare.
    """

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._keys = keys
        self._writing = next(iter(keys))

    @property
    def key_ids(self) -> list[str]:
        """The ids of the deployment's keys, the writing one first."""
        return list(self._keys)

    def __repr__(self) -> str:
        return f"Vault(keys={list(self._keys)})"

    def seal(self, plain: bytes, *, place: str) -> str:
        """Encrypt with AES-256-GCM, bound to the place (table, column, row) where it will stand."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        box = AESGCM(_derive(self._keys[self._writing], "seal"))
        sealed = base64.b64encode(nonce + box.encrypt(nonce, plain, place.encode())).decode()
        return f"v1:{self._writing}:{sealed}"

    def open(self, sealed: str, *, place: str) -> bytes:
        """Decrypt what `seal` made for this very place.

        Raises:
            UnknownKey: its key is not among the deployment's keys.
            Sealed: it was altered, or it stands in another place.
        """
        _, key_id, encoded = sealed.split(":", 2)
        raw = base64.b64decode(encoded)
        box = AESGCM(_derive(self._key(key_id), "seal"))
        try:
            return box.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode())
        except InvalidTag:
            raise Sealed(place) from None

    def hash(self, secret: str, *, purpose: str) -> str:
        """Return a keyed hash (HMAC-SHA-256) that is stored instead of the secret."""
        return f"{self._writing}:{self._mac(self._writing, secret, purpose)}"

    def matches(self, secret: str, stored: str | None, *, purpose: str) -> bool:
        """Tell in constant time whether the secret is the one that was hashed."""
        key_id, _, mac = (stored or f"{self._writing}:").partition(":")
        if key_id not in self._keys:
            return False
        return hmac.compare_digest(self._mac(key_id, secret, purpose), mac)

    def has_key_of(self, stored: str) -> bool:
        """Tell whether the key under which this hash was made is still there."""
        return stored.partition(":")[0] in self._keys

    def hashes(self, secret: str, *, purpose: str) -> list[str]:
        """Return the secret's hash under every key, to look a row up by it."""
        return [f"{key_id}:{self._mac(key_id, secret, purpose)}" for key_id in self._keys]

    def _mac(self, key_id: str, secret: str, purpose: str) -> str:
        key = _derive(self._key(key_id), f"hash:{purpose}")
        return hmac.digest(key, secret.encode("utf-8", "surrogatepass"), "sha256").hex()

    def _key(self, key_id: str) -> bytes:
        try:
            return self._keys[key_id]
        except KeyError:
            raise UnknownKey(key_id) from None
