"""Applications that use Cryptr's SPA SDK: the form, the values to paste, and the trial."""

from __future__ import annotations

import sqlalchemy as sa

from app.models import Application, CryptrClient, Door, Event, Role
from tests.actors import Administrator
from tests.conftest import Harbor

ADA = "ada@harbor.example"
URI = "https://board.example/callback"


def registers(harbor: Harbor, nadia: Administrator, **fields: object) -> str:
    """Fill in the form, and return the client id."""
    nadia.at("/applications/new/cryptr")
    nadia.does(
        "/applications/new/cryptr",
        **{"name": "Board", "redirect_uris": URI, "identifies_by_link": "y", **fields},
    )
    assert nadia.status == 200, nadia.text
    [row] = harbor.rows(sa.select(Application).where(Application.door == Door.CRYPTR))
    return str(row.Application.client_id)


def test_the_page_shows_every_value_that_the_sdk_asks_for(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    client_id = registers(harbor, nadia)
    for value in (
        client_id,
        "harbor-account",
        "http://localhost",
        "https://board.example",
        URI,
        "http://localhost/t/harbor/.well-known",
    ):
        assert value in nadia.text
    assert "ghs_" not in nadia.text  # nothing in a browser keeps a secret
    assert "CryptrSpa.createClient" in nadia.text


def test_how_users_are_identified_is_changed_on_record(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    client_id = registers(harbor, nadia)
    nadia.at(f"/applications/{client_id}/edit")
    assert nadia.page.forms[-1]["fields"]["identifies_by_link"] == "y"
    nadia.does(f"/applications/{client_id}/edit", name="Board", redirect_uris=URI)
    assert "Whoever holds the browser may type any address." in nadia.text
    [kept] = harbor.rows(sa.select(CryptrClient.identifies_by_link))
    assert kept[0] is False
    told = harbor.rows(sa.select(Event.detail).where(Event.kind == "application:updated"))
    assert [detail["changed"] for (detail,) in told][-1] == "identifies_by_link"


def test_a_form_with_a_mistake_keeps_what_was_typed_and_registers_nothing(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/applications/new/cryptr")
    nadia.does("/applications/new/cryptr", name="Board", redirect_uris="http://board.example/")
    assert nadia.status == 422
    assert nadia.page.forms[-1]["fields"]["name"] == "Board"
    assert "identifies_by_link" not in nadia.page.forms[-1]["fields"]
    assert harbor.rows(sa.select(CryptrClient.application_id)) == []


def test_a_trial_goes_the_whole_way_and_shows_the_token_that_was_checked(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    client_id = registers(harbor, nadia)
    nadia.at(f"/applications/{client_id}/try")
    nadia.does(f"/applications/{client_id}/try", email=ADA)
    nadia.browser.types(harbor.code(phone))
    assert nadia.browser.path.endswith("/try/back")
    assert "It works" in nadia.text
    assert "What the ID token says" in nadia.text
    assert "http://localhost/t/harbor" in nadia.text


def test_a_trial_that_is_shown_again_says_that_the_code_was_used(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    client_id = registers(harbor, nadia)
    nadia.at(f"/applications/{client_id}/try")
    nadia.does(f"/applications/{client_id}/try", email=ADA)
    state = harbor.rows(sa.text("SELECT state FROM gateway_sessions"))[0][0]  # type: ignore[arg-type]
    nadia.browser.types(harbor.code(phone))
    nadia.at(f"/applications/{client_id}/try/back?code=other&state={state}")
    assert nadia.status == 422
    assert nadia.page.heading != "It works"
    assert "exchanged before, or too old" in nadia.text
    stranger = harbor.administrator(Role.ADMINISTRATOR)
    stranger.at(f"/applications/{client_id}/try/back?code=other&state={state}")
    assert stranger.status == 422
    assert ADA not in stranger.text
