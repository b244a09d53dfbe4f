"""Trying an application: a real verification, whose result is checked, redeemed and shown."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import sqlalchemy as sa

from app import jose
from app.models import (
    Application,
    Environment,
    Event,
    GatewaySession,
    KeyUse,
    PolicyMode,
    Result,
    Role,
)
from app.services.audit import OPERATOR
from app.services.policies import Rule
from app.services.roles import MAY, Action
from app.web.admin.claim_words import CHECKS, CLAIMS, HEADER, MOMENTS
from tests.actors import Administrator, Phone, keep_secret
from tests.conftest import ONE_DATABASE, Harbor

ADA = "ada@harbor.example"


def begins(harbor: Harbor, nadia: Administrator, email: str = ADA, client_id: str = "") -> None:
    """Fill in the form, and stand at the first hosted page, or at the form again."""
    place = f"/applications/{client_id or harbor.notes.client_id}/try"
    nadia.at(place)
    nadia.does(place, email=email)


def comes_back(harbor: Harbor, nadia: Administrator, phone: Phone) -> str:
    """Type the code, and return the address that the browser was sent back to."""
    reply = nadia.browser.wire.request(
        "POST",
        nadia.browser.path,
        data={**nadia.page.forms[0]["fields"], "code": harbor.code(phone)},
        cookies=nadia.browser.cookies,
    )
    assert reply.status == 303, reply.text
    keep_secret(dict(parse_qsl(urlsplit(reply.location).query))["result"])
    return reply.location


def told(harbor: Harbor, kind: str) -> list[Any]:
    whole = sa.select(Event).where(Event.kind == kind).order_by(Event.id)
    return [row.Event for row in harbor.rows(whole)]


def changed(address: str, **fields: str) -> str:
    parts = urlsplit(address)
    query = {**dict(parse_qsl(parts.query)), **fields}
    return f"{parts.path}?{urlencode(query)}"


# It works


def test_a_trial_is_a_real_verification_shown_decoded_and_checked(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    begins(harbor, nadia)
    assert nadia.browser.path.startswith("/gateway/")
    assert "Harbor Notes" in nadia.text  # what a user sees
    nadia.browser.types(harbor.code(phone))
    assert nadia.status == 200, nadia.text
    assert nadia.browser.path.endswith(f"/applications/{harbor.notes.client_id}/try/back")
    assert "Verified, checked and redeemed." in nadia.text
    for words in CHECKS.values():
        assert f"{words} : passed" in nadia.text, words
    assert "failed" not in nadia.text
    latest = harbor.rows(sa.select(Result).where(Result.redeemed_at.is_not(None)))
    claims = next(
        row.Result.claims for row in latest if row.Result.claims["aud"] == harbor.notes.client_id
    )
    for name, value in claims.items():
        if value is not None:
            assert name in nadia.text, name
            assert (", ".join(value) if isinstance(value, list) else str(value)) in nadia.text
            assert CLAIMS[name] in nadia.text, name
    for name in HEADER:
        assert HEADER[name] in nadia.text


def test_a_trial_is_recorded_as_such(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    begins(harbor, nadia)
    nadia.browser.types(harbor.code(phone))
    [tried] = told(harbor, "application:tried")
    assert tried.actor.startswith("administrator:")
    assert tried.actor_label == "owner@gatehouse.example"
    assert str(tried.user_id) == harbor.ada
    assert str(tried.application_id) == harbor.notes.client_id
    assert tried.organization_id == harbor.organization.id
    redeemed = told(harbor, "result:redeemed")[-1]
    assert redeemed.actor == tried.actor
    assert redeemed.gateway_session_id == tried.gateway_session_id


def test_in_the_sandbox_a_test_user_is_set_up_in_the_trial(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    begins(harbor, nadia)
    phone = nadia.browser.sets_up()
    nadia.browser.types(harbor.code(phone))
    nadia.browser.saves_codes()
    assert "Verified, checked and redeemed." in nadia.text
    assert "enrolled" in nadia.text


def test_what_the_application_is_told_is_spent(harbor: Harbor) -> None:
    """The application can't redeem what the trial has shown."""
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    begins(harbor, nadia)
    back = comes_back(harbor, nadia, phone)
    fields = dict(parse_qsl(urlsplit(back).query))
    nadia.browser.goes_to(back)
    assert nadia.status == 200
    again = harbor.notes.redeems(fields["session_id"], fields["result"])
    assert (again.status, again.error) == (409, "result_already_redeemed")


