"""Sealing and hashing under keys that are not in the database."""

from __future__ import annotations

import base64
import re

import pytest

from app.crypto import (
    KEY_BYTES,
    Sealed,
    UnknownKey,
    Vault,
    new_key,
    new_token,
    parse_keys,
)

HERE, ELSEWHERE = "authenticators.secret:1", "authenticators.secret:2"
OLD, NEW = {"old": b"o" * KEY_BYTES}, {"new": b"n" * KEY_BYTES}


def test_what_is_sealed_opens_in_its_own_place_and_nowhere_else() -> None:
    vault = Vault(OLD)
    sealed = vault.seal(b"secret", place=HERE)
    assert vault.open(sealed, place=HERE) == b"secret"
    for place in (ELSEWHERE, "", HERE + " ", "recovery_codes.secret:1"):
        with pytest.raises(Sealed):
            vault.open(sealed, place=place)


def test_a_changed_seal_does_not_open() -> None:
    vault = Vault(OLD)
    sealed = vault.seal(b"secret", place=HERE)
    raw = base64.b64decode(sealed.rsplit(":", 1)[1])
    for position in range(len(raw)):
        changed = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
        with pytest.raises(Sealed):
            vault.open(f"v1:old:{base64.b64encode(changed).decode()}", place=HERE)


def test_one_text_is_never_sealed_alike_twice() -> None:
    vault = Vault(OLD)
    sealed = {vault.seal(b"secret", place=HERE) for _ in range(50)}
    assert len(sealed) == 50
    assert not any("secret" in one or base64.b64encode(b"secret").decode() in one for one in sealed)


def test_keys_rotate_and_old_seals_still_open() -> None:
    sealed = Vault(OLD).seal(b"secret", place=HERE)
    both = Vault({**NEW, **OLD})
    assert both.open(sealed, place=HERE) == b"secret"
    fresh = both.seal(b"secret", place=HERE)
    assert fresh.startswith("v1:new:")
    assert Vault(NEW).open(fresh, place=HERE) == b"secret"
    with pytest.raises(UnknownKey):
        Vault(NEW).open(sealed, place=HERE)


def test_a_key_of_the_same_name_opens_nothing_of_another() -> None:
    sealed = Vault(OLD).seal(b"secret", place=HERE)
    with pytest.raises(Sealed):
        Vault({"old": b"x" * KEY_BYTES}).open(sealed, place=HERE)


def test_a_hash_depends_on_the_key_and_the_purpose() -> None:
    vault = Vault(OLD)
    stored = vault.hash("secret", purpose="api key secret")
    assert re.fullmatch(r"old:[0-9a-f]{64}", stored)
    assert vault.matches("secret", stored, purpose="api key secret")
    assert not vault.matches("secret ", stored, purpose="api key secret")
    assert not vault.matches("", stored, purpose="api key secret")
    assert not vault.matches("secret", stored, purpose="application secret")
    assert not Vault({"old": b"x" * KEY_BYTES}).matches("secret", stored, purpose="api key secret")
    assert stored != Vault(NEW).hash("secret", purpose="api key secret")
    assert vault.hash("secret", purpose="a") != vault.hash("secret", purpose="b")


def test_a_hash_outlives_a_rotation_and_not_its_key() -> None:
    stored = Vault(OLD).hash("secret", purpose="p")
    both = Vault({**NEW, **OLD})
    assert both.matches("secret", stored, purpose="p")
    assert both.hash("secret", purpose="p").startswith("new:")
    assert stored in both.hashes("secret", purpose="p")
    assert len(both.hashes("secret", purpose="p")) == 2
    assert not Vault(NEW).matches("secret", stored, purpose="p")


def test_nothing_matches_what_is_not_there() -> None:
    vault = Vault(OLD)
    for stored in (None, "", "old:", "old", ":", "unknown:" + "0" * 64, "old:" + "0" * 64):
        for secret in ("", "secret", "\ud800"):
            assert not vault.matches(secret, stored, purpose="p"), (stored, secret)


def test_sealing_and_hashing_use_different_keys() -> None:
    """Nothing that is stored is computed with the key of the settings itself."""
    import hmac

    stored = Vault(OLD).hash("secret", purpose="p").partition(":")[2]
    assert stored != hmac.digest(OLD["old"], b"secret", "sha256").hex()


def test_a_token_has_the_bits_that_were_asked_for() -> None:
    for bits in (128, 256):
        tokens = {new_token(bits) for _ in range(200)}
        assert len(tokens) == 200
        for token in tokens:
            assert len(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))) == bits // 8


def test_a_new_key_is_a_good_setting_and_no_vault_shows_it() -> None:
    text = new_key()
    [(key_id, key)] = parse_keys(text).items()
    assert len(key) == KEY_BYTES
    vault = Vault({key_id: key})
    assert key_id in repr(vault)
    assert text.partition(":")[2] not in repr(vault)
    assert repr(key) not in repr(vault)
    assert new_key() != text


def test_keys_are_read_in_their_order() -> None:
    one, two = new_key(), new_key()
    keys = parse_keys(f" {one} ,, {two},")
    assert list(keys) == [one.partition(":")[0], two.partition(":")[0]]
    assert Vault(keys).seal(b"x", place=HERE).startswith(f"v1:{one.partition(':')[0]}:")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "x",
        "k1",
        "k1:",
        "k1:x",
        "k1:QUJD",
        ":QUJD",
        "k 1:" + "A" * 43 + "=",
        "k:1:" + "A" * 43 + "=",
        "k1:" + "A" * 42,
        "k1:" + "A" * 44,
        "k1:" + "A" * 43 + "=,k1:" + "B" * 43 + "=",
        "k1:" + "A" * 43 + "=,k2:x",
    ],
)
def test_a_malformed_key_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"key|entry") as refused:
        parse_keys(text)
    assert "QUJD" not in str(refused.value)
    assert "AAAA" not in str(refused.value)
