"""How visits end for a Duo application: a code where somebody was confirmed, and else the error."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.models import AuthorizationCode, PolicyMode, Purpose, User, Verification
from app.services.audit import OPERATOR
from app.services.policies import Rule
from tests.actors import Browser
from tests.conftest import REDIRECT_URI, Harbor
from tests.web.duo.client import STATE, Client, confirms, duo_client
from tests.web.gateway.test_bypass import gives

ADA = "ada@harbor.example"


def denied(browser: Browser) -> str:
    """It goes back by OAuth's error, with the state and without a code; return why."""
    back = browser.back
    assert browser.reply.location.startswith(f"{REDIRECT_URI}?")
    assert back.keys() == {"error", "error_description", "state"}
    assert (back["error"], back["state"]) == ("access_denied", STATE)
    return back["error_description"]


def codes(harbor: Harbor) -> int:
    return len(harbor.rows(sa.select(AuthorizationCode.id)))


def test_who_goes_back_brings_no_code(harbor: Harbor, wiki: Client) -> None:
    harbor.enrolls()
    browser = harbor.browser()
    wiki.sends(browser, ADA)
    browser.sends("cancel")
    assert "went back" in denied(browser)
    assert codes(harbor) == 0


def test_too_many_wrong_codes_bring_none(harbor: Harbor, wiki: Client) -> None:
    phone, browser = harbor.enrolls(), harbor.browser()
    wiki.sends(browser, ADA)
    for code in harbor.wrong_codes(phone, 5):
        browser.types(code)
    browser.goes_to(browser.address("return"))
    assert "wrong answers" in denied(browser)
    assert codes(harbor) == 0


def test_a_visit_that_is_over_brings_none(harbor: Harbor, wiki: Client) -> None:
    harbor.enrolls()
    browser = harbor.browser()
    wiki.sends(browser, ADA)
    harbor.clock.advance(16 * 60)
    browser.goes_to(browser.address("return"))
    assert "expired" in denied(browser)


def test_a_suspended_user_is_sent_back_and_a_code_from_before_is_void(
    harbor: Harbor, wiki: Client
) -> None:
    phone = harbor.enrolls()
    code = confirms(harbor, wiki, phone)["duo_code"]
    harbor.executes(sa.update(User).values(suspended_at=harbor.clock.now()))
    assert wiki.exchanges(code).json["error"] == "invalid_grant"
    browser = harbor.browser()
    wiki.sends(browser, ADA)
    assert "suspended" in denied(browser)


def test_where_the_organization_offers_nothing_the_application_is_told(
    harbor: Harbor, wiki: Client
) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(tx, OPERATOR, harbor.organization, active=False)
    browser = harbor.browser()
    wiki.sends(browser, "somebody@harbor.example")
    denied(browser)
    assert harbor.rows(sa.select(User.id).where(User.email == "somebody@harbor.example")) == []


def test_a_code_of_the_help_desk_lets_in_once_and_is_told_as_such(
    harbor: Harbor, wiki: Client
) -> None:
    """Duo has such codes, too. An administrator gave it, and no policy: the user typed it."""
    harbor.enrolls()
    code = gives(harbor)
    browser = harbor.browser()
    wiki.sends(browser, ADA)
    browser.goes_to(browser.address("bypass"))
    browser.types("AAAAA-BBBBB")
    assert codes(harbor) == 0
    browser.types(code)
    claims = wiki.reads(wiki.exchanges(browser.back["duo_code"]))
    assert (claims["amr"], claims["acr"]) == ([], "urn:gatehouse:acr:bypass")
    assert claims["auth_context"]["factor"] == "bypass_code"
    harbor.clock.advance(1)
    again = harbor.browser()
    wiki.sends(again, ADA)
    again.goes_to(again.address("bypass"))
    again.types(code)
    assert codes(harbor) == 1


# Users


@pytest.mark.parametrize("name", ["ada", "ADA", "Ada", " ada ", "\uff21da"])
def test_somebody_new_enrolls_on_the_way_and_is_the_same_person_in_any_spelling(
    harbor: Harbor, wiki: Client, name: str
) -> None:
    browser = harbor.browser()
    wiki.sends(browser, "ada")
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    browser.saves_codes()
    claims = wiki.reads(wiki.exchanges(browser.back["duo_code"]))
    assert claims["preferred_username"] == "ada"
    assert claims["auth_context"]["event_type"] == "enrollment"
    harbor.clock.advance(30)
    again = wiki.reads(wiki.exchanges(confirms(harbor, wiki, phone, name=name)["duo_code"]))
    assert again["sub"] == claims["sub"]
    assert again["preferred_username"] == name
    assert again["auth_context"]["event_type"] == "authentication"


def test_a_name_that_fits_several_means_none_of_them(harbor: Harbor, wiki: Client) -> None:
    with harbor.services.database.writing() as tx:
        for external_id in ("Bob", "BOB"):
            harbor.services.directory.create(
                tx,
                OPERATOR,
                harbor.organization,
                email=f"{external_id}1@harbor.example" if external_id == "Bob" else "b@h.example",
                external_id=external_id,
            )
    browser = harbor.browser()
    wiki.sends(browser, "bob")
    assert "differ in case" in denied(browser)
    wiki.sends(browser, "BOB")
    assert browser.path.endswith("/set-up")