def test_where_a_policy_asks_for_nothing_the_page_says_so(harbor: Harbor) -> None:
    """It is no verification, whatever the checks say."""
    harbor.enrolls()
    nadia = harbor.administrator()
    with harbor.services.database.writing() as tx:
        off = Rule(mode=PolicyMode.OFF)
        harbor.services.policies.change(tx, OPERATOR, harbor.organization, off)
    begins(harbor, nadia)
    assert nadia.status == 200
    assert "Nothing was confirmed." in nadia.text
    assert "Verified, checked" not in nadia.text


# It doesn't


def test_a_result_that_comes_again_is_told_apart(harbor: Harbor) -> None:
    """F24: by reloading, or by going back."""
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    begins(harbor, nadia)
    back = comes_back(harbor, nadia, phone)
    assert nadia.browser.goes_to(back).status == 200
    assert nadia.browser.goes_to(back).status == 422
    assert "This result was used before." in nadia.text
    assert "Used once, now : failed" in nadia.text
    assert "Signed by a published key : passed" in nadia.text
    assert len(told(harbor, "result:replayed")) == 1


def test_going_back_is_told_plainly(harbor: Harbor) -> None:
    harbor.enrolls()
    nadia = harbor.administrator()
    begins(harbor, nadia)
    cancel = [form["action"] for form in nadia.page.forms].index(
        next(form["action"] for form in nadia.page.forms if form["action"].endswith("/cancel"))
    )
    nadia.browser.submits(cancel)
    assert nadia.status == 422
    assert "You went back." in nadia.text
    assert "access_denied" in nadia.text
    assert "Try again" in nadia.text


def test_a_trial_that_took_too_long_is_told_plainly(harbor: Harbor) -> None:
    harbor.enrolls()
    nadia = harbor.administrator()
    begins(harbor, nadia)
    session = harbor.rows(
        sa.select(GatewaySession).order_by(GatewaySession.created_at.desc()).limit(1)
    )[0].GatewaySession
    harbor.clock.advance(901)
    nadia.at(
        f"/applications/{harbor.notes.client_id}/try/back?"
        + urlencode({"session_id": session.id, "state": session.state, "error": "access_denied"})
    )
    assert nadia.status == 422
    assert "It took too long." in nadia.text


