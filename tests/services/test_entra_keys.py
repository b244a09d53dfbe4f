"""Microsoft's keys: fetched when they are needed, and no oftener, whatever strangers ask for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.addresses import NotAllowed
from app.exchanges import Answer, CallFailed
from app.models import EntraCloud
from app.services.entra_clouds import addresses
from app.services.entra_keys import EntraKeys
from app.services.entra_requests import EntraRequests
from tests.conftest import ONE_DATABASE, Harbor
from tests.entra import Entra, connected, public_key

pytestmark = ONE_DATABASE
GLOBAL = addresses(EntraCloud.GLOBAL)
JWKS = "https://login.microsoftonline.com/common/discovery/v2.0/keys"


class Microsoft:
    """Its two addresses, as they answer, or don't."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.metadata: Any = {"jwks_uri": JWKS}
        self.keys: Any = {"keys": [public_key()]}
        self.fails: Exception | None = None
        self.status = 200

    def request(self, method: str, url: str, **how: Any) -> Answer:
        assert method == "GET"
        assert 0 < how["seconds"] <= 5
        self.called.append(url)
        if self.fails:
            raise self.fails
        told = self.metadata if url == GLOBAL.metadata else self.keys
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        return Answer(status=self.status, headers={}, body=body)


@pytest.fixture
def microsoft(harbor: Harbor) -> Iterator[Microsoft]:
    """Answer in the place of the real one, which nobody here can reach."""
    fake, services = Microsoft(), harbor.services
    keys = EntraKeys(harbor.clock, fake)
    one = services.entra_requests
    requests = EntraRequests(
        harbor.clock,
        one._vault,
        services.entra_connections,
        keys,
        services.subjects,
        services.directory,
        services.gateway_sessions,
    )
    app = harbor.wire.client.application  # type: ignore[attr-defined]
    app.extensions["gatehouse"] = dataclasses.replace(
        services, entra_keys=keys, entra_requests=requests
    )
    yield fake
    app.extensions["gatehouse"] = services


@pytest.fixture
def entra(harbor: Harbor, microsoft: Microsoft) -> Entra:
    harbor.enrolls()
    return connected(harbor, pinned_keys="")


def test_keys_are_found_by_the_metadata_of_the_cloud_and_kept(
    entra: Entra, microsoft: Microsoft
) -> None:
    for _ in range(3):
        assert entra.visits().path.endswith("/verify")
    assert microsoft.called == [GLOBAL.metadata, JWKS]


def test_pinned_keys_need_no_call(harbor: Harbor, microsoft: Microsoft) -> None:
    harbor.enrolls()
    assert connected(harbor).visits().path.endswith("/verify")
    assert microsoft.called == []


def test_a_new_key_is_found_once_it_is_used(entra: Entra, microsoft: Microsoft) -> None:
    entra.visits()
    microsoft.keys = {"keys": [public_key(), public_key("new")]}
    entra.harbor.clock.advance(61)
    assert entra.visits(id_token_hint=entra.hint(key="new")).path.endswith("/verify")
    assert len(microsoft.called) == 4


def test_a_hundred_unknown_keys_cause_one_call_more(entra: Entra, microsoft: Microsoft) -> None:
    """F45."""
    entra.visits()
    entra.harbor.clock.advance(61)
    for number in range(100):
        hint = entra.hint(header={"kid": f"unknown-{number}"})
        entra.refuses(entra.visits(id_token_hint=hint))
    assert len(microsoft.called) == 4
    assert entra.visits().path.endswith("/verify")


def test_a_key_that_microsoft_withdrew_counts_no_more(entra: Entra, microsoft: Microsoft) -> None:
    entra.visits()
    microsoft.keys = {"keys": [public_key("new")]}
    entra.harbor.clock.advance(3600)
    assert entra.refuses(entra.visits()) == "access_denied"


def test_keys_are_used_while_microsoft_is_out_of_reach_but_not_for_ever(
    entra: Entra, microsoft: Microsoft
) -> None:
    entra.visits()
    microsoft.fails = CallFailed("timeout", "It did not answer in time.")
    entra.harbor.clock.advance(24 * 3600 - 1)
    assert entra.visits().path.endswith("/verify")
    entra.harbor.clock.advance(61)
    assert entra.refuses(entra.visits()) == "temporarily_unavailable"


BROKEN: dict[str, dict[str, Any]] = {
    "out of reach": {"fails": CallFailed("timeout", "It did not answer in time.")},
    "inside": {"fails": NotAllowed("It is not a public address.")},
    "an error": {"status": 503},
    "no JSON": {"metadata": b"<html>"},
    "no object": {"metadata": ["x"]},
    "no address": {"metadata": {}},
    "an address of another kind": {"metadata": {"jwks_uri": 7}},
    "an address elsewhere": {"metadata": {"jwks_uri": "https://evil.example/keys"}},
    "an address that begins alike": {
        "metadata": {"jwks_uri": "https://login.microsoftonline.com.evil.example/keys"}
    },
    "an address without TLS": {"metadata": {"jwks_uri": JWKS.replace("https", "http")}},
    "no keys": {"keys": {"keys": []}},
    "keys of another kind": {"keys": {"keys": "x"}},
    "keys that can't be used": {"keys": {"keys": [{"kty": "oct", "kid": "kid-of-microsoft"}]}},
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_without_keys_entra_is_told_to_come_again(
    entra: Entra, microsoft: Microsoft, broken: dict[str, Any]
) -> None:
    for name, value in broken.items():
        setattr(microsoft, name, value)
    assert entra.refuses(entra.visits()) == "temporarily_unavailable"
    assert not any("evil" in address for address in microsoft.called)
    count = len(microsoft.called)
    assert entra.refuses(entra.visits()) == "temporarily_unavailable"
    assert len(microsoft.called) == count
    microsoft.__init__()  # type: ignore[misc]
    entra.harbor.clock.advance(61)
    assert entra.visits().path.endswith("/verify")
