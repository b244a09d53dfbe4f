"""Signing keys in the admin area: to look at, and nothing private among them."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from app.models import KeyUse, Role, SigningKey
from app.services.audit import OPERATOR
from app.services.signing_keys import COMMON
from tests.actors import Page
from tests.conftest import ONE_DATABASE, START, Harbor


def test_the_page_tells_how_each_key_stands(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    before = [row.kid for row in harbor.rows(sa.select(SigningKey.kid))]
    assert nadia.at("/signing-keys").status == 200
    assert len(before) == 2 * len(KeyUse)
    for kid in before:
        assert kid in nadia.text
    assert "Signs now" in nadia.text
    assert "Signs next" in nadia.text
    assert "Retired" not in nadia.text
    assert "http://localhost/.well-known/jwks.json" in nadia.text
    assert "gatehouse signing-keys rotate" in nadia.text


def test_a_retired_key_says_until_when_it_is_published_and_then_moves_away(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    harbor.clock.advance(120)
    with harbor.services.database.writing() as tx:
        harbor.services.signing_keys.rotate(tx, OPERATOR)
    nadia.at("/signing-keys")
    assert "Retired" in nadia.text
    # the longest that a token lives, and a minute for clocks that differ
    until = harbor.clock.now() + timedelta(seconds=3660)
    assert f"{until:%H:%M}" in nadia.text
    published = harbor.wire.request("GET", "/.well-known/jwks.json").json["keys"]
    assert len(published) == 3 * len(COMMON)
    assert "older key" not in nadia.text
    while harbor.clock.now() < until:
        harbor.clock.advance(1500)
        nadia.at("/signing-keys")
    assert f"{len(COMMON)} older keys, published no more" in nadia.text
    with harbor.services.database.reading() as tx:
        shown = {key["kid"] for key in harbor.services.signing_keys.published(tx, *KeyUse)}
    gone = {row.kid for row in harbor.rows(sa.select(SigningKey.kid))} - shown
    assert len(gone) == len(COMMON)
    assert all(kid in nadia.text for kid in gone)


@ONE_DATABASE
def test_the_page_says_from_when_on_entra_s_next_key_may_sign(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    html = nadia.at("/signing-keys").text
    assert "Answers to Microsoft Entra" in nadia.text
    assert "48 hours" in nadia.text
    ripe = START + timedelta(hours=48)
    assert f'from <time datetime="{ripe:%Y-%m-%dT%H:%M}' in html


@ONE_DATABASE
def test_nothing_private_is_on_the_page_and_nothing_to_press(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    html = nadia.at("/signing-keys").text
    for sealed, public in harbor.rows(sa.select(SigningKey.private, SigningKey.public)):
        assert sealed not in html
        assert (public.get("x") or public["n"]) not in html
    main = html[html.index("<main") :]
    assert "<form" not in main
    buttons = [found for tag, found in Page(main).tags if tag == "button"]
    assert all("data-copy" in found for found in buttons)


@ONE_DATABASE
def test_an_auditor_looks_and_the_help_desk_does_not(harbor: Harbor) -> None:
    assert harbor.administrator(Role.AUDITOR).at("/signing-keys").status == 200
    assert harbor.administrator(Role.HELPDESK).at("/signing-keys").status == 403
    stranger = harbor.browser()
    stranger.goes_to("/admin/sandbox/harbor/signing-keys")
    assert stranger.path == "/admin/sign-in"
