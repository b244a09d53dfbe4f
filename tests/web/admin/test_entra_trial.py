"""Trying a connection to Entra: our whole way but for Microsoft's hint, and both ends looked at."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import sqlalchemy as sa

from app.addresses import NotAllowed
from app.exchanges import Answer, CallFailed
from app.models import EntraAccount, EntraHint, Event, GatewaySession, Role
from app.services.entra_checks import EntraChecks
from app.services.entra_keys import EntraKeys
from app.web.admin.claim_words import CONNECTION_CHECKS, ENTRA_CLAIMS
from tests.actors import Administrator, Phone, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.entra import Entra, connected, public_key

pytestmark = ONE_DATABASE
ADA = "ada@harbor.example"
MICROSOFT = "https://login.microsoftonline.com/"


@pytest.fixture
def phone(harbor: Harbor) -> Phone:
    return harbor.enrolls()


@pytest.fixture
def entra(harbor: Harbor) -> Entra:
    return connected(harbor)


@pytest.fixture
def nadia(harbor: Harbor) -> Administrator:
    return harbor.administrator()


def begins(entra: Entra, nadia: Administrator) -> None:
    place = f"/applications/{entra.client_id}/try"
    nadia.at(place)
    nadia.does(place, email=ADA)


def comes_back(entra: Entra, nadia: Administrator, phone: Phone) -> str:
    """Type the code, and return the address that the browser was sent back to."""
    reply = nadia.browser.wire.request(
        "POST",
        nadia.browser.path,
        data={**nadia.page.forms[0]["fields"], "code": entra.harbor.code(phone)},
        cookies=nadia.browser.cookies,
    )
    assert reply.status == 303, reply.text
    keep_secret(dict(parse_qsl(urlsplit(reply.location).query))["code"])
    return reply.location


def test_a_trial_shows_the_token_that_entra_would_be_posted(
    entra: Entra, nadia: Administrator, phone: Phone
) -> None:
    begins(entra, nadia)
    assert "Microsoft Entra" in nadia.text
    back = comes_back(entra, nadia, phone)
    assert "id_token" not in back  # nor in any log of addresses
    nadia.browser.goes_to(back)
    assert nadia.status == 200, nadia.text
    assert nadia.page.heading == "It works"
    for words in (entra.issuer, entra.client_id, "possessionorinherence", "otp", "of a trial"):
        assert words in nadia.text, words
    for words in ("RS256", "One method, of those asked : passed", f"by {ADA}"):
        assert words in nadia.text, words
    assert ENTRA_CLAIMS["sub"] in nadia.text
    assert "failed" not in nadia.text
    token = keep_secret(
        next(part for part in nadia.text.split() if part.startswith("ey") and part.count(".") == 2)
    )
    _, claims = entra.verified(token)
    assert (claims["sub"], claims["amr"]) == ("of a trial", ["otp"])
    [tried] = entra.harbor.rows(sa.select(Event).where(Event.kind == "application:tried"))
    assert tried.Event.actor.startswith("administrator:")


def test_a_trial_opens_nothing_that_microsofts_hints_alone_open(
    entra: Entra, nadia: Administrator, phone: Phone
) -> None:
    """No hint is kept and no account linked; what it made is no hint, and leads nowhere else."""
    begins(entra, nadia)
    nadia.browser.types(entra.harbor.code(phone))
    token = next(part for part in nadia.text.split() if part.startswith("ey"))
    assert entra.refuses(entra.visits(id_token_hint=keep_secret(token))) == "access_denied"
    assert entra.harbor.rows(sa.select(EntraHint)) == []
    assert entra.harbor.rows(sa.select(EntraAccount)) == []
    session = entra.harbor.rows(sa.select(GatewaySession))[0].GatewaySession
    assert session.redirect_uri.endswith("/try/back")
    other = entra.harbor.browser()
    other.goes_to(f"/gateway/{session.short_id}/return")
    assert other.reply.status == 403


def test_what_comes_again_or_by_another_shows_nothing(
    entra: Entra, nadia: Administrator, phone: Phone
) -> None:
    other = entra.harbor.administrator(Role.OWNER, "other@harbor.example")
    begins(entra, nadia)
    back = comes_back(entra, nadia, phone)
    assert other.browser.goes_to(back).status == 422
    assert "isn’t yours" in other.text
    assert nadia.browser.goes_to(back.replace("state=", "state=x")).status == 422
    assert nadia.browser.goes_to(back).status == 200
    assert nadia.browser.goes_to(back).status == 422
    assert "exchanged before, or too old" in nadia.text


def test_the_code_of_another_session_counts_for_nothing_and_stays_good(
    entra: Entra, nadia: Administrator, phone: Phone
) -> None:
    begins(entra, nadia)
    first = comes_back(entra, nadia, phone)
    entra.harbor.clock.advance(30)
    begins(entra, nadia)
    second = comes_back(entra, nadia, phone)
    [ours, theirs] = (dict(parse_qsl(urlsplit(one).query)) for one in (second, first))
    mixed = f"{urlsplit(second).path}?code={theirs['code']}&state={ours['state']}"
    assert nadia.browser.goes_to(mixed).status == 422
    assert nadia.browser.goes_to(first).status == 200
    assert nadia.browser.goes_to(second).status == 200


def test_a_code_that_lay_too_long_is_worth_nothing(
    entra: Entra, nadia: Administrator, phone: Phone
) -> None:
    begins(entra, nadia)
    back = comes_back(entra, nadia, phone)
    entra.harbor.clock.advance(61)
    assert nadia.browser.goes_to(back).status == 422
    assert nadia.page.heading != "It works"


def test_a_trial_that_was_left_says_so(entra: Entra, nadia: Administrator, phone: Phone) -> None:
    begins(entra, nadia)
    nadia.browser.sends("cancel")
    assert "You went back." in nadia.text


def test_a_user_whom_no_account_would_be_linked_to_is_told_of(
    harbor: Harbor, nadia: Administrator, phone: Phone
) -> None:
    entra = connected(harbor, links_by_name=False)
    begins(entra, nadia)
    nadia.browser.types(harbor.code(phone))
    assert nadia.status == 422
    assert "Entra’s user is this one : failed" in nadia.text


def test_an_account_that_is_linked_is_named(
    entra: Entra, nadia: Administrator, phone: Phone
) -> None:
    entra.visits()
    oid = entra.harbor.rows(sa.select(EntraAccount.object_id))[0][0]
    begins(entra, nadia)
    nadia.browser.types(entra.harbor.code(phone))
    assert nadia.status == 200
    assert oid in nadia.text


# Both ends


class World:
    """The web as the gateway calls it: its own address, and Microsoft's."""

    def __init__(self, harbor: Harbor) -> None:
        self.harbor = harbor
        self.changes: dict[str, Any] = {}
        self.keys: list[dict[str, Any]] = [public_key()]

    def request(self, method: str, url: str, **how: Any) -> Answer:
        assert 0 < how["seconds"] <= 5
        changed = next((is_ for end, is_ in self.changes.items() if url.endswith(end)), None)
        if isinstance(changed, Exception):
            raise changed
        if url.startswith(MICROSOFT):
            told = {"keys": self.keys, "jwks_uri": f"{MICROSOFT}common/discovery/v2.0/keys"}
            return Answer(status=200, headers={}, body=json.dumps(told).encode())
        path = url.removeprefix(self.harbor.base_url)
        reply = self.harbor.wire.request(method, path, headers=how["headers"])
        body = reply.text.encode()
        if callable(changed):
            body = json.dumps(changed(json.loads(body))).encode()
        status = changed if isinstance(changed, int) else reply.status
        return Answer(status=status, headers=reply.headers, body=body)


