"""The look for secrets finds those that somebody leaves in a file."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.secret_scan import ALLOWED, Found, is_allowed, scan

NOISE = base64.b64encode(bytes(range(7, 247, 7))).decode()
PLANTED = {
    "AWS Access Key": "key = '" + "AKIA" + "Q3EGRAZMV7JHWD4X" + "'",
    "Private Key": "-----BEGIN "
    + f"EC PRIVATE KEY-----\n{NOISE}\n{NOISE}\n-----END EC PRIVATE KEY-----",
    "Stripe Access Key": "sk_" + "live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "Basic Auth Credentials": "https://ada:" + "hunter2" + "@db.example/",
    "Base64 High Entropy String": f'KEY = "{NOISE}"',
    "JSON Web Token": "eyJhbGciOiJFUzI1NiJ9." + "eyJzdWIiOiJhZGEifQ." + "c2lnbmVkLWJ5LXVz",
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found(tmp_path: Path, kind: str) -> None:
    (tmp_path / "planted.py").write_text(f"# Nothing to see.\n{PLANTED[kind]}\n")
    found = list(scan(tmp_path, ["planted.py"]))
    assert kind in {one.kind for one in found}
    assert not any(is_allowed(one) for one in found)


def test_what_is_allowed_is_allowed_in_its_file_alone() -> None:
    path, values = next(iter(ALLOWED.items()))
    value = next(iter(values))
    assert is_allowed(Found(path, 1, "", value))
    assert not is_allowed(Found("app/config.py", 1, "", value))


def test_every_entry_of_the_list_still_stands_in_its_file(pytestconfig: pytest.Config) -> None:
    for path, values in ALLOWED.items():
        text = (pytestconfig.rootpath / path).read_text()
        assert not [value for value in values if value not in text], path
