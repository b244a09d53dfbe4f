"""Applications in the admin area: registering, changing, replacing secrets, deleting."""

from __future__ import annotations

import html
import json
import re
import shlex
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Application, Environment, Event, Organization, Role
from app.services.audit import OPERATOR
from app.services.roles import MAY, Action
from tests import actors
from tests.actors import Administrator, keep_secret
from tests.conftest import ONE_DATABASE, Harbor

URI = "https://wiki.example/back"
SECRET = re.compile(r"ghs_[A-Za-z0-9_-]{43}")
PAYLOAD = """<img src=x onerror=alert(1)>'"{{7*7}}"""


def registers(nadia: Administrator, **fields: Any) -> str:
    """Fill in the form; return the secret that is shown, or nothing."""
    nadia.at("/applications/new")
    nadia.does("/applications/new", **{"name": "Wiki", "redirect_uris": URI, **fields})
    found = SECRET.search(nadia.browser.reply.text)
    return keep_secret(found[0]) if found else ""


def newest(harbor: Harbor) -> Application:
    """Return the application that came last, of those that the tests make."""
    with harbor.services.database.reading() as tx:
        ours = Application.environment == Environment.SANDBOX
        found = sa.select(Application).where(ours, Application.name != "Harbor Notes")
        made = tx.scalars(found.order_by(Application.created_at.desc())).first()
        return made or tx.scalars(sa.select(Application).where(ours)).one()


def holder(harbor: Harbor, application: Application, secret: str) -> actors.Application:
    uri, base_url = application.redirect_uris[0], harbor.base_url
    return actors.Application(harbor.wire, application.client_id, secret, uri, "harbor", base_url)


def pier(harbor: Harbor) -> Organization:
    with harbor.services.database.writing() as tx:
        return harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )


def told(harbor: Harbor, kind: str) -> list[Any]:
    whole = sa.select(Event).where(Event.kind == kind).order_by(Event.id)
    return [row.Event for row in harbor.rows(whole)]


# Registering