def meets(harbor: Harbor) -> World:
    """Answer in the place of the real ones, from now on."""
    fake, services = World(harbor), harbor.services
    checks = EntraChecks(
        fake,
        EntraKeys(harbor.clock, fake),
        services.entra_connections,
        services.signing_keys,
    )
    app = harbor.wire.client.application  # type: ignore[attr-defined]
    app.extensions["gatehouse"] = dataclasses.replace(services, entra_checks=checks)
    return fake


@pytest.fixture
def world(harbor: Harbor) -> Iterator[World]:
    yield meets(harbor)
    app = harbor.wire.client.application  # type: ignore[attr-defined]
    app.extensions["gatehouse"] = harbor.services


def looks(entra: Entra, nadia: Administrator) -> dict[str, bool]:
    """Press the button, and return which checks passed."""
    nadia.at(f"/applications/{entra.client_id}/check")
    assert nadia.status == 200
    nadia.does(f"/applications/{entra.client_id}/check")
    assert nadia.status == 200
    return {
        name: f"{words} : passed" in nadia.text
        for name, words in CONNECTION_CHECKS.items()
        if f"{words} :" in nadia.text
    }


ALL = dict.fromkeys(CONNECTION_CHECKS, True)


def test_both_ends_are_looked_at(world: World, entra: Entra, nadia: Administrator) -> None:
    assert looks(entra, nadia) == ALL
    assert "pinned keys: 1 of 1 among" in nadia.text
    assert "2 keys with certificates" in nadia.text


