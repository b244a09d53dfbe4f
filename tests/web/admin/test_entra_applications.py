"""Connections to Microsoft Entra in the admin area: made, shown to the letter, changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Application, EntraAccount, EntraConnection, Event, Role
from tests.conftest import ONE_DATABASE, Harbor
from tests.entra import (
    APP_ID,
    OID,
    OTHER_TENANT,
    REDIRECT_URI,
    TENANT,
    Entra,
    connected,
    public_key,
)

pytestmark = ONE_DATABASE
FORM = {
    "name": "Microsoft Entra",
    "app_id": APP_ID,
    "tenant_ids": TENANT,
    "cloud": "global",
    "links_by_name": "y",
}


def test_what_the_page_shows_connects_entra(harbor: Harbor) -> None:
    """The values of the page are what Entra is told; with them a sign-in goes through."""
    phone, nadia = harbor.enrolls(), harbor.administrator()
    pinned = json.dumps({"keys": [public_key()]})
    nadia.does("/applications/new/entra", **FORM, pinned_keys=pinned)
    assert nadia.status == 200
    [(connection_id, client_id)] = harbor.rows(
        sa.select(EntraConnection.id, EntraConnection.application_id)
    )
    entra = Entra(harbor, str(connection_id), str(client_id))
    for shown in (
        str(client_id),
        f"{entra.issuer}/.well-known/openid-configuration",
        f"{entra.issuer}/authorize",
        APP_ID,
        f"https://login.microsoftonline.com/{TENANT}/adminconsent?client_id={APP_ID}",
    ):
        assert shown in nadia.text
    browser = entra.visits()
    browser.types(harbor.code(phone))
    assert entra.accepts(browser)["amr"] == ["otp"]


def test_a_connection_is_changed_and_its_address_with_the_cloud(harbor: Harbor) -> None:
    nadia, entra = harbor.administrator(), connected(harbor)
    path = f"/applications/{entra.client_id}/edit"
    html = nadia.at(path).text
    assert APP_ID in html
    assert "kid-of-microsoft" in html
    tenants = f"{TENANT.upper()}\r\n{OTHER_TENANT}\n"
    nadia.does(path, **{**FORM, "name": "Entra", "cloud": "cn", "tenant_ids": tenants})
    [row] = harbor.rows(
        sa.select(EntraConnection.tenant_ids, EntraConnection.pinned_keys, EntraConnection.cloud)
    )
    assert row == ([TENANT, OTHER_TENANT], None, "cn")
    [(name, uris)] = harbor.rows(
        sa.select(Application.name, Application.redirect_uris).where(Application.door == "entra")
    )
    assert name == "Entra"
    assert uris == [
        "https://login.partner.microsoftonline.cn/common/federation/externalauthprovider"
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, "Name"),
        ({"app_id": "x"}, "Application (client) ID"),
        ({"tenant_ids": ""}, "at least one"),
        ({"tenant_ids": "x"}, "Directory (tenant) ID"),
        ({"cloud": "mars"}, "Cloud"),
        ({"pinned_keys": "{}"}, "whole JSON"),
    ],
    ids=str,
)
def test_what_can_t_be_used_is_said_and_changes_nothing(
    harbor: Harbor, change: dict[str, Any], says: str
) -> None:
    nadia, entra = harbor.administrator(), connected(harbor)
    before = harbor.rows(sa.select(EntraConnection.updated_at, EntraConnection.tenant_ids))
    for path in ("/applications/new/entra", f"/applications/{entra.client_id}/edit"):
        nadia.does(path, **{**FORM, **change})
        assert nadia.status == 422
        assert says in nadia.text
    now = harbor.rows(sa.select(EntraConnection.updated_at, EntraConnection.tenant_ids))
    assert now == before


def test_each_application_has_the_form_of_its_protocol_whatever_is_sent(harbor: Harbor) -> None:
    nadia, entra = harbor.administrator(), connected(harbor)
    own = harbor.registers("Own", only=True)
    evil = "https://evil.example/back"
    nadia.does(f"/applications/{entra.client_id}/edit", name="Stolen", redirect_uris=evil)
    assert nadia.status == 422
    nadia.does(f"/applications/{entra.client_id}/edit", **FORM, redirect_uris=evil)
    assert nadia.status == 200
    nadia.does(f"/applications/{own.client_id}/edit", **FORM, redirect_uris="http://localhost/b")
    assert nadia.status == 200
    rows = harbor.rows(sa.select(Application.door, Application.redirect_uris))
    assert ("entra", [REDIRECT_URI]) in rows
    assert ("rest", ["http://localhost/b"]) in rows
    assert len(harbor.rows(sa.select(EntraConnection.id))) == 1
    assert nadia.at("/applications/new/rest").status == 404


def test_a_connection_takes_the_methods_that_are_ticked(harbor: Harbor) -> None:
    phone, nadia, entra = harbor.enrolls(), harbor.administrator(), connected(harbor)
    path = f"/applications/{entra.client_id}/edit"
    pinned = json.dumps({"keys": [public_key()]})
    nadia.at(path)
    assert "WhatsApp" not in nadia.text
    nadia.does(path, **FORM, pinned_keys=pinned, methods="passkey")
    assert nadia.status == 200
    browser = entra.visits()
    assert not browser.path.endswith("/verify")
    nadia.does(path, **FORM, pinned_keys=pinned, methods="app")
    browser = entra.visits(id_token_hint=entra.hint())
    browser.types(harbor.code(phone))
    assert entra.accepts(browser)["amr"] == ["otp"]
    nadia.does(path, **FORM, pinned_keys=pinned, methods="email")  # Entra has no word for it
    assert nadia.status == 422


def test_an_account_is_unlinked_on_the_page_of_its_user(harbor: Harbor) -> None:
    harbor.enrolls()
    nadia, entra = harbor.administrator(), connected(harbor)
    entra.visits()
    [(account,)] = harbor.rows(sa.select(EntraAccount.id))
    nadia.at(f"/users/{harbor.ada}")
    assert OID in nadia.text
    other = harbor.person("bo@harbor.example")
    for user in (other, str(account)):
        assert nadia.at(f"/users/{user}/entra-accounts/{account}/unlink").status == 404
        assert nadia.does(f"/users/{user}/entra-accounts/{account}/unlink").status == 404
    helpdesk = harbor.administrator(Role.HELPDESK, "help@harbor.example")
    assert helpdesk.does(f"/users/{harbor.ada}/entra-accounts/{account}/unlink").status == 403
    path = f"/users/{harbor.ada}/entra-accounts/{account}/unlink"
    nadia.at(path)
    assert OID in nadia.text
    nadia.does(path)
    assert harbor.rows(sa.select(EntraAccount.id)) == []
    assert OID not in nadia.page.heading
    [event] = harbor.rows(sa.select(Event).where(Event.kind == "entra_account:unlinked"))
    assert event.Event.detail["oid"] == OID
    assert nadia.does(path).status == 404


def test_who_only_looks_sees_the_values_and_changes_nothing(harbor: Harbor) -> None:
    entra, auditor = connected(harbor), harbor.administrator(Role.AUDITOR)
    assert auditor.at(f"/applications/{entra.client_id}").status == 200
    assert "Edit" not in auditor.page.heading
    assert auditor.at("/applications/new/entra").status == 403
    assert auditor.at(f"/applications/{entra.client_id}/edit").status == 403