def test_an_application_is_registered_for_this_organization_alone(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    other = pier(harbor)
    harbor.clock.advance(1)
    secret = registers(nadia)
    assert nadia.status == 200
    assert "no-store" in nadia.browser.reply.headers["cache-control"]
    made = newest(harbor)
    assert [one.domain for one in made.organizations] == ["harbor"]
    assert holder(harbor, made, secret).asks(harbor.ada).status == 201
    away = actors.Application(
        harbor.wire, made.client_id, secret, URI, other.domain, harbor.base_url
    )
    assert away.asks(harbor.ada).status == 404
    event = told(harbor, "application:created")[-1]
    assert event.organization_id == harbor.organization.id
    assert event.application_id == made.id
    assert event.actor.startswith("administrator:")
    assert event.actor_label == "owner@gatehouse.example"


def test_a_secret_is_shown_once_and_kept_nowhere(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    secret = registers(nadia)
    assert secret
    made = newest(harbor)
    for path in ("/applications", f"/applications/{made.id}", f"/applications/{made.id}/edit"):
        assert secret not in nadia.at(path).text
    assert secret not in harbor.dump()
    assert secret not in str(nadia.browser.cookies)


ODD_URIS = [
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox",
    "file:///etc/passwd",
    "com.example.app:/callback",
    "myapp://callback",
    "ftp://app.example/back",
    "ws://app.example/back",
    "blob:https://app.example/x",
    "about:blank",
    "app.example",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/callback",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "HTTPS://app.example/back",
    "https://",
    "https://?x",
    "https://user@app.example",
    "https://user:secret@app.example",
    "https://a@b@app.example",
    "https://app.example@evil.example",
    "https://app.example%40evil.example",
    "https://app.example%2f.evil.example",
    "https://app.example%5c.evil.example",
    "https://app.example\\@evil.example",
    "https://app.example\\.evil.example",
    "https://app.example#.evil.example",
    "https://app.example/back#fragment",
    "https://app.example/#",
    "https://app.example;x",
    "https://app.example.",
    "https://app..example",
    "https://*.example/back",
    "https://app.example:99999/back",
    "https://app.example:-1/back",
    "https://app.example:x/back",
    "https://app.example:/back",
    "https://[::1/back",
    "https://[x]/back",
    "https://bücher.example/back",
    "https://app.example/é",
    "https://app.example/a b",
    "https://app.example/a\tb",
    "https://app.example/a\x00b",
    "https://app.example/a\x0bb",
    "https://app.example/a\u2028b",
    "https://app.example/\u202eb",
    "https://app.example/<b>",
    'https://app.example/"b',
    "https://app.example/{b}",
    "https://app.example/`b",
    "https://app.example/^b",
    "https://app.example/|b",
    "http://app.example/back",
    "http://localhost.example/back",
    "http://127.0.0.1.example/back",
    "http://2130706433/back",
    "http://0.0.0.0/back",
    "https://app.example/" + "x" * 2000,
]
GOOD_URIS = [
    "https://app.example",
    "https://app.example/back",
    "https://app.example:8443/back?x=1&y=%20",
    "https://xn--bcher-kva.example/back",
    "https://app.example/it's",
    "https://app.example/a/../b;c=$(d)",
    "http://localhost:8001/callback",
    "http://127.0.0.1/callback",
    "http://[::1]:8001/callback",
    "https://192.0.2.7/back",
]


@ONE_DATABASE
def test_an_odd_address_is_refused_at_its_line_and_what_was_typed_is_kept(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    """F39, F40: in the form, whatever a script has said before."""
    nadia = harbor.administrator()
    before = newest(harbor).id
    for uri in ODD_URIS:
        with subtests.test(repr(uri)[:60]):
            registers(nadia, name="Typed name", redirect_uris=f"{URI}\r\n{uri}\r\n")
            assert nadia.status == 422
            assert "1 of 2 can’t be registered" in nadia.text
            lines = nadia.text.partition("as told below")[2]
            assert "has " in lines or "begin" in lines or "must " in lines or "longer" in lines
            assert "Typed name" in nadia.browser.reply.text
            assert newest(harbor).id == before
            assert "javascript:" not in str(nadia.page.links).lower()
            assert nadia.page.area.strip().startswith(URI)


@ONE_DATABASE
def test_an_odd_address_is_refused_in_changing_too(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    registers(nadia)
    made = newest(harbor)
    for uri in ("javascript:alert(1)", "http://app.example", "https://a@b.example"):
        nadia.does(f"/applications/{made.id}/edit", name="Wiki", redirect_uris=uri)
        assert nadia.status == 422
    assert newest(harbor).redirect_uris == [URI]
    assert told(harbor, "application:updated") == []


def test_good_addresses_are_kept_letter_by_letter_and_each_once(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    harbor.clock.advance(1)
    typed = "\r\n".join(["", "  " + GOOD_URIS[0] + "\t", *GOOD_URIS, ""])
    assert registers(nadia, redirect_uris=typed)
    assert newest(harbor).redirect_uris == GOOD_URIS


@ONE_DATABASE
def test_what_is_typed_is_looked_at_before_it_is_sent(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/applications/new")
    assert "connect-src 'self'" in nadia.browser.reply.headers["content-security-policy"]
    nadia.does(
        "/applications/redirect-uris", redirect_uris=f"{URI}\napp.example\n<script>x</script>:y"
    )
    assert nadia.status == 200
    assert "can be registered" in nadia.text
    assert "doesn’t begin with https://" in nadia.text
    assert "<script>" not in nadia.browser.reply.text
    nadia.at("/applications")
    assert "connect-src" not in nadia.browser.reply.headers["content-security-policy"]


@ONE_DATABASE
def test_a_form_that_lacks_something_says_what(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/applications/new")
    many = "\n".join(f"https://app.example/{number}" for number in range(101))
    for fields, words in (
        ({"name": "", "redirect_uris": URI}, "1 to 100 printable characters"),
        ({"name": "x" * 101, "redirect_uris": URI}, "1 to 100 printable characters"),
        ({"name": "a\u202eb", "redirect_uris": URI}, "1 to 100 printable characters"),
        ({"name": "Wiki", "redirect_uris": " \r\n"}, "Write at least one."),
        ({"name": "Wiki"}, "Write at least one."),
        ({"name": "Wiki", "redirect_uris": many}, "There are 101. Write 100 at most."),
    ):
        nadia.does("/applications/new", **fields)
        assert nadia.status == 422
        assert words in nadia.text, words
        assert nadia.page.title.startswith("Error: ")
    nadia.does("/applications/new", name="", redirect_uris="http://app.example/cb")
    for words in ("1 to 100 printable characters", "1 of 1 can’t be registered"):
        assert words in nadia.text  # all at once


# Looking


def test_the_list_tells_own_applications_from_the_operator_s(harbor: Harbor) -> None:
    """The names and addresses of other organizations are nowhere."""
    other = pier(harbor)
    with harbor.services.database.writing() as tx:
        both, away = (
            harbor.services.applications.create(
                tx,
                OPERATOR,
                environment=Environment.SANDBOX,
                name=name,
                redirect_uris=["https://pier.example/back"],
                organizations=organizations,
            )[0]
            for name, organizations in (
                ("For both", [harbor.organization, other]),
                ("Away", [other]),
            )
        )
    nadia = harbor.administrator()
    registers(nadia)
    mine = newest(harbor)
    nadia.at("/applications")
    main = nadia.text.partition("Run by the operator")
    assert "Wiki" in main[0]
    assert "Harbor Notes" in main[2]  # it serves all
    assert "For both" in main[2]
    assert "Away" not in nadia.text
    assert "pier" not in " ".join([nadia.text, *nadia.page.links]).lower()
    nadia.at(f"/applications/{both.id}")
    assert nadia.status == 200
    assert "Only the operator changes it" in nadia.text
    assert "pier" not in " ".join([nadia.text, *nadia.page.links]).lower()
    assert nadia.at(f"/applications/{away.id}").status == 404
    assert nadia.at(f"/applications/{mine.id}").status == 200


def test_an_empty_list_says_what_to_do(harbor: Harbor) -> None:
    assert "No application of your own yet" in harbor.administrator().at("/applications").text


def test_a_long_list_comes_in_pages(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    for number in range(51):
        harbor.clock.advance(1)
        harbor.registers(f"App {number}", only=True)
    nadia.at("/applications")
    assert "1 to 50 of 51" in nadia.text
    assert "App 50 " in nadia.text
    assert "App 0 " not in nadia.text
    nadia.at("/applications?page=2")
    assert "51 to 51 of 51" in nadia.text
    assert "App 0 " in nadia.text
    for odd in ("0", "-1", "x", "9" * 30, "\u0661"):
        assert nadia.at(f"/applications?page={odd}").status == 200
    assert "Nothing on this page" in nadia.at("/applications?page=9999").text


def test_the_page_has_the_exact_values_for_the_other_side(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    registers(nadia, redirect_uris="https://app.example/it's$(x)")
    made = newest(harbor)
    nadia.at(f"/applications/{made.id}")
    for value in (
        made.client_id,
        "http://localhost",
        "harbor",
        "sandbox",
        "http://localhost/.well-known/jwks.json",
        "http://localhost/api/v2/org/harbor/gateway-sessions",
        "https://app.example/it's$(x)",
    ):
        assert value in nadia.text
    copied = [found["data-copy"] for tag, found in nadia.page.tags if "data-copy" in found]
    ids = [found["id"] for _, found in nadia.page.tags if "id" in found]
    assert len(copied) >= 10
    assert set(copied) <= set(ids)
    assert len(set(ids)) == len(ids)


def test_the_ready_command_is_one_that_opens_a_session(harbor: Harbor) -> None:
    """A shell reads it as it is meant, whatever the address holds."""
    nadia = harbor.administrator()
    secret = registers(
        nadia, redirect_uris="https://app.example/it's$(touch x)&`id`".replace("`", "")
    )
    assert secret == ""  # a space is refused
    secret = registers(nadia, redirect_uris="https://app.example/it's$(id);x='y'&z")
    made = newest(harbor)
    nadia.at(f"/applications/{made.id}")
    words = shlex.split(_code(nadia, "open-session"))
    assert words[:2] == ["curl", "-s"]
    body = json.loads(words[words.index("-d") + 1])
    assert body["redirect_uri"] == made.redirect_uris[0]
    user, _, variable = words[words.index("-u") + 1].partition(":")
    assert (user, variable) == (made.client_id, "$CLIENT_SECRET")
    assert words[2] == "http://localhost/api/v2/org/harbor/gateway-sessions"
    asked = holder(harbor, made, secret).asks(harbor.ada, state=body["state"], nonce=body["nonce"])
    assert asked.status == 201


def test_the_ready_check_takes_a_real_result_and_refuses_others(
    harbor: Harbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is run as it stands on the page."""
    nadia = harbor.administrator()
    secret = registers(nadia)
    made = newest(harbor)
    nadia.at(f"/applications/{made.id}")
    keys = json.dumps(harbor.wire.request("GET", "/.well-known/jwks.json").json)
    code = _code(nadia, "check-result")
    copied: dict[str, Any] = {}
    exec(compile(code, "copied", "exec"), copied)  # noqa: S102
    asked: list[str] = []

    class Answer:
        def __init__(self, address: str) -> None:
            asked.append(address)

        def __enter__(self) -> Answer:
            return self

        def __exit__(self, *_: object) -> None: ...

        def read(self, *_: int) -> str:
            return keys

    monkeypatch.setattr(copied["urllib"].request, "urlopen", Answer)
    monkeypatch.setattr(copied["time"], "time", lambda: harbor.clock.now().timestamp())
    notes, browser = holder(harbor, made, secret), harbor.browser()
    browser.goes_to(notes.opens(harbor.ada, nonce="n-1")["url"])
    browser.types(harbor.code(browser.sets_up()))
    browser.saves_codes()
    result = browser.back["result"]
    assert copied["check_result"](result, "n-1", harbor.ada)["sub"] == harbor.ada
    assert asked == ["http://localhost/.well-known/jwks.json"]
    with pytest.raises(ValueError, match="nonce"):
        copied["check_result"](result, "n-2", harbor.ada)
    harbor.clock.advance(300)
    with pytest.raises(ValueError, match="too old"):
        copied["check_result"](result, "n-1", harbor.ada)


def _code(nadia: Administrator, name: str) -> str:
    """Return what the copy button takes along."""
    found = re.search(rf'<pre[^>]* id="{name}"[^>]*>(.*?)</pre>', nadia.browser.reply.text, re.S)
    assert found, name
    return html.unescape(found[1])


@ONE_DATABASE
def test_a_payload_in_a_name_does_nothing(harbor: Harbor) -> None:
    """F67: on every page that shows it, the questions and notices too."""
    nadia = harbor.administrator()
    registers(nadia, name=PAYLOAD)
    made = newest(harbor)
    assert made.name == PAYLOAD
    here = f"/applications/{made.id}"
    pages = [
        "/applications",
        here,
        *(f"{here}/{page}" for page in ("edit", "secret", "delete", "try")),
    ]
    for path in pages:
        shown = nadia.at(path).text
        assert nadia.status == 200, path
        assert "<img" not in shown, path
        assert "{{7*7}}" in nadia.text or path.endswith("try"), path
    nadia.does(f"{here}/edit", name=PAYLOAD, redirect_uris=URI)
    assert "Saved." in nadia.text
    assert "<img" not in nadia.browser.reply.text
    nadia.does(f"{here}/delete")
    assert "was deleted" in nadia.text
    assert "<img" not in nadia.browser.reply.text


# Changing


def test_name_and_addresses_are_changed_and_it_is_recorded(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    secret = registers(nadia)
    made = newest(harbor)
    nadia.at(f"/applications/{made.id}/edit")
    assert nadia.page.area.strip() == URI
    nadia.does(f"/applications/{made.id}/edit", name=" Wiki  2 ", redirect_uris=GOOD_URIS[1])
    assert nadia.browser.path.endswith(f"/applications/{made.id}")
    assert "Saved." in nadia.text
    changed = newest(harbor)
    assert (changed.name, changed.redirect_uris) == ("Wiki 2", [GOOD_URIS[1]])
    assert [one.domain for one in changed.organizations] == ["harbor"]
    assert holder(harbor, made, secret).asks(harbor.ada).error == "redirect_uri_not_registered"
    assert holder(harbor, changed, secret).asks(harbor.ada).status == 201
    [event] = told(harbor, "application:updated")
    assert (event.organization_id, event.application_id) == (harbor.organization.id, made.id)
    assert event.detail["changed"] == "name redirect_uris"


def test_methods_that_it_takes_are_ticked(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    registers(nadia, methods=["email", "sms"])
    made = newest(harbor)
    path = f"/applications/{made.id}"
    assert "Text message, Email" in nadia.at(path).page.text
    ticked = re.findall(r'value="(\w+)" checked', nadia.at(f"{path}/edit").text)
    assert ticked == ["sms", "email"]
    nadia.does(f"{path}/edit", name="Wiki", redirect_uris=URI, methods=["app", "fax"])
    assert nadia.status == 422
    assert newest(harbor).methods == ["sms", "email"]
    nadia.does(f"{path}/edit", name="Wiki", redirect_uris=URI)
    assert "All that are switched on" in nadia.text
    assert newest(harbor).methods == []


def test_it_is_told_whether_the_application_checks_a_first_factor(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    registers(nadia)
    made = newest(harbor)
    assert "Not vouched for" in nadia.at(f"/applications/{made.id}").page.text
    nadia.at(f"/applications/{made.id}/edit")
    path = f"/applications/{made.id}/edit"
    nadia.does(path, name="Wiki", redirect_uris=URI, vouches_for_first_factor="y")
    assert "Checked by the application: results say mfa" in nadia.text
    assert newest(harbor).vouches_for_first_factor
    [event] = told(harbor, "application:updated")
    assert "vouches_for_first_factor" in event.detail["changed"]
    nadia.at(f"/applications/{made.id}/edit")
    assert nadia.browser.page.forms[-1]["fields"]["vouches_for_first_factor"] == "y"
    nadia.does(f"/applications/{made.id}/edit", name="Wiki", redirect_uris=URI)
    assert not newest(harbor).vouches_for_first_factor


@pytest.mark.parametrize(
    ("overlap", "seconds"), [("0", 0), ("3600", 3600), ("86400", 86400), ("604800", 604800)]
)
def test_a_secret_is_replaced_with_the_chosen_overlap(
    harbor: Harbor, overlap: str, seconds: int
) -> None:
    nadia = harbor.administrator()
    old = registers(nadia)
    made = newest(harbor)
    new = replaces(nadia, f"/applications/{made.id}", overlap)
    assert new
    assert new != old
    old_one, new_one = holder(harbor, made, old), holder(harbor, made, new)
    assert new_one.asks(harbor.ada).status == 201
    assert old_one.asks(harbor.ada).status == (201 if seconds else 401)
    shown = nadia.at(f"/applications/{made.id}").text
    assert ("Two secrets work." in shown) is bool(seconds)
    harbor.clock.advance(seconds)
    assert old_one.asks(harbor.ada).status == 401
    assert new_one.asks(harbor.ada).status == 201
    [event] = told(harbor, "application:secret_replaced")
    assert (event.organization_id, event.application_id) == (harbor.organization.id, made.id)
    assert new not in repr(event.detail)


def replaces(nadia: Administrator, place: str, overlap: str) -> str:
    nadia.at(f"{place}/secret")
    fields = nadia.page.forms[-1]["fields"]
    nadia.does(f"{place}/secret", overlap=overlap, instead_of=fields["instead_of"])
    found = SECRET.search(nadia.browser.reply.text)
    return keep_secret(found[0]) if found else ""


def test_a_form_that_is_sent_twice_replaces_once(harbor: Harbor) -> None:
    """Reloading the page with the new secret must not kill it."""
    nadia = harbor.administrator()
    registers(nadia)
    made = newest(harbor)
    nadia.at(f"/applications/{made.id}/secret")
    mark = nadia.page.forms[-1]["fields"]["instead_of"]
    nadia.does(f"/applications/{made.id}/secret", overlap="0", instead_of=mark)
    secret = keep_secret(SECRET.findall(nadia.browser.reply.text)[0])
    nadia.does(f"/applications/{made.id}/secret", overlap="0", instead_of=mark)
    assert nadia.status == 409
    assert "replaced already" in nadia.text
    assert holder(harbor, made, secret).asks(harbor.ada).status == 201
    assert len(told(harbor, "application:secret_replaced")) == 1


@ONE_DATABASE
@pytest.mark.parametrize("overlap", ["", "1", "-1", "604801", "x"])
def test_no_other_overlap_can_be_sent(harbor: Harbor, overlap: str) -> None:
    nadia = harbor.administrator()
    old = registers(nadia)
    made = newest(harbor)
    nadia.does(f"/applications/{made.id}/secret", overlap=overlap)
    assert nadia.status == 422
    assert holder(harbor, made, old).asks(harbor.ada).status == 201


def test_deleting_asks_once_and_stops_what_it_says(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    secret = registers(nadia)
    made = newest(harbor)
    wiki, browser = holder(harbor, made, secret), harbor.browser()
    browser.goes_to(wiki.opens(harbor.ada)["url"])
    place = f"/applications/{made.id}"
    nadia.at(f"{place}/delete")
    assert "Delete Wiki?" in nadia.text
    assert "One user is on the pages for it now. They can’t finish." in nadia.text
    assert wiki.asks(harbor.ada).status == 201  # asking changes nothing
    nadia.browser.submits(-1)
    assert "Wiki was deleted." in nadia.text
    assert wiki.asks(harbor.ada).status == 401
    assert browser.goes_to(browser.path).status in {403, 404}
    for path in (place, f"{place}/edit", f"{place}/secret", f"{place}/delete", f"{place}/try"):
        assert nadia.at(path).status == 404, path
    [event] = told(harbor, "application:deleted")
    assert (event.organization_id, event.application_id) == (harbor.organization.id, made.id)


# Who may


@ONE_DATABASE
@pytest.mark.parametrize("role", Role)
def test_each_role_does_what_it_may_and_no_more(harbor: Harbor, role: Role) -> None:
    """F82."""
    harbor.registers("Wiki", URI, only=True)
    made = newest(harbor)
    somebody = harbor.administrator(role)
    here = f"/applications/{made.id}"
    looks, changes = (
        200 if action in MAY[role] else 403
        for action in (Action.SEE_SETTINGS, Action.CHANGE_APPLICATIONS)
    )
    for path in ("/applications", here):
        assert somebody.at(path).status == looks, path
        main = somebody.browser.reply.text.partition("<main")[2]
        assert ("/delete" in main) is (changes == 200 and path == here)
        assert ("applications/new" in main) is (changes == 200 and path == "/applications")
    for path in ("/applications/new", f"{here}/edit", f"{here}/secret", f"{here}/delete"):
        assert somebody.at(path).status == changes, path
        if changes == 403:
            assert somebody.does(path, name="X", redirect_uris=URI, overlap="0").status == 403
    assert newest(harbor).deleted_at is None
    assert newest(harbor).name == "Wiki"


@ONE_DATABASE
def test_what_another_organization_runs_is_unknown_here(harbor: Harbor) -> None:
    """F79: told as an id that there isn't, in looking and in changing."""
    harbor.registers("Wiki", URI, only=True)
    theirs = newest(harbor)
    shared = uuid.UUID(harbor.notes.client_id)
    mallory = harbor.administrator(organization=pier(harbor), email="mallory@pier.example")
    mallory.at("/applications/new")
    before = harbor.rows(sa.select(Event.id))
    unknown = uuid.uuid4()
    pages = ("", "/edit", "/secret", "/delete", "/try", "/try/back")
    answers = {}
    for client_id in (theirs.id, unknown):
        for path in pages:
            reply = mallory.at(f"/applications/{client_id}{path}")
            answers[client_id, path] = reply.status, _alike(mallory.text)
            assert reply.status == 404, path
        for path in ("/edit", "/secret", "/delete", "/try"):
            fields = {"name": "X", "redirect_uris": URI, "overlap": "0", "email": "x@x.example"}
            assert mallory.does(f"/applications/{client_id}{path}", **fields).status == 404
    for path in pages:
        assert answers[theirs.id, path] == answers[unknown, path]
    for path in ("/edit", "/secret", "/delete"):  # the operator's may be seen, not changed
        assert mallory.at(f"/applications/{shared}{path}").status == 404
        assert mallory.does(f"/applications/{shared}{path}", name="X").status == 404
    assert harbor.rows(sa.select(Event.id)) == before
    assert newest(harbor).name == "Wiki"


def _alike(text: str) -> str:
    """Leave out what differs from answer to answer."""
    return re.sub(r"[0-9a-f]{8,}", "", text)


@ONE_DATABASE
def test_changing_wants_a_fresh_second_factor_and_a_form_of_ours(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    registers(nadia)
    made = newest(harbor)
    nadia.browser.goes_to(
        f"{nadia.place}/applications/{made.id}/delete", "POST", data={"csrf_token": "forged"}
    )
    assert nadia.status == 400
    harbor.clock.advance(601)
    nadia.at(f"/applications/{made.id}/edit")
    assert nadia.browser.path == "/admin/verify"
    harbor.clock.advance(1200)
    nadia.does(f"/applications/{made.id}/delete")
    assert nadia.browser.path == "/admin/verify"
    assert newest(harbor).deleted_at is None