OURS = ".well-known/openid-configuration"


def without(name: str) -> Any:
    return lambda told: {"keys": [{**key, name: None} for key in told["keys"]]}


@pytest.mark.parametrize(
    ("end", "is_", "failed", "found"),
    [
        (OURS, CallFailed("unresolvable", "Its name is unknown."), "discovery", "unknown"),
        (OURS, NotAllowed("It is not a public address."), "discovery", "not a public address"),
        (OURS, 502, "discovery", "status 502"),
        (OURS, lambda told: {**told, "issuer": "https://x.example"}, "discovery", "another issuer"),
        (OURS, lambda _: ["x"], "discovery", "something else"),
        ("/jwks", without("x5c"), "jwks", "2 of 2 keys without a certificate"),
        ("/jwks", lambda _: {"keys": []}, "jwks", "no keys"),
        ("/authorize", 200, "authorize", "status 200"),
        ("/authorize", CallFailed("timeout", "It took too long."), "authorize", "too long"),
    ],
    ids=["name", "inside", "down", "issuer", "shape", "bare", "none", "open", "slow"],
)
def test_what_is_wrong_at_our_end_is_told(
    world: World,
    entra: Entra,
    nadia: Administrator,
    end: str,
    is_: Any,
    failed: str,
    found: str,
) -> None:
    world.changes[f"{entra.connection_id}/{end.strip('/')}"] = is_
    told = looks(entra, nadia)
    assert {name for name, passed in told.items() if not passed} == {failed}
    assert found in nadia.text


def test_another_certificate_or_another_key_than_that_which_signs_is_told(
    world: World, harbor: Harbor, entra: Entra, nadia: Administrator
) -> None:
    def swapped(told: dict[str, Any]) -> dict[str, Any]:
        first, second = told["keys"]
        return {"keys": [{**first, "x5c": second["x5c"]}, second]}

    def other(told: dict[str, Any]) -> dict[str, Any]:
        return {"keys": [key for key in told["keys"] if key["kid"] != kid]}

    with harbor.services.database.reading() as tx:
        kid = harbor.services.entra_checks.signing_kid(tx)
    for change, found in (
        (swapped, "1 of 2 keys without a certificate"),
        (other, "other keys than the one that signs"),
    ):
        world.changes[f"{entra.connection_id}/jwks"] = change
        assert looks(entra, nadia) == {**ALL, "jwks": False}
        assert found in nadia.text


def test_microsofts_keys_are_fetched_or_pinned_and_compared(
    world: World, harbor: Harbor, nadia: Administrator
) -> None:
    pinned, fetched = connected(harbor), connected(harbor, name="Other", pinned_keys="")
    assert looks(fetched, nadia) == ALL
    assert "keys fetched now: 1" in nadia.text
    world.keys = [public_key("new")]
    assert looks(pinned, nadia) == {**ALL, "microsoft": False}
    assert "pinned keys: 0 of 1 among" in nadia.text
    unknown = CallFailed("unresolvable", "Its name is unknown.")
    world.changes["common/v2.0/.well-known/openid-configuration"] = unknown
    assert looks(fetched, nadia) == {**ALL, "microsoft": False}
    assert "Its name is unknown." in nadia.text
    assert looks(pinned, nadia) == ALL  # where Microsoft can't be called, there is nothing else
    assert "not compared" in nadia.text


def test_only_connections_to_entra_are_looked_at(harbor: Harbor, nadia: Administrator) -> None:
    assert nadia.at(f"/applications/{harbor.notes.client_id}/check").status == 404
    assert nadia.does(f"/applications/{harbor.notes.client_id}/check").status == 404
