"""/api/v2/organizations: what an account-wide key does with its environment's tenants."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from app.errors import NotFound
from app.models import Environment, Event, Organization
from app.services.audit import OPERATOR
from tests.actors import Page, Reply
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.shapes import FORM, JSON, WAYS, is_refused, raw


def creates(harbor: Harbor, **request: Any) -> Reply:
    return harbor.backend.calls("POST", "/organizations", **request)


def lists(harbor: Harbor, query: str = "") -> Reply:
    return harbor.backend.calls("GET", f"/organizations{query}")


@ONE_DATABASE
def test_every_way_of_writing_creates_an_organization(harbor: Harbor) -> None:
    for number, way in enumerate(WAYS):
        reply = creates(harbor, **way({"name": f'Blockapp "{number}" & O\'Neill'}))
        assert reply.status == 201, reply.text
        assert reply.json["name"] == f'Blockapp "{number}" & O\'Neill'
        assert reply.json["domain"] == f"blockapp-{number}-o-neill"


def test_the_answer_has_the_guide_s_fields(harbor: Harbor) -> None:
    reply = creates(
        harbor, json={"name": "Pier", "email_domains": ["Pier.example"], "locale": "fr-FR"}
    )
    created = reply.json
    assert uuid.UUID(created["id"])
    assert created == {
        "__type__": "Organization",
        "id": created["id"],
        "name": "Pier",
        "domain": "pier",
        "allowed_email_domains": ["pier.example"],
        "environments": [
            {"name": "sandbox", "status": "up"},
            {"name": "production", "status": "down"},
        ],
        "locale": "fr-FR",
        "color": None,
        "icon_logo_url": None,
        "inline_logo_url": None,
        "timezone": None,
        "status": {
            "errors": [],
            "estimated_time_to_complete_in_seconds": 0,
            "progress_in_percentage": 100,
            "state": "terminated",
        },
        "inserted_at": "2026-03-01T12:00:05",
        "updated_at": "2026-03-01T12:00:05",
    }


@ONE_DATABASE
def test_email_domains_have_two_names_and_may_be_several(harbor: Harbor) -> None:
    form = raw(b"name=Pier&email_domains[]=a.example&email_domains[]=b.example", FORM)
    assert creates(harbor, **form).json["allowed_email_domains"] == ["a.example", "b.example"]
    body = {"name": "Quay", "allowed_email_domains": ["@Quay.Example"]}
    assert creates(harbor, json=body).json["allowed_email_domains"] == ["quay.example"]


@ONE_DATABASE
def test_the_form_of_the_kotlin_sdk_creates_an_organization(harbor: Harbor) -> None:
    """It writes the whole object: its type, objects as text, and nothing for an empty list."""
    form = (
        b"&__type__=Organization&name=Blockapp&allowed_email_domains[]=blockapp.example"
        b"&environments[]=%7Bname%3Dsandbox%2C+status%3Dup%7D"
        b"&environments[]=%7Bname%3Dproduction%2C+status%3Ddown%7D"
        b"&domain=other&status[state]=pending&status[progress_in_percentage]=7"
    )
    created = creates(harbor, **raw(form, FORM))
    assert created.status == 201, created.text
    assert created.json["domain"] == "blockapp"
    assert created.json["allowed_email_domains"] == ["blockapp.example"]
    assert created.json["status"]["state"] == "terminated"


SLUGS = [
    ("Crédit Agricole Île-de-France", "credit-agricole-ile-de-france"),
    ("  Two   Spaces  ", "two-spaces"),
    ("ÆØÅ Straße №5 Łódź", "a-strae-no5-odz"),
    ("under_score/and.dot", "under-score-and-dot"),
    ("\uff37\uff29\uff24\uff25", "wide"),
    ("-- 42 --", "42"),
]


@ONE_DATABASE
def test_the_slug_has_no_accents(harbor: Harbor) -> None:
    for name, domain in SLUGS:
        created = creates(harbor, json={"name": name})
        assert created.status == 201, created.text
        assert created.json["domain"] == domain
        assert created.json["name"] == " ".join(name.split())
        assert harbor.backend.calls("GET", f"/org/{domain}/totp-connection").status == 200


@ONE_DATABASE
def test_a_name_of_which_no_slug_can_be_made_is_refused(harbor: Harbor) -> None:
    for name in ("株式会社", "!!!", "—", "🦀"):
        is_refused(creates(harbor, json={"name": name}), 422, "invalid_request", "domain")


def test_names_alike_get_slugs_of_their_own(harbor: Harbor) -> None:
    made = [creates(harbor, json={"name": "Harbor"}).json for _ in range(3)]
    assert [one["domain"] for one in made] == ["harbor-2", "harbor-3", "harbor-4"]
    assert creates(harbor, json={"name": "Harbor 2"}).json["domain"] == "harbor-2-2"
    assert {one["name"] for one in made} == {"Harbor"}


def test_each_environment_has_slugs_of_its_own(harbor: Harbor) -> None:
    live = harbor.key(Environment.PRODUCTION)
    created = live.calls("POST", "/organizations", json={"name": "Harbor"}).json
    assert created["domain"] == "harbor"
    up = [one["name"] for one in created["environments"] if one["status"] == "up"]
    assert up == ["production"]


def test_the_same_name_at_the_same_moment_makes_organizations_side_by_side(
    live_harbor: Harbor,
) -> None:
    backend = live_harbor.backend
    assert backend.token
    with ThreadPoolExecutor(12) as pool:
        replies = list(
            pool.map(
                lambda _: backend.calls("POST", "/organizations", json={"name": "Pier"}), range(12)
            )
        )
    assert [reply.status for reply in replies] == [201] * 12
    domains = {reply.json["domain"] for reply in replies}
    assert domains == {"pier", *(f"pier-{number}" for number in range(2, 13))}


ODD_FIELDS = [
    (JSON, b"{}", 422, "name"),
    (JSON, b'{"name": null}', 422, "name"),
    (JSON, b'{"name": ""}', 422, "name"),
    (JSON, b'{"name": "   "}', 422, "name"),
    (JSON, b'{"name": []}', 422, "name"),
    (JSON, b'{"name": ["a"]}', 422, "name"),
    (JSON, b'{"name": {"$ne": 1}}', 422, "name"),
    (JSON, b'{"name": true}', 422, "name"),
    (JSON, b'{"name": 123456}', 422, "name"),
    (JSON, b'{"name": 1e5}', 422, "name"),
    (JSON, b'{"name": "a\\u0007b"}', 422, "name"),
    (JSON, b'{"name": "a\\u202eb"}', 422, "name"),
    (JSON, b'{"name": "' + b"x" * 101 + b'"}', 422, "name"),
    (JSON, b'{"name": "' + b"x" * 10_000 + b'"}', 422, "name"),
    (JSON, b'{"name": "a", "name": "b"}', 400, "name"),
    (FORM, b"name=a&name=b", 400, "name"),
    (FORM, b"name[]=a", 422, "name"),
    (FORM, b"name[x]=a", 422, "name"),
    (JSON, b'{"name": "Pier", "email_domains": "a.example"}', 422, "email_domains"),
    (JSON, b'{"name": "Pier", "email_domains": [1]}', 422, "email_domains"),
    (JSON, b'{"name": "Pier", "email_domains": [["a.example"]]}', 422, "email_domains"),
    (JSON, b'{"name": "Pier", "email_domains": ["no domain"]}', 422, "email_domains"),
    (JSON, b'{"name": "Pier", "email_domains": [""]}', 422, "email_domains"),
    (JSON, b'{"name": "Pier", "email_domains": ["-a.example"]}', 422, "email_domains"),
    (JSON, b'{"name": "Pier", "email_domains": null}', 422, "email_domains"),
    (
        JSON,
        b'{"name": "Pier", "email_domains": [' + b",".join([b'"a.example"'] * 101) + b"]}",
        422,
        "email_domains",
    ),
    (JSON, b'{"name": "Pier", "locale": 7}', 422, "locale"),
    (JSON, b'{"name": "Pier", "locale": "' + b"x" * 36 + b'"}', 422, "locale"),
]


@ONE_DATABASE
def test_odd_fields_are_refused_by_name_and_create_nothing(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    for content_type, body, status, field in ODD_FIELDS:
        with subtests.test(repr(body[:80])):
            reply = creates(harbor, **raw(body, content_type))
            is_refused(reply, status, "invalid_request", field)
            assert len(reply.text) < 1000
    assert lists(harbor).json["total"] == 1


# Listing


def test_the_list_is_newest_first_in_pages(harbor: Harbor) -> None:
    for number in range(2, 13):
        harbor.clock.advance(1)
        creates(harbor, json={"name": f"Org {number}"})
    first = lists(harbor).json
    assert first["__type__"] == "List"
    assert first["total"] == 12
    assert [one["name"] for one in first["data"]] == [f"Org {n}" for n in range(12, 2, -1)]
    assert first["pagination"] == {
        "current_page": 1,
        "current_pages": [1, 2],
        "next_page": 2,
        "prev_page": None,
        "per_page": 10,
        "total_pages": 2,
    }
    second = lists(harbor, "?page=2").json
    assert [one["name"] for one in second["data"]] == ["Org 2", "Harbor"]
    assert second["pagination"]["prev_page"] == 1
    assert second["pagination"]["next_page"] is None
    fives = lists(harbor, "?page=3&per_page=5").json
    assert len(fives["data"]) == 2
    assert fives["pagination"]["total_pages"] == 3
    beyond = lists(harbor, "?page=99").json
    assert beyond["data"] == []
    assert beyond["total"] == 12


@ONE_DATABASE
def test_an_odd_page_is_refused_by_name(harbor: Harbor, subtests: pytest.Subtests) -> None:
    odd = [
        "0",
        "-1",
        "1.5",
        "",
        "x",
        "%20",
        "1e3",
        "²",
        "\uff11",
        "0x1",
        "%00",
        "1000001",
        "9" * 5000,
    ]
    odd += ["00000000001" + "9" * 30, "00000000001" + "9" * 5000, "0" * 5000 + "1", "1" + "0" * 12]
    for name in ("page", "per_page"):
        for value in odd:
            with subtests.test(f"{name}={value[:30]}"):
                is_refused(lists(harbor, f"?{name}={value}"), 422, "invalid_request", name)
    for value in ("101", "000000000000101"):
        is_refused(lists(harbor, f"?per_page={value}"), 422, "invalid_request", "per_page")


def test_a_listing_shows_nothing_of_the_other_environment(harbor: Harbor) -> None:
    live = harbor.key(Environment.PRODUCTION)
    live.calls("POST", "/organizations", json={"name": "Live"})
    assert [one["name"] for one in lists(harbor).json["data"]] == ["Harbor"]
    listed = live.calls("GET", "/organizations").json
    assert [one["name"] for one in listed["data"]] == ["Live"]
    assert listed["total"] == 1


@ONE_DATABASE
def test_the_list_can_be_narrowed_to_a_status(harbor: Harbor, subtests: pytest.Subtests) -> None:
    creates(harbor, json={"name": "Pier"})
    name = "q[environments_status_in][]"
    for query, total in (
        (f"{name}=up", 2),
        (f"{name}=down", 0),
        (f"{name}=up&{name}=down", 2),
        (f"{name}=down&{name}=up", 2),
        (f"{quote(name)}=down", 0),
        ("q[name]=Harbor", 2),
    ):
        with subtests.test(query):
            listed = lists(harbor, f"?{query}").json
            assert listed["total"] == len(listed["data"]) == total
    for value in ("", "UP", "sideways", "%00"):
        reply = lists(harbor, f"?{name}={value}")
        is_refused(reply, 422, "invalid_request", "environments_status_in")


# Reading and changing one


def reads(harbor: Harbor, domain: str) -> Reply:
    return harbor.backend.calls("GET", f"/organizations/{domain}")


def updates(harbor: Harbor, domain: str, method: str = "PUT", **request: Any) -> Reply:
    return harbor.backend.calls(method, f"/organizations/{domain}", **request)


def deletes(harbor: Harbor, domain: str = "harbor") -> Reply:
    return harbor.backend.calls("DELETE", f"/organizations/{domain}")


def test_an_organization_is_read_by_its_slug(harbor: Harbor) -> None:
    created = creates(harbor, json={"name": "Pier", "email_domains": ["pier.example"]}).json
    assert reads(harbor, "pier").json == created
    for unknown in ("nowhere", "PIER", created["id"], "%20", "pier%00", "*"):
        is_refused(reads(harbor, unknown), 404, "not_found")


def test_an_update_changes_what_is_given_but_never_the_slug(harbor: Harbor) -> None:
    before = creates(
        harbor, json={"name": "Pier", "email_domains": ["pier.example"], "locale": "fr"}
    ).json
    harbor.clock.advance(60)
    renamed = updates(harbor, "pier", json={"name": " Long  Pier ", "domain": "long-pier"})
    assert renamed.status == 200, renamed.text
    assert renamed.json == {**before, "name": "Long Pier", "updated_at": "2026-03-01T12:01:05"}
    assert reads(harbor, "pier").json == renamed.json
    assert reads(harbor, "long-pier").status == 404
    for method, fields, domains in (
        ("PUT", {"email_domains": ["a.example", "A.example"]}, ["a.example"]),
        ("PATCH", {"allowed_email_domains": ["b.example"]}, ["b.example"]),
        ("PATCH", {"email_domains": []}, []),
    ):
        changed = updates(harbor, "pier", method, json=fields).json
        assert changed["allowed_email_domains"] == domains
        assert (changed["name"], changed["locale"]) == ("Long Pier", "fr")
    for nothing in (None, ""):
        updates(harbor, "pier", json={"locale": "de"})
        assert updates(harbor, "pier", json={"locale": nothing}).json["locale"] is None


@ONE_DATABASE
def test_every_way_of_writing_updates_an_organization(harbor: Harbor) -> None:
    for number, way in enumerate(WAYS):
        for method in ("PUT", "PATCH"):
            name = f"{method} {number}"
            assert updates(harbor, "harbor", method, **way({"name": name})).json["name"] == name
    form = raw(b"name=&locale=&allowed_email_domains[]=x.example", FORM)
    changed = updates(harbor, "harbor", **form).json
    assert changed["name"] == name
    assert changed["allowed_email_domains"] == ["x.example"]


@ONE_DATABASE
def test_odd_changes_are_refused_by_name_and_change_nothing(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    before = reads(harbor, "harbor").json
    harbor.clock.advance(60)
    for content_type, body, status, field in ODD_FIELDS:
        if body == b"{}":
            continue
        with subtests.test(repr(body[:80])):
            reply = updates(harbor, "harbor", **raw(body, content_type))
            is_refused(reply, status, "invalid_request", field)
    for empty in ({}, {"unknown": 1}):
        assert updates(harbor, "harbor", json=empty).json == before
    assert reads(harbor, "harbor").json == before


def test_updates_side_by_side_do_not_undo_each_other(live_harbor: Harbor) -> None:
    assert live_harbor.backend.token
    for number in range(6):
        changes: list[dict[str, Any]] = [
            {"name": f"Harbor {number}"},
            {"locale": f"x{number}"},
            {"email_domains": [f"h{number}.example"]},
        ]
        with ThreadPoolExecutor(3) as pool:
            replies = list(pool.map(lambda one: updates(live_harbor, "harbor", json=one), changes))
        assert [reply.status for reply in replies] == [200] * 3
        shown = reads(live_harbor, "harbor").json
        assert shown["name"] == f"Harbor {number}"
        assert shown["locale"] == f"x{number}"
        assert shown["allowed_email_domains"] == [f"h{number}.example"]


# Deleting


def test_a_deleted_organization_is_answered_once_more_and_then_found_nowhere(
    harbor: Harbor,
) -> None:
    creates(harbor, json={"name": "Pier"})
    before = reads(harbor, "pier").json
    reply = deletes(harbor, "pier")
    assert reply.status == 200, reply.text
    assert reply.json == {"deleted": True, "resource": before}
    assert [one["domain"] for one in lists(harbor).json["data"]] == ["harbor"]
    assert lists(harbor).json["total"] == 1
    unknown = harbor.backend.calls("GET", "/organizations/nowhere").text
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        gone = harbor.backend.calls(method, "/organizations/pier")
        assert (gone.status, gone.text) == (404, unknown)
    for path in ("/org/pier/totp-connection", "/org/pier/users/x@pier.example"):
        is_refused(harbor.backend.calls("GET", path), 404, "not_found")
    is_refused(
        harbor.backend.calls("POST", "/org/pier/users", json={"email": "x@pier.example"}),
        404,
        "not_found",
    )
    named = {"name": "Key", "organization": "pier"}
    is_refused(harbor.backend.calls("POST", "/api-keys", json=named), 404, "not_found")


def test_the_slug_of_a_deleted_organization_stays_its_own(harbor: Harbor) -> None:
    deletes(harbor)
    assert creates(harbor, json={"name": "Harbor"}).json["domain"] == "harbor-2"


def test_with_its_organization_a_gateway_session_is_gone_for_everybody(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    opened = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    unopened = harbor.notes.opens(harbor.ada)
    done = harbor.visits(harbor.ada)
    done.types(harbor.code(phone))
    result, session = done.back["result"], done.back["session_id"]
    harbor.clock.advance(30)
    deletes(harbor)

    def unknown(page: str) -> tuple[int, str]:
        reply = harbor.browser().goes_to(f"/gateway/3F5ZqKwR3mSx0a8Yc2VbN1TgLhP{page}")
        return reply.status, heading(reply)

    def heading(reply: Reply) -> str:
        return Page(reply.text).heading

    for page in ("", "/verify", "/choose", "/recover"):
        reply = browser.goes_to(browser.address(page.strip("/")))
        assert (reply.status, heading(reply)) == unknown(page), page
        assert "harbor" not in reply.text.lower()
    reply = browser.sends("verify", code=harbor.code(phone))
    assert reply.status >= 400
    entered = harbor.browser().goes_to(unopened["url"])
    assert (entered.status, heading(entered)) == unknown("?token=x")
    for path in (f"/{opened['id']}", f"/{session}"):
        is_refused(harbor.notes.looks_at(path.strip("/")), 404, "not_found")
    is_refused(harbor.notes.redeems(session, result), 404, "not_found")
    is_refused(harbor.notes.asks(harbor.ada), 404, "not_found")
    kinds = [row.kind for row in harbor.rows(sa.select(Event.kind).order_by(Event.id))]
    assert kinds[-1] == "organization:deleted"


def test_an_operator_restores_a_deleted_organization_as_it_was(harbor: Harbor) -> None:
    phone, narrow = harbor.enrolls(), harbor.key(only=True)
    before = reads(harbor, "harbor").json
    deletes(harbor)
    assert narrow.asks_token().status == 401
    with harbor.services.database.writing() as tx:
        harbor.services.organizations.restore(tx, OPERATOR, Environment.SANDBOX, "harbor")
    assert reads(harbor, "harbor").json == before
    assert narrow.calls("GET", f"/org/harbor/users/{harbor.ada}").status == 200
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone))
    assert "result" in browser.back
    with harbor.services.database.writing() as tx, pytest.raises(NotFound):
        harbor.services.organizations.restore(tx, OPERATOR, Environment.SANDBOX, "harbor")


def test_a_deletion_holds_at_once_in_every_worker(live_harbor: Harbor) -> None:
    """F82: for keys of the organization, for others, and in open visits."""
    narrow, backend = live_harbor.key(only=True), live_harbor.backend
    browser = live_harbor.visits(live_harbor.ada)
    assert browser.path.endswith("/set-up")

    def look(_: int) -> tuple[int, int, int]:
        path = f"/org/harbor/users/{live_harbor.ada}"
        page = live_harbor.wire.request("GET", browser.path, cookies=dict(browser.cookies))
        return backend.calls("GET", path).status, narrow.calls("GET", path).status, page.status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(16))) == {(200, 200, 200)}
        assert deletes(live_harbor).status == 200
        seen = set(pool.map(look, range(16)))
    assert len(seen) == 1
    assert {one[:2] for one in seen} == {(404, 401)}
    assert all(one[2] >= 400 for one in seen)


def test_of_many_deletions_at_once_one_deletes(live_harbor: Harbor) -> None:
    assert live_harbor.backend.token
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: deletes(live_harbor).status, range(8)))
    assert sorted(statuses) == [200] + [404] * 7


# Who may


@ONE_DATABASE
def test_a_key_of_one_organization_is_refused_on_every_call(harbor: Harbor) -> None:
    mine = harbor.key(only=True)
    calls = [("POST", ""), ("GET", "")]
    calls += [(method, "/harbor") for method in ("GET", "PUT", "PATCH", "DELETE")]
    calls += [(method, "/nowhere") for method in ("GET", "PUT", "PATCH", "DELETE")]
    for method, path in calls:
        reply = mine.calls(method, f"/organizations{path}", json={"name": "Mine"})
        is_refused(reply, 403, "forbidden")
    assert reads(harbor, "harbor").json["name"] == "Harbor"


def test_an_organization_of_the_other_environment_is_unknown(harbor: Harbor) -> None:
    live = harbor.key(Environment.PRODUCTION)
    live.calls("POST", "/organizations", json={"name": "Pier"})
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        replies = [
            harbor.backend.calls(method, f"/organizations/{domain}", json={"name": "Mine"})
            for domain in ("pier", "nowhere")
        ]
        is_refused(replies[0], 404, "not_found")
        assert replies[0].text == replies[1].text
    assert live.calls("GET", "/organizations/pier").json["name"] == "Pier"


def test_what_happens_to_an_organization_is_recorded(harbor: Harbor) -> None:
    updates(harbor, "harbor", json={"name": "Haven", "locale": "fr"})
    deletes(harbor)
    found = harbor.rows(
        sa.select(Event.kind, Event.actor, Event.detail)
        .where(Event.organization_id == harbor.organization.id, Event.kind.like("organization:%"))
        .order_by(Event.id)
    )
    actor = f"api_key:{harbor.backend.client_id}"
    assert [tuple(row) for row in found[1:]] == [
        ("organization:updated", actor, {"changed": "name locale"}),
        ("organization:deleted", actor, {}),
    ]


def test_creating_an_organization_is_recorded(harbor: Harbor) -> None:
    created = creates(harbor, json={"name": "Pier"}).json
    found = harbor.rows(
        sa.select(Event.actor, Organization.domain)
        .join(Organization, Organization.id == Event.organization_id)
        .where(Event.kind == "organization:created", Organization.id == uuid.UUID(created["id"]))
    )
    assert found == [(f"api_key:{harbor.backend.client_id}", "pier")]