def test_a_known_user_is_found_by_id_address_and_external_id(harbor: Harbor, wiki: Client) -> None:
    harbor.executes(sa.update(User).where(User.email == ADA).values(external_id="E-1"))
    phone = harbor.enrolls()
    for name in (harbor.ada, ADA, "E-1", "e-1"):
        back = confirms(harbor, wiki, phone, name=name)
        assert wiki.reads(wiki.exchanges(back["duo_code"]))["sub"] == harbor.ada
    assert len(harbor.rows(sa.select(User.id))) == 1


def test_where_it_makes_no_users_a_stranger_is_sent_back(harbor: Harbor) -> None:
    client, browser = duo_client(harbor, creates_users=False), harbor.browser()
    client.sends(browser, "somebody")
    assert "not known" in denied(browser)
    assert len(harbor.rows(sa.select(User.id))) == 1


# Nobody passes unconfirmed


@pytest.mark.parametrize(
    "rule",
    [Rule(mode=PolicyMode.OFF), Rule(mode=PolicyMode.OPTIONAL)],
    ids=["off", "optional"],
)
def test_no_policy_lets_anybody_pass_unconfirmed_as_no_sdk_could_tell(
    harbor: Harbor, wiki: Client, rule: Rule
) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.policies.change(tx, OPERATOR, harbor.organization, rule)
    browser = harbor.browser()
    wiki.sends(browser, ADA)
    assert browser.path.endswith("/set-up")
    assert "Not now" not in browser.page.text
    browser.sends("skip")
    assert codes(harbor) == 0
    assert harbor.rows(sa.select(Verification.id)) == []
    phone = harbor.enrolls()
    assert "duo_code" in confirms(harbor, wiki, phone)


def test_a_browser_that_the_user_trusts_is_spared_and_the_token_says_so(
    harbor: Harbor, wiki: Client
) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.trust_rules.change(tx, OPERATOR, harbor.organization, days=7)
    phone, browser = harbor.enrolls(), harbor.browser()
    wiki.sends(browser, ADA)
    browser.submits(code=harbor.code(phone), trust="yes")
    first = wiki.reads(wiki.exchanges(browser.back["duo_code"]))
    harbor.clock.advance(3600)
    wiki.sends(browser, ADA)
    claims = wiki.reads(wiki.exchanges(browser.back["duo_code"]))
    assert claims["auth_context"]["factor"] == "trusted_browser"
    assert claims["auth_context"]["reason"] == "remembered_device"
    assert claims["amr"] == []
    assert claims["auth_time"] == first["auth_time"]
    harbor.clock.advance(1)
    other = harbor.browser()
    wiki.sends(other, ADA)
    assert other.path.endswith("/verify")


def test_no_result_of_this_door_rests_on_nothing(harbor: Harbor, wiki: Client) -> None:
    """The one function that issues results demands more, whoever calls it."""
    from app.models import GatewaySession

    harbor.enrolls()
    browser = harbor.browser()
    wiki.sends(browser, ADA)
    with harbor.services.database.writing() as tx:
        [session] = [harbor.services.gateway_sessions.peek(tx, browser.path.split("/")[2])]
        assert isinstance(session, GatewaySession)
        skipped = Verification(
            user_id=session.user_id,
            organization_id=harbor.organization.id,
            gateway_session_id=session.id,
            kind="nothing",
            purpose=Purpose.SKIP,
            accepted=True,
            at=harbor.clock.now(),
        )
        tx.add(skipped)
        tx.flush()
        with pytest.raises(ValueError, match="spare nobody"):
            harbor.services.tokens.issue_result(tx, OPERATOR, session, skipped)


# What the token says


def test_the_token_says_what_is_known_and_nothing_else(harbor: Harbor, wiki: Client) -> None:
    phone, browser = harbor.enrolls(), harbor.browser()
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/150.0.0.0 Safari/537.36"
    moment = int(harbor.clock.now().timestamp())
    reply = wiki.asks(wiki.request(ADA), browser)
    browser.goes_to(reply.location, headers={"User-Agent": agent})
    browser.types(harbor.code(phone))
    claims = wiki.reads(wiki.exchanges(browser.back["duo_code"]))
    context = claims.pop("auth_context")
    assert claims.pop("jti")
    assert claims == {
        "iss": f"{harbor.base_url}/oauth/v1/token",
        "aud": wiki.client_id,
        "sub": harbor.ada,
        "preferred_username": ADA,
        "exp": moment + 300,
        "iat": moment,
        "auth_time": moment,
        "amr": ["otp"],
        "acr": "urn:gatehouse:acr:otp",
        "auth_result": {"result": "allow", "status": "allow", "status_msg": "Login Successful"},
    }
    assert all(type(claims[name]) is int for name in ("exp", "iat", "auth_time"))
    assert context.pop("txid").startswith("gateway-session_")
    assert context == {
        "timestamp": moment,
        "isotimestamp": harbor.clock.now().isoformat(timespec="seconds"),
        "event_type": "authentication",
        "result": "success",
        "reason": "valid_passcode",
        "factor": "totp",
        "email": ADA,
        "user": {"key": harbor.ada, "name": ADA, "groups": []},
        "application": {"key": wiki.client_id, "name": "Harbor Wiki"},
        "access_device": {"ip": "127.0.0.1", "browser": "Chrome", "os": "Linux"},
    }
