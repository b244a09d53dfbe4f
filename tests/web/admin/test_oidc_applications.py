"""Applications that speak OpenID Connect in the admin area: registered, held to, and tried."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from joserfc.jwk import ECKey, OctKey, RSAKey

from app.models import ClientAuth, Event, OidcClient, Result
from tests.actors import Administrator, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.oidc.party import BACK, Party, by_key, keys, party

pytestmark = ONE_DATABASE
BYE = "https://shop.example/bye"


@pytest.fixture
def owner(harbor: Harbor) -> Administrator:
    return harbor.administrator()


def stored(harbor: Harbor) -> OidcClient:
    found: OidcClient = harbor.rows(sa.select(OidcClient))[0][0]
    return found


def test_one_is_registered_and_its_secret_shown_once(harbor: Harbor, owner: Administrator) -> None:
    owner.at("/applications/new")
    assert any(link.endswith("/applications/new/oidc") for link in owner.page.links)
    owner.at("/applications/new/oidc")
    owner.browser.submits(1, name="Shop", redirect_uris=BACK)
    assert owner.page.heading == "Shop is registered"
    secret = next(word for word in owner.text.split() if word.startswith("ghs_"))
    client = stored(harbor)
    assert (client.auth, client.requires_pushed, client.requires_pkce) == (
        ClientAuth.BASIC,
        True,
        True,
    )
    assert not client.takes_unauthenticated
    shop = Party(harbor, str(client.application_id), keep_secret(secret))
    assert shop.pushes().status == 201
    owner.at(f"/applications/{client.application_id}")
    assert secret not in owner.browser.reply.text
    for value in (
        harbor.base_url + "/.well-known/openid-configuration",
        harbor.base_url + "/oidc/par",
        str(client.application_id),
        BACK,
    ):
        assert value in owner.text


def test_the_form_says_how_things_stand_and_changes_them(
    harbor: Harbor, owner: Administrator
) -> None:
    shop = by_key(harbor, takes_unauthenticated=True)
    owner.at(f"/applications/{shop.client_id}/edit")
    assert owner.browser.path.endswith("/edit")
    fields = owner.page.forms[1]["fields"]
    assert fields["auth"] == "private_key_jwt"
    assert {"requires_pushed", "requires_pkce", "takes_unauthenticated"} <= fields.keys()
    assert "requires_signed" not in fields
    assert json.loads(owner.page.area.partition("{")[1] + owner.page.area.partition("{")[2])
    del fields["requires_pushed"]
    owner.browser.submits(
        1, requires_signed="y", post_logout_redirect_uris=BYE, keys=keys(), redirect_uris=BACK
    )
    assert owner.status == 200
    client = stored(harbor)
    assert (client.requires_pushed, client.requires_signed) == (False, True)
    assert client.post_logout_redirect_uris == [BYE]
    changed = sa.select(Event.detail).where(Event.kind == "application:updated")
    told = [row[0]["changed"] for row in harbor.rows(changed)]
    assert any("requires_pushed" in one for one in told)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"auth": "private_key_jwt"}, "Paste the public key"),
        ({"requires_signed": "y"}, "Paste the public key"),
        ({"keys": "x"}, "Paste JSON"),
        ({"keys": "[]"}, "Paste a JSON Web Key Set"),
        ({"keys": '{"keys": []}'}, "Paste a JSON Web Key Set"),
        ({"keys": '{"kty": "EC"}'}, "is no key for ES256"),
        ({"keys": '{"kty": "EC", "crv": "P-256"}'}, "can’t be read"),
        ({"keys": json.dumps(ECKey.generate_key("P-256").as_dict(private=True))}, "private key"),
        ({"keys": json.dumps(ECKey.generate_key("P-384").as_dict(private=False))}, "ES256"),
        ({"keys": json.dumps(RSAKey.generate_key(2048).as_dict(private=False))}, "ES256"),
        ({"keys": json.dumps(OctKey.generate_key(256).as_dict(private=True))}, "no key that signs"),
        ({"post_logout_redirect_uris": "javascript:alert(1)"}, "must use https"),
        ({"post_logout_redirect_uris": "data:text/html,x"}, "must use https"),
        ({"redirect_uris": "javascript:alert(1)"}, "can’t be registered"),
    ],
    ids=[str(number) for number in range(14)],
)
def test_what_cannot_be_held_to_is_told_at_its_field(
    harbor: Harbor, owner: Administrator, fields: dict[str, str], says: str
) -> None:
    owner.at("/applications/new/oidc")
    owner.browser.submits(1, **{"name": "Shop", "redirect_uris": BACK, **fields})
    assert owner.status == 422
    assert says in owner.text
    assert harbor.rows(sa.select(OidcClient)) == []


def test_it_is_tried_by_the_real_way(harbor: Harbor, owner: Administrator) -> None:
    shop = party(harbor, requires_signed=False)
    phone = harbor.enrolls()
    owner.at(f"/applications/{shop.client_id}/try")
    owner.browser.submits(1, email="ada@harbor.example")
    assert owner.browser.path.endswith("/verify"), owner.text
    owner.browser.types(harbor.code(phone))
    assert owner.page.heading == "It works", owner.text
    for word in ("What the ID token says", "at_hash", "The code was exchanged once, now", "RS256"):
        assert word in owner.text
    again = owner.browser.goes_to(owner.browser.path)
    assert again.status == 422


def test_a_trial_that_was_left_says_so(harbor: Harbor, owner: Administrator) -> None:
    shop = party(harbor)
    harbor.enrolls()
    owner.at(f"/applications/{shop.client_id}/try")
    owner.browser.submits(1, email="ada@harbor.example")
    owner.browser.sends("cancel")
    assert owner.page.heading == "No result"
    assert harbor.rows(sa.select(Result.id)) == []


def test_a_trial_is_of_the_administrator_who_began_it(harbor: Harbor, owner: Administrator) -> None:
    other = harbor.administrator(email="other@gatehouse.example")
    shop, phone = party(harbor), harbor.enrolls()
    owner.at(f"/applications/{shop.client_id}/try")
    owner.browser.submits(1, email="ada@harbor.example")
    wire, browser = harbor.wire, owner.browser
    token = browser.form_token
    form = {"csrf_token": token, "code": harbor.code(phone)}
    reply = wire.request("POST", browser.path, cookies=browser.cookies, data=form)
    other.browser.goes_to(reply.location)
    assert other.status == 422
    assert "sub" not in other.text.split()
    owner.browser.goes_to(reply.location)
    assert owner.page.heading == "It works"