def test_a_result_that_lay_too_long_is_refused(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    begins(harbor, nadia)
    back = comes_back(harbor, nadia, phone)
    harbor.clock.advance(181)
    nadia.browser.goes_to(back)
    assert nadia.status == 422
    assert "Not expired : failed" in nadia.text
    assert "An application must refuse this" in nadia.text
    assert told(harbor, "result:replayed") == []


@ONE_DATABASE
def test_a_changed_result_is_refused_and_nothing_of_it_is_believed(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    begins(harbor, nadia)
    back = comes_back(harbor, nadia, phone)
    result = dict(parse_qsl(urlsplit(back).query))["result"]
    with harbor.services.database.reading() as tx:
        access = harbor.services.signing_keys.signer(tx, KeyUse.ACCESS)
    key = jose.generate_key("ES256")
    claims = jose.verify(
        result,
        typ="gatehouse-result+jwt",
        keys=harbor.wire.request("GET", "/.well-known/jwks.json").json["keys"],
    )
    forged = [
        result[:-4] + ("AAAA" if not result.endswith("AAAA") else "BBBB"),
        "x",
        "a.b.c",
        "<script>alert(1)</script>",
        "é",
        jose.sign(claims, typ="gatehouse-result+jwt", key=key),
        jose.sign(claims, typ="gatehouse-result+jwt", key=access),
        jose.sign(claims, typ="JWT", key=access),
    ]
    for one in forged:
        nadia.browser.goes_to(changed(back, result=one))
        assert nadia.status == 422
        assert "This result can’t be trusted." in nadia.text
        assert "What the result says" not in nadia.text
        assert "<script>alert" not in nadia.browser.reply.text
    assert nadia.browser.goes_to(back).status == 200  # nothing was used up


@ONE_DATABASE
def test_the_result_of_another_session_is_refused(harbor: Harbor) -> None:
    """F22: by the checks that are shown, whatever is signed."""
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    begins(harbor, nadia)
    first = comes_back(harbor, nadia, phone)
    harbor.clock.advance(30)
    begins(harbor, nadia)
    second = comes_back(harbor, nadia, phone)
    stranger = dict(parse_qsl(urlsplit(first).query))["result"]
    nadia.browser.goes_to(changed(second, result=stranger))
    assert nadia.status == 422
    assert "Answers this very ask : failed" in nadia.text
    assert nadia.browser.goes_to(second).status == 200
    assert nadia.browser.goes_to(first).status == 200


@ONE_DATABASE
def test_the_way_back_is_open_to_the_administrator_who_began_alone(harbor: Harbor) -> None:
    """F13, F29: by `state`, which is bound to the session."""
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    begins(harbor, nadia)
    back = comes_back(harbor, nadia, phone)
    other = harbor.administrator(Role.ADMINISTRATOR)
    fields = dict(parse_qsl(urlsplit(back).query))
    harbor.notes.opens(harbor.ada, state=fields["state"])  # no trial, whatever it brings
    for who, address in (
        (other, back),
        (nadia, changed(back, state="x")),
        (nadia, changed(back, state="")),
    ):
        who.browser.goes_to(address)
        assert who.status == 422
        assert "You have begun no such trial" in who.text
    redeemed = [one.gateway_session_id for one in told(harbor, "result:redeemed")]
    assert fields["session_id"] not in redeemed
    stranger = harbor.browser()
    stranger.goes_to(back)
    assert stranger.path == "/admin/sign-in"
    assert nadia.browser.goes_to(back).status == 200


@ONE_DATABASE
def test_the_session_of_an_application_never_ends_there(harbor: Harbor) -> None:
    """No key and no application may name a page of ours as the way back."""
    inside = f"http://localhost/admin/sandbox/harbor/applications/{harbor.notes.client_id}/try/back"
    for more in ({}, {"internal": True}, {"internal": "true"}):
        reply = harbor.notes.asks(harbor.ada, redirect_uri=inside, **more)
        assert (reply.status, reply.error) == (422, "redirect_uri_not_registered")


# Whom


@ONE_DATABASE
def test_a_user_who_can_t_be_verified_is_told_at_the_field(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    suspended = harbor.person("bo@harbor.example")
    with harbor.services.database.writing() as tx:
        found = harbor.services.directory.find(tx, harbor.organization, suspended)
        found.suspended_at = harbor.clock.now()
    for email, words in (
        ("nobody@harbor.example", "Harbor has no user with this address."),
        ("", "Harbor has no user with this address."),
        ("<script>", "Harbor has no user with this address."),
        ("owner@gatehouse.example", "Harbor has no user with this address."),
        ("bo@harbor.example", "This user is suspended."),
    ):
        begins(harbor, nadia, email)
        assert nadia.status == 422
        assert words in nadia.text
        assert "<script>" not in nadia.browser.reply.text
        assert nadia.page.title.startswith("Error: ")
    assert told(harbor, "application:tried") == []


@ONE_DATABASE
def test_without_a_method_on_offer_the_form_says_so(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(tx, OPERATOR, harbor.organization, active=False)
    begins(harbor, nadia)
    assert nadia.status == 422
    assert "offers no method" in nadia.text


def test_in_production_nobody_sets_up_a_method_for_somebody_else(harbor: Harbor) -> None:
    """Else an administrator's own phone would be the user's second factor from then on."""
    quay = _quay(harbor)
    nadia = harbor.administrator(organization=quay, email="nadia@quay.example")
    place = f"/applications/{_own(harbor, quay)}/try"
    nadia.at(place)
    assert "in production" in nadia.text
    nadia.does(place, email="ada@quay.example")
    assert nadia.status == 422
    assert "This user has no method yet." in nadia.text
    assert "Invite them to enroll first." in nadia.text


def test_in_production_a_reset_on_the_way_opens_nothing_either(harbor: Harbor) -> None:
    """The trial that began before it does not become the user's first visit."""
    from tests.conftest import _enrolled

    quay = _quay(harbor)
    services = harbor.services
    with services.database.writing() as tx:
        found = services.directory.find(tx, quay, "ada@quay.example")
        phone = Phone(_enrolled(services, tx, found))
    harbor.clock.advance(30)
    nadia = harbor.administrator(organization=quay, email="nadia@quay.example")
    place = f"/applications/{_own(harbor, quay)}/try"
    nadia.at(place)
    nadia.does(place, email="ada@quay.example")
    assert nadia.browser.path.endswith("/verify")
    with services.database.writing() as tx:
        found = services.directory.find(tx, quay, "ada@quay.example", locked=True)
        services.enrollment.reset(tx, OPERATOR, quay, found, reopen=True)
    nadia.browser.goes_to(nadia.browser.address("resume"))
    assert nadia.browser.path.endswith("/blocked"), nadia.browser.path
    nadia.browser.goes_to(nadia.browser.address("set-up"))
    assert "otpauth:" not in nadia.browser.reply.text
    assert not nadia.browser.path.endswith("/set-up")
    assert phone


def _quay(harbor: Harbor) -> Any:
    services = harbor.services
    with services.database.writing() as tx:
        quay = services.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Quay"
        )
        services.method_settings.change(tx, OPERATOR, quay, active=True)
        services.directory.create(tx, OPERATOR, quay, email="ada@quay.example")
        services.applications.create(
            tx,
            OPERATOR,
            environment=Environment.PRODUCTION,
            name="Quay Notes",
            redirect_uris=["https://quay.example/back"],
            organizations=[quay],
        )
    return quay


def _own(harbor: Harbor, quay: Any) -> uuid.UUID:
    production = Application.environment == Environment.PRODUCTION
    return next(iter(harbor.rows(sa.select(Application.id).where(production))))[0]


@ONE_DATABASE
@pytest.mark.parametrize("role", Role)
def test_each_role_tries_or_does_not(harbor: Harbor, role: Role) -> None:
    """F82."""
    somebody = harbor.administrator(role)
    place = f"/applications/{harbor.notes.client_id}/try"
    may = Action.TRY_APPLICATION in MAY[role]
    assert somebody.at(place).status == (200 if may else 403)
    somebody.does(place, email=ADA)
    assert somebody.browser.path.startswith("/gateway/") is may
    assert bool(told(harbor, "application:tried")) is may
    if not may:
        assert somebody.at(f"{place}/back").status == 403


@ONE_DATABASE
def test_every_claim_that_a_result_can_hold_has_its_words(harbor: Harbor) -> None:
    harbor.enrolls_on_the_pages()
    [row] = harbor.rows(sa.select(Result.claims))
    assert {*row.claims, "recovery_code_used"} <= set(CLAIMS)
    assert set(CLAIMS) >= MOMENTS


def test_over_tls_the_browser_comes_back_as_well(https_harbor: Harbor) -> None:
    phone = https_harbor.enrolls()
    nadia = https_harbor.administrator()
    begins(https_harbor, nadia)
    nadia.browser.types(https_harbor.code(phone))
    assert "Verified, checked and redeemed." in nadia.text


def test_where_the_keys_are_rotated_on_the_way_it_works(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    begins(harbor, nadia)
    harbor.clock.advance(120)
    back = comes_back(harbor, nadia, phone)
    with harbor.services.database.writing() as tx:
        harbor.services.signing_keys.rotate(tx, OPERATOR)
    assert nadia.browser.goes_to(back).status == 200
