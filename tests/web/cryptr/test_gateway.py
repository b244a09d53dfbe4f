"""GET /a/{account domain}/ in a browser: nothing in the address says who comes."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from app.models import Arrival, CryptrClient, Event, GatewaySession, Message, Organization
from app.services.audit import OPERATOR
from tests.actors import Browser
from tests.conftest import Harbor
from tests.web.cryptr.conftest import ACCOUNT, CALLBACK, EMAIL, Board

SHORT_CODE = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{3}-[0-9A-HJKMNP-TV-Z]{3}\b")


def short_code(board: Board, link: str) -> str:
    """Open the link elsewhere, press its button, and read the code."""
    elsewhere = board.harbor.browser()
    elsewhere.goes_to(link)
    elsewhere.submits()
    found = SHORT_CODE.search(elsewhere.page.text)
    assert found, elsewhere.page.text
    return found[0]


# The way in


def test_a_user_follows_the_link_and_confirms_with_the_second_factor(board: Board) -> None:
    phone = board.harbor.enrolls()
    browser = board.arrives(email=EMAIL)
    assert browser.page.heading == "Sign in to Harbor Board"
    assert browser.page.forms[0]["fields"]["email"] == EMAIL
    board.says(browser)
    assert browser.page.heading == "Check your email"
    browser.goes_to(board.link())
    assert browser.page.heading == "Sign in to Harbor Board"
    browser.submits()
    assert browser.path.endswith("/verify")
    browser.types(board.harbor.code(phone))
    back = browser.back
    assert browser.reply.location.startswith(f"{CALLBACK}?")
    assert set(back) == {"state", "authorization_id", "code", "organization_domain", "request_id"}
    assert (back["state"], back["organization_domain"]) == ("board-state", "harbor")
    [session] = board.harbor.rows(sa.select(GatewaySession.door, GatewaySession.status))
    assert tuple(session) == ("cryptr", "verified")


def test_whoever_has_no_second_factor_sets_one_up_after_the_link(board: Board) -> None:
    browser = board.identified()
    phone = browser.sets_up()
    browser.types(board.harbor.code(phone))
    browser.saves_codes()
    assert "code" in browser.back


def test_opened_in_another_browser_the_link_tells_a_code_for_the_first(board: Board) -> None:
    phone = board.harbor.enrolls()
    browser = board.waits()
    told = short_code(board, board.link())
    assert board.harbor.rows(sa.select(GatewaySession.id)) == []
    browser.submits(code=told)
    assert browser.path.endswith("/verify")
    browser.types(board.harbor.code(phone))
    assert "code" in browser.back


def test_the_link_alone_gets_nobody_back_to_the_application(board: Board) -> None:
    board.harbor.enrolls()
    browser = board.identified()
    assert browser.path.endswith("/verify")
    assert board.harbor.rows(sa.select(Event).where(Event.kind == "result:issued")) == []


def test_opening_the_link_changes_nothing_until_its_button_is_pressed(board: Board) -> None:
    board.waits()
    link = board.link()
    for _ in range(3):
        scanner = board.harbor.browser()
        assert scanner.goes_to(link).status == 200
    [row] = board.harbor.rows(sa.select(Arrival.used_at, Arrival.code_hash))
    assert tuple(row) == (None, None)


def test_the_link_works_once_and_ten_minutes(board: Board) -> None:
    browser = board.waits()
    link = board.link()
    browser.goes_to(link)
    browser.submits()
    again = board.harbor.browser()
    assert again.goes_to(link).status == 410
    assert again.page.heading == "This link was already used"
    board.harbor.clock.advance(60)
    late = board.waits()
    link = board.link()
    board.harbor.clock.advance(600)
    late.goes_to(link)
    assert (late.reply.status, late.page.heading) == (410, "This link no longer works")
    assert len(board.harbor.rows(sa.select(GatewaySession.id))) == 1


def test_of_many_presses_at_once_one_opens_a_session(board: Board) -> None:
    browser = board.waits()
    link = board.link()
    browser.goes_to(link)
    form = browser.page.forms[0]["fields"]

    def press(_: int) -> int:
        twin = Browser(browser.wire, browser.base_url, dict(browser.cookies))
        path = link.removeprefix(browser.base_url)
        return twin.wire.request("POST", path, data=form, cookies=twin.cookies).status

    with ThreadPoolExecutor(4) as pool:
        statuses = Counter(pool.map(press, range(4)))
    assert statuses == {303: 1, 410: 3}
    assert len(board.harbor.rows(sa.select(GatewaySession.id))) == 1


def test_from_the_page_that_waits_another_address_can_be_typed(board: Board) -> None:
    phone = board.harbor.enrolls()
    browser = board.waits("ada@harbr.example")
    [again] = [link for link in browser.page.links if "client_id" in link]
    browser.goes_to(again)
    assert browser.page.forms[0]["fields"]["email"] == ""
    board.says(browser)
    browser.goes_to(board.link())
    browser.submits()
    browser.types(board.harbor.code(phone))
    assert browser.back["state"] == "board-state"


# Nobody learns who is a user


def test_an_address_that_nobody_has_is_answered_alike(board: Board) -> None:
    known, unknown = board.waits(), board.waits("eve@elsewhere.example")
    pages = [
        browser.page.text.replace(email, "…")
        for browser, email in ((known, EMAIL), (unknown, "eve@elsewhere.example"))
    ]
    assert pages[0] == pages[1]
    assert len(known.cookies) == len(unknown.cookies)
    for browser in (known, unknown):
        browser.submits(code="ABC-DE2")
    assert known.page.text.replace(EMAIL, "…") == unknown.page.text.replace(
        "eve@elsewhere.example", "…"
    )
    assert known.reply.status == unknown.reply.status == 422
    assert len(board.harbor.rows(sa.select(Message.id))) == 1


def test_a_suspended_user_gets_no_mail_and_the_same_page(board: Board) -> None:
    with board.harbor.services.database.writing() as tx:
        user = board.harbor.services.directory.find(tx, board.harbor.organization, EMAIL)
        board.harbor.services.user_care.suspend(
            tx, OPERATOR, board.harbor.organization, user, why="Lost laptop."
        )
    sent = len(board.harbor.rows(sa.select(Message.id)))
    browser = board.waits()
    assert browser.page.heading == "Check your email"
    assert len(board.harbor.rows(sa.select(Message.id))) == sent


def test_a_wrong_short_code_is_charged_first_and_five_are_judged(board: Board) -> None:
    browser = board.waits()
    told = short_code(board, board.link())
    wrong = "000-00A" if told != "000-00A" else "000-00B"
    for _ in range(5):
        browser.submits(code=wrong)
        assert browser.reply.status == 422
    assert browser.page.heading == "This page has expired"
    [attempts] = board.harbor.rows(sa.select(Arrival.attempts))
    assert attempts[0] == 5
    path, form = browser.path, {"csrf_token": browser.form_token, "code": told}
    browser.goes_to(path, "POST", data=form)
    assert board.harbor.rows(sa.select(GatewaySession.id)) == []


def test_the_page_that_waits_belongs_to_one_browser(board: Board) -> None:
    browser = board.waits()
    stranger = board.harbor.browser()
    stranger.goes_to(browser.path)
    assert stranger.reply.status == 403
    assert "harbor" not in stranger.page.text.lower()
    assert EMAIL not in stranger.page.text


def test_mails_to_one_user_are_limited_like_any_message(board: Board) -> None:
    for _ in range(12):
        assert board.waits().page.heading == "Check your email"
        board.harbor.clock.advance(31)
    assert len(board.harbor.rows(sa.select(Message.id))) < 12


# Where no link is wanted


@pytest.fixture
def linkless(board: Board) -> Board:
    client = sa.update(CryptrClient).where(
        CryptrClient.application_id == uuid.UUID(board.client_id)
    )
    board.harbor.executes(client.values(identifies_by_link=False))
    return board


def test_without_a_link_who_has_a_second_factor_confirms_with_it(linkless: Board) -> None:
    phone = linkless.harbor.enrolls()
    browser = linkless.waits()
    assert browser.path.endswith("/verify")
    browser.types(linkless.harbor.code(phone))
    told = linkless.exchanges(browser.back).json
    claims = json.loads(base64.urlsafe_b64decode(told["id_token"].split(".")[1] + "=="))
    assert (claims["email"], claims["email_verified"]) == (EMAIL, False)
    mailed = sa.select(Message.id).where(Message.name == "magic_link")
    assert linkless.harbor.rows(mailed) == []


def test_without_a_link_everybody_else_sees_one_page_and_leaves_nothing(linkless: Board) -> None:
    """Unknown, without a factor, suspended: nobody enrolls by an address that anyone can type."""
    harbor = linkless.harbor
    suspended = harbor.person("bo@harbor.example")
    harbor.enrolls(suspended)
    with harbor.services.database.writing() as tx:
        bo = harbor.services.directory.find(tx, harbor.organization, suspended)
        harbor.services.user_care.suspend(tx, OPERATOR, harbor.organization, bo, why="Left.")
    pages = set()
    for email in ("eve@elsewhere.example", EMAIL, "bo@harbor.example"):
        browser = linkless.waits(email)
        assert browser.page.heading == "You can’t be confirmed here now"
        pages.add(browser.page.text)
    assert len(pages) == 1
    assert harbor.rows(sa.select(GatewaySession.id)) == []


# Mistakes


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "6c4f1b0e-0000-4000-8000-000000000000"},
        {"client_id": "none"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": f"{CALLBACK}/"},
        {"redirect_uri": f"{CALLBACK}?next=1"},
        {"redirect_uri": CALLBACK.replace("board", "BOARD")},
        {"redirect_uri": f"{CALLBACK}@evil.example"},
        {"redirect_uri": f"https://evil.example\\@{CALLBACK.removeprefix('https://')}"},
        {"redirect_uri": None},
        {"organization": "elsewhere"},
    ],
    ids=[
        "unknown",
        "no-id",
        "foreign",
        "slash",
        "query",
        "case",
        "user",
        "backslash",
        "none",
        "organization",
    ],
)
def test_nobody_is_sent_to_an_address_that_is_not_registered(
    board: Board, changed: dict[str, str | None]
) -> None:
    """F39."""
    browser = board.arrives(**changed)
    assert browser.reply.status in {400, 404}
    assert browser.page.heading == "This link can’t be used"


@pytest.mark.parametrize(
    "changed",
    [
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge": "short"},
        {"client_state": None},
        {"client_state": "x" * 1025},
    ],
    ids=["plain", "no-method", "no-challenge", "short", "no-state", "long-state"],
)
def test_other_mistakes_are_told_to_the_application(
    board: Board, changed: dict[str, str | None]
) -> None:
    browser = board.arrives(**changed)
    assert browser.reply.status == 303
    assert browser.reply.location.startswith(f"{CALLBACK}?")
    assert browser.back["error"] == "invalid_request"
    assert "code" not in browser.back


def test_an_application_of_another_protocol_does_not_come_this_way(board: Board) -> None:
    browser = board.arrives(
        client_id=board.harbor.notes.client_id, redirect_uri="https://notes.example/callback"
    )
    assert browser.reply.status == 400


def test_another_account_domain_is_not_here(board: Board) -> None:
    browser = board.harbor.browser()
    browser.goes_to(board.address().replace(ACCOUNT, "elsewhere"))
    assert browser.reply.status == 404


def test_an_address_that_is_none_is_explained_and_kept(board: Board) -> None:
    browser = board.waits("ada at harbor")
    assert browser.reply.status == 422
    assert "That is no email address." in browser.page.text
    assert browser.page.forms[0]["fields"]["email"] == "ada at harbor"
    assert board.harbor.rows(sa.select(Arrival.id)) == []


def test_going_back_tells_the_application(board: Board) -> None:
    browser = board.arrives()
    form = browser.page.forms[0]["fields"]
    browser.goes_to(board.address(), "POST", data={**form, "cancel": "1"})
    assert browser.back == {
        "state": "board-state",
        "error": "access_denied",
        "error_description": "The user went back.",
    }
    waiting = board.waits()
    waiting.presses("1")
    assert waiting.back["error"] == "access_denied"


def test_going_back_from_the_second_factor_tells_the_application(board: Board) -> None:
    board.harbor.enrolls()
    browser = board.identified()
    browser.goes_to(browser.address("cancel"), "POST", data={"csrf_token": browser.form_token})
    assert browser.back["error"] == "access_denied"
    assert {"state", "organization_domain", "request_id"} < set(browser.back)
    assert "code" not in browser.back


def test_the_form_needs_its_token(board: Board) -> None:
    browser = board.arrives()
    browser.goes_to(board.address(), "POST", data={"email": EMAIL})
    assert browser.reply.status == 400
    assert board.harbor.rows(sa.select(Arrival.id)) == []


def test_a_deleted_organization_is_found_by_no_link(board: Board) -> None:
    browser = board.waits()
    link = board.link()
    with board.harbor.services.database.writing() as tx:
        organization = tx.get_one(Organization, board.harbor.organization.id)
        board.harbor.services.organizations.delete(tx, OPERATOR, organization)
    assert browser.goes_to(link).status == 404


def test_arrivals_are_deleted_after_a_day(harbor: Harbor, board: Board) -> None:
    board.waits("eve@elsewhere.example")
    harbor.clock.advance(600 + 24 * 3600 - 1)
    harbor.services.retention.purge()
    assert len(harbor.rows(sa.select(Arrival.id))) == 1
    harbor.clock.advance(2)
    harbor.services.retention.purge()
    assert harbor.rows(sa.select(Arrival.id)) == []
