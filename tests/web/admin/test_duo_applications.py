"""Applications that speak Duo Universal: the form, the values to paste, the secret, the trial."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
import sqlalchemy as sa

from app.models import Application, Door, DuoClient, Event, Role
from tests.actors import Administrator, keep_secret
from tests.conftest import Harbor
from tests.web.duo.client import Client

ADA = "ada@harbor.example"
URI = "https://wiki.example/duo/back"
SECRET = re.compile(r'id="client-secret"[^>]*>([A-Za-z0-9]{40})<|value="([A-Za-z0-9]{40})"')


def registers(harbor: Harbor, nadia: Administrator, **fields: object) -> Client:
    """Fill in the form, and set the other side up with what is shown."""
    nadia.at("/applications/new/duo")
    nadia.does(
        "/applications/new/duo",
        **{"name": "Wiki", "redirect_uris": URI, "creates_users": "y", **fields},
    )
    assert nadia.status == 200, nadia.text
    return shown(harbor, nadia)


def shown(harbor: Harbor, nadia: Administrator) -> Client:
    words = nadia.text.split()
    secret = next(one for one in words if re.fullmatch("[A-Za-z0-9]{40}", one))
    client_id = next(one for one in words if re.fullmatch("DI[A-Z0-9]{18}", one))
    return Client(
        harbor.wire, harbor.base_url, client_id, keep_secret(secret), harbor.clock.now, URI
    )


def application(harbor: Harbor) -> Application:
    [row] = harbor.rows(sa.select(Application).where(Application.door == Door.DUO))
    return row.Application  # type: ignore[no-any-return]


def test_the_page_for_a_new_one_offers_what_it_may_speak(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/applications/new")
    for words in ("Your own code", "Duo Universal"):
        assert words in nadia.text
    here = f"{nadia.place}/applications/new"
    assert {here, f"{here}/duo"} <= {*nadia.page.links}
    nadia.at("/applications/new/duo")
    assert "becomes a user" in nadia.text
    assert nadia.page.forms[-1]["fields"]["creates_users"] == "y"


def test_the_values_that_are_shown_are_all_that_the_other_side_needs(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    client = registers(harbor, nadia)
    assert "API hostname" in nadia.text
    assert "localhost" in nadia.text
    assert client.checks_health().status == 200
    browser = harbor.browser()
    client.sends(browser, ADA)
    browser.types(harbor.code(phone))
    assert browser.reply.location.startswith(URI)
    assert client.exchanges(browser.back["duo_code"]).status == 200
    nadia.at(f"/applications/{application(harbor).id}")
    assert client.client_id in nadia.text
    assert client.secret not in nadia.browser.reply.text
    assert "Become users" in nadia.text


def test_what_is_unticked_is_kept_so_and_can_be_changed(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    registers(harbor, nadia, creates_users=None, methods="app")
    made = application(harbor)
    assert (made.creates_users, made.methods) == (False, ["totp"])
    nadia.at(f"/applications/{made.id}/edit")
    assert nadia.browser.path.endswith("/edit")
    nadia.does(f"/applications/{made.id}/edit", name="New", redirect_uris=URI, creates_users="y")
    made = application(harbor)
    assert (made.name, made.creates_users, made.methods) == ("New", True, [])


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"redirect_uris": ""},
        {"redirect_uris": "http://elsewhere.example"},
        {"redirect_uris": "javascript:alert(1)"},
    ],
    ids=str,
)
def test_what_cant_be_is_explained_and_registers_nothing(
    harbor: Harbor, fields: dict[str, str]
) -> None:
    nadia = harbor.administrator()
    nadia.at("/applications/new/duo")
    nadia.does("/applications/new/duo", **{"name": "Wiki", "redirect_uris": URI, **fields})
    assert nadia.status == 422
    assert harbor.rows(sa.select(DuoClient.client_id)) == []


def test_a_form_that_is_sent_again_makes_nothing(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/applications/new/duo")
    fields = {**nadia.page.forms[-1]["fields"], "name": "Wiki", "redirect_uris": URI}
    nadia.does("/applications/new/duo", **fields)
    shown(harbor, nadia)
    nadia.does("/applications/new/duo", **fields)
    assert nadia.status == 409
    assert len(harbor.rows(sa.select(DuoClient.client_id))) == 1


def test_a_new_secret_is_shown_once_and_the_old_one_works_as_long_as_is_chosen(
    harbor: Harbor,
) -> None:
    nadia = harbor.administrator()
    old = registers(harbor, nadia)
    place = f"/applications/{application(harbor).id}/secret"
    nadia.at(place)
    mark = nadia.page.forms[-1]["fields"]["instead_of"]
    nadia.does(place, overlap="3600", instead_of=mark)
    new = shown(harbor, nadia)
    assert new.secret != old.secret
    assert [one.checks_health().status for one in (old, new)] == [200, 200]
    nadia.does(place, overlap="0", instead_of=mark)
    assert nadia.status == 409  # sent twice it does no harm
    harbor.clock.advance(3601)
    assert [one.checks_health().status for one in (old, new)] == [401, 200]


def test_a_trial_goes_the_real_way_and_shows_the_token_decoded_and_checked(
    harbor: Harbor,
) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    client = registers(harbor, nadia)
    place = f"/applications/{application(harbor).id}/try"
    nadia.at(place)
    nadia.does(place, email=ADA)
    assert nadia.browser.path.startswith("/gateway/")
    nadia.browser.types(harbor.code(phone))
    assert nadia.status == 200, nadia.text
    assert "It works" in nadia.text
    for words in ("What the ID token says", "preferred_username", client.client_id, ADA, "HS512"):
        assert words in nadia.text, words
    assert '"factor": "totp"' in nadia.text
    assert "failed" not in nadia.text
    [tried] = harbor.rows(sa.select(Event).where(Event.kind == "application:tried"))
    assert tried.Event.actor.startswith("administrator:")


def test_a_trial_that_is_brought_again_or_by_another_shows_nothing(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    other = harbor.administrator(Role.OWNER, "other@harbor.example")
    nadia = harbor.administrator()
    registers(harbor, nadia)
    place = f"/applications/{application(harbor).id}/try"
    nadia.at(place)
    nadia.does(place, email=ADA)
    path = nadia.browser.path
    reply = nadia.browser.wire.request(
        "POST",
        path,
        data={**nadia.page.forms[0]["fields"], "code": harbor.code(phone)},
        cookies=nadia.browser.cookies,
    )
    back = reply.location
    code = dict(parse_qsl(urlsplit(back).query))["duo_code"]
    keep_secret(code)
    assert other.browser.goes_to(back).status == 422
    assert "isn’t yours" in other.text
    assert nadia.browser.goes_to(back.replace("state=", "state=x")).status == 422
    assert nadia.browser.goes_to(back).status == 200
    assert nadia.browser.goes_to(back).status == 422
    assert "used before" in nadia.text


def test_a_trial_that_was_left_says_so(harbor: Harbor) -> None:
    harbor.enrolls()
    nadia = harbor.administrator()
    registers(harbor, nadia)
    place = f"/applications/{application(harbor).id}/try"
    nadia.at(place)
    nadia.does(place, email=ADA)
    nadia.browser.sends("cancel")
    assert "You went back." in nadia.text
