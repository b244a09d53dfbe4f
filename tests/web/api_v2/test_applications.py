"""/api/v2/applications: relying parties, made and changed by a backend."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Environment, Event
from tests.actors import Application, Backend, Page, Reply, keep_secret
from tests.conftest import ONE_DATABASE, REDIRECT_URI, Harbor
from tests.web.api_v2.shapes import FORM, JSON, WAYS, is_refused, raw

SECRET = re.compile(r"ghs_[A-Za-z0-9_-]{43}")
URI = "https://wiki.example/back"


def kept(reply: Reply) -> Reply:
    if reply.status in {200, 201} and "client_secret" in reply.json:
        keep_secret(reply.json["client_secret"])
    return reply


def creates(backend: Backend, **fields: Any) -> Reply:
    body = {"name": "Wiki", "redirect_uris": [URI], **fields}
    return kept(backend.calls("POST", "/applications", json=body))


def reads(backend: Backend, client_id: str) -> Reply:
    return backend.calls("GET", f"/applications/{client_id}")


def updates(backend: Backend, client_id: str, **fields: Any) -> Reply:
    return backend.calls("PATCH", f"/applications/{client_id}", json=fields)


def rotates(backend: Backend, client_id: str, **fields: Any) -> Reply:
    return kept(backend.calls("POST", f"/applications/{client_id}/secret", json=fields))


def deletes(backend: Backend, client_id: str) -> Reply:
    return backend.calls("DELETE", f"/applications/{client_id}")


def ids(backend: Backend) -> set[str]:
    listed = backend.calls("GET", "/applications?per_page=100").json
    assert listed["total"] == len(listed["data"])
    return {one["client_id"] for one in listed["data"]}


def holder(
    harbor: Harbor, made: dict[str, Any], organization: str = "harbor", secret: str | None = None
) -> Application:
    """Return the application that holds these credentials."""
    uri = made["redirect_uris"][0]
    return Application(
        harbor.wire,
        made["client_id"],
        secret or made["client_secret"],
        uri,
        organization,
        harbor.base_url,
    )


# Making and reading


def test_a_new_application_s_answer_alone_holds_its_secret(harbor: Harbor) -> None:
    reply = creates(harbor.backend, redirect_uris=[URI, "http://localhost:8001/callback"])
    assert reply.status == 201, reply.text
    assert holder(harbor, reply.json).asks(harbor.ada).status == 201
    made = reply.json
    assert SECRET.fullmatch(made.pop("client_secret"))
    assert made == {
        "__type__": "Application",
        "__environment__": "sandbox",
        "client_id": str(uuid.UUID(made["client_id"])),
        "name": "Wiki",
        "redirect_uris": [URI, "http://localhost:8001/callback"],
        "organizations": None,
        "vouches_for_first_factor": False,
        "methods": [],
        "previous_secret_until": None,
        "created_at": "2026-03-01T12:00:05Z",
        "updated_at": "2026-03-01T12:00:05Z",
    }
    assert reads(harbor.backend, made["client_id"]).json == made
    listed = harbor.backend.calls("GET", "/applications")
    assert made in listed.json["data"]
    assert not SECRET.search(listed.text)
    assert not SECRET.search(harbor.dump())


@ONE_DATABASE
def test_an_application_takes_some_methods_or_all(harbor: Harbor) -> None:
    made = creates(harbor.backend, redirect_uris=[URI], methods=["email", "app", "email"]).json
    assert made["methods"] == ["app", "email"]
    path = f"/applications/{made['client_id']}"
    assert harbor.backend.calls("PATCH", path, json={"name": "Wiki"}).json["methods"] == [
        "app",
        "email",
    ]
    for methods in (["totp"], ["app", ""], "app", [7]):
        odd = harbor.backend.calls("PATCH", path, json={"methods": methods})
        assert (odd.status, odd.error) == (422, "invalid_request"), methods
    assert harbor.backend.calls("PATCH", path, json={"methods": []}).json["methods"] == []
    events = harbor.rows(sa.select(Event).where(Event.kind == "application:updated"))
    assert [row.Event.detail["changed"] for row in events] == ["name", "methods"]


def test_an_application_vouches_for_the_first_factor_if_it_says_so(harbor: Harbor) -> None:
    made = creates(harbor.backend, redirect_uris=[URI], vouches_for_first_factor=True).json
    assert made["vouches_for_first_factor"] is True
    path = f"/applications/{made['client_id']}"
    for answer in (False, True):
        changed = {"vouches_for_first_factor": answer}
        told = harbor.backend.calls("PATCH", path, json=changed)
        assert (told.status, told.json["vouches_for_first_factor"]) == (200, answer)
    renamed = harbor.backend.calls("PATCH", path, json={"name": "Wiki 2"})
    assert renamed.json["vouches_for_first_factor"] is True
    odd = harbor.backend.calls("PATCH", path, json={"vouches_for_first_factor": "perhaps"})
    assert (odd.status, odd.error) == (422, "invalid_request")
    events = harbor.rows(sa.select(Event).where(Event.kind == "application:updated"))
    changes = [row.Event.detail["changed"] for row in events]
    assert changes == ["vouches_for_first_factor", "vouches_for_first_factor", "name"]


@ONE_DATABASE
def test_every_way_of_writing_makes_an_application(harbor: Harbor) -> None:
    for number, way in enumerate(WAYS):
        fields = {"name": f"App {number}", "redirect_uris": [URI]}
        if way.__name__ in {"as_form", "as_multipart"}:
            fields = {"name": f"App {number}", "redirect_uris[]": URI}
        reply = kept(harbor.backend.calls("POST", "/applications", **way(fields)))
        assert reply.status == 201, reply.text
        assert (reply.json["name"], reply.json["redirect_uris"]) == (f"App {number}", [URI])
    form = f"name=B&redirect_uris[]={URI}&redirect_uris[]={URI}/2&organizations[]=harbor"
    made = kept(harbor.backend.calls("POST", "/applications", **raw(form.encode(), FORM))).json
    assert made["redirect_uris"] == [URI, f"{URI}/2"]
    assert made["organizations"] == ["harbor"]


def test_an_application_serves_the_organizations_that_it_names(harbor: Harbor) -> None:
    for name in ("Pier", "Quay"):
        harbor.backend.calls("POST", "/organizations", json={"name": name})
        path = f"/org/{name.lower()}"
        harbor.backend.calls("PUT", f"{path}/totp-connection", json={"active": True})
        harbor.backend.calls("POST", f"{path}/users", json={"email": "x@x.example"})
    made = creates(harbor.backend, organizations=["quay", "pier", "quay"]).json
    assert made["organizations"] == ["pier", "quay"]

    def served() -> list[int]:
        return [
            holder(harbor, made, domain).asks("x@x.example").status for domain in ("pier", "quay")
        ]

    assert served() == [201, 201]
    assert holder(harbor, made).asks(harbor.ada).status == 404
    changed = updates(harbor.backend, made["client_id"], organizations=["pier"])
    assert changed.json["organizations"] == ["pier"]
    assert served() == [201, 404]
    everywhere = updates(harbor.backend, made["client_id"], organizations=None)
    assert everywhere.json["organizations"] is None
    assert served() == [201, 201]
    assert holder(harbor, made).asks(harbor.ada).status == 201


def test_an_application_does_not_come_to_serve_all_because_its_organization_is_deleted(
    harbor: Harbor,
) -> None:
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    made = creates(harbor.backend, organizations=["pier"]).json
    harbor.backend.calls("DELETE", "/organizations/pier")
    assert reads(harbor.backend, made["client_id"]).json["organizations"] == []
    assert updates(harbor.backend, made["client_id"], name="B").json["organizations"] == []
    assert holder(harbor, made).asks(harbor.ada).status == 404


def test_applications_are_listed_newest_first_in_pages(harbor: Harbor) -> None:
    for number in range(3):
        harbor.clock.advance(1)
        creates(harbor.backend, name=f"App {number}")
    first = harbor.backend.calls("GET", "/applications?per_page=3").json
    assert [one["name"] for one in first["data"]] == ["App 2", "App 1", "App 0"]
    assert first["total"] == 4
    assert first["pagination"]["total_pages"] == 2
    second = harbor.backend.calls("GET", "/applications?per_page=3&page=2").json
    assert [one["client_id"] for one in second["data"]] == [harbor.notes.client_id]


ODD_URIS = [
    "",
    "wiki.example",
    "//wiki.example",
    "http://wiki.example",
    "javascript:alert(1)",
    "https://user@wiki.example",
    "https://wiki.example/#x",
    "https://wiki.example\\@other.example",
    "https://*.example",
    "https://wiki.example/a b",
    "https://wiki.example;x",
    "https://wiki.example/é",
    "https://" + "x" * 2000,
]
ODD = [
    (b'{"name": null}', "name"),
    (b'{"name": "  "}', "name"),
    (b'{"name": ""}', "name"),
    (b'{"name": 7}', "name"),
    (b'{"name": "a\\u202eb"}', "name"),
    (b'{"name": "' + b"x" * 101 + b'"}', "name"),
    (b'{"redirect_uris": []}', "redirect_uris"),
    (b'{"redirect_uris": null}', "redirect_uris"),
    (b'{"redirect_uris": "https://wiki.example"}', "redirect_uris"),
    (b'{"redirect_uris": [1]}', "redirect_uris"),
    (b'{"organizations": []}', "organizations"),
    (b'{"organizations": "harbor"}', "organizations"),
    (b'{"organizations": [null]}', "organizations"),
]


@ONE_DATABASE
def test_odd_fields_are_refused_by_name_in_making_and_in_changing(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    path = f"/applications/{harbor.notes.client_id}"
    before = reads(harbor.backend, harbor.notes.client_id).json
    harbor.clock.advance(60)
    for body, field in ODD:
        with subtests.test(repr(body[:60])):
            whole = b'{"redirect_uris": ["https://a.example"], "x": 1, ' + body[1:]
            if field == "redirect_uris":
                whole = b'{"name": "A", ' + body[1:]
            elif field == "organizations":
                whole = b'{"name": "A", "redirect_uris": ["https://a.example"], ' + body[1:]
            reply = harbor.backend.calls("POST", "/applications", **raw(whole, JSON))
            is_refused(reply, 422, "invalid_request", field)
            for method in ("PUT", "PATCH"):
                reply = harbor.backend.calls(method, path, **raw(body, JSON))
                is_refused(reply, 422, "invalid_request", field)
    for uri in ODD_URIS:
        with subtests.test(uri[:40]):
            reply = creates(harbor.backend, redirect_uris=[URI, uri])
            is_refused(reply, 422, "invalid_request", "redirect_uris")
            reply = updates(harbor.backend, harbor.notes.client_id, redirect_uris=[URI, uri])
            is_refused(reply, 422, "invalid_request", "redirect_uris")
    is_refused(creates(harbor.backend, organizations=["harbor", "nowhere"]), 404, "not_found")
    assert ids(harbor.backend) == {harbor.notes.client_id}
    assert reads(harbor.backend, harbor.notes.client_id).json == before
    is_refused(harbor.backend.calls("POST", "/applications", json={}), 422, "invalid_request")


# Changing


def test_an_update_changes_what_is_given(harbor: Harbor) -> None:
    notes, backend = harbor.notes, harbor.backend
    before = reads(backend, notes.client_id).json
    harbor.clock.advance(60)
    renamed = updates(backend, notes.client_id, name="Notes 2").json
    assert renamed == {**before, "name": "Notes 2", "updated_at": "2026-03-01T12:01:05Z"}
    assert notes.asks(harbor.ada).status == 201
    form = raw(f"name=&redirect_uris[]={URI}".encode(), FORM)
    moved = backend.calls("PUT", f"/applications/{notes.client_id}", **form).json
    assert moved == {**renamed, "redirect_uris": [URI]}
    is_refused(notes.asks(harbor.ada), 422, "redirect_uri_not_registered")
    assert notes.asks(harbor.ada, redirect_uri=URI).status == 201


def test_updates_side_by_side_leave_one_whole_application(live_harbor: Harbor) -> None:
    backend, notes = live_harbor.backend, live_harbor.notes
    backend.calls("POST", "/organizations", json={"name": "Pier"})
    changes = [{"organizations": ["harbor", "pier"]}, {"organizations": ["pier"]}, {"name": "B"}]
    for _ in range(4):
        with ThreadPoolExecutor(6) as pool:
            replies = list(
                pool.map(lambda one: updates(backend, notes.client_id, **one), changes * 2)
            )
        assert [reply.status for reply in replies] == [200] * 6
        shown = reads(backend, notes.client_id).json
        assert shown["organizations"] in (["harbor", "pier"], ["pier"])
        assert shown["name"] == "B"
        updates(backend, notes.client_id, organizations=None, name="A")


# Rotating


def test_a_rotated_secret_is_dead_at_once(harbor: Harbor) -> None:
    reply = rotates(harbor.backend, harbor.notes.client_id)
    assert reply.status == 200, reply.text
    is_refused(harbor.notes.asks(harbor.ada), 401, "unauthorized")
    assert (
        holder(harbor, {**reply.json}, secret=reply.json["client_secret"]).asks(harbor.ada).status
        == 201
    )


def test_with_an_overlap_both_secrets_work_until_it_ends(harbor: Harbor) -> None:
    notes = harbor.notes
    reply = rotates(harbor.backend, notes.client_id, overlap_seconds=600)
    assert reply.json["previous_secret_until"] == "2026-03-01T12:10:05Z"
    fresh = holder(harbor, reply.json)
    assert (notes.asks(harbor.ada).status, fresh.asks(harbor.ada).status) == (201, 201)
    harbor.clock.advance(599)
    assert notes.asks(harbor.ada).status == 201
    harbor.clock.advance(1)
    assert (notes.asks(harbor.ada).status, fresh.asks(harbor.ada).status) == (401, 201)
    assert reads(harbor.backend, notes.client_id).json["previous_secret_until"] is None


@ONE_DATABASE
def test_an_overlap_is_at_most_a_week(harbor: Harbor) -> None:
    for value in (-1, 604_801, True, None, "x", "1e3", [1]):
        reply = rotates(harbor.backend, harbor.notes.client_id, overlap_seconds=value)
        is_refused(reply, 422, "invalid_request", "overlap_seconds")
    assert harbor.notes.asks(harbor.ada).status == 201
    assert rotates(harbor.backend, harbor.notes.client_id, overlap_seconds=604_800).status == 200


# Deleting


def test_a_deleted_application_is_answered_once_more_and_then_found_nowhere(
    harbor: Harbor,
) -> None:
    notes, backend = harbor.notes, harbor.backend
    rotated = rotates(backend, notes.client_id, overlap_seconds=600).json
    before = reads(backend, notes.client_id).json
    reply = deletes(backend, notes.client_id)
    assert reply.status == 200, reply.text
    assert reply.json == {"deleted": True, "resource": before}
    assert ids(backend) == set()
    unknown = reads(backend, str(uuid.uuid4()))
    is_refused(unknown, 404, "not_found")
    for act in (reads, updates, rotates, deletes):
        gone = act(backend, notes.client_id)
        assert (gone.status, gone.text) == (404, unknown.text)
    is_refused(notes.asks(harbor.ada), 401, "unauthorized")
    is_refused(holder(harbor, rotated).asks(harbor.ada), 401, "unauthorized")
    asked = {"user_id": harbor.ada, "redirect_uri": REDIRECT_URI, "client_id": notes.client_id}
    reply = backend.calls("POST", "/org/harbor/gateway-sessions", json=asked)
    is_refused(reply, 422, "application_not_found")


def test_with_its_application_a_gateway_session_is_gone_for_everybody(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    opened, unopened = harbor.notes.opens(harbor.ada), harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    assert browser.path.endswith("/verify")
    deletes(harbor.backend, harbor.notes.client_id)
    for page in ("", "verify", "choose"):
        reply = browser.goes_to(browser.address(page))
        unknown = harbor.browser().goes_to(
            f"/gateway/3F5ZqKwR3mSx0a8Yc2VbN1TgLhP/{page}".rstrip("/")
        )
        assert reply.status == unknown.status >= 400
        assert Page(reply.text).heading == Page(unknown.text).heading
        assert "notes" not in reply.text.lower()
    assert browser.sends("verify", code=harbor.code(phone)).status >= 400
    assert harbor.browser().goes_to(unopened["url"]).status >= 400
    path = f"/org/harbor/gateway-sessions/{opened['id']}"
    is_refused(harbor.backend.calls("GET", path), 404, "not_found")
    kinds = [row.kind for row in harbor.rows(sa.select(Event.kind).order_by(Event.id))]
    assert kinds[-1] == "application:deleted"


def test_a_deletion_holds_at_once_in_every_worker(live_harbor: Harbor) -> None:
    """F82."""
    notes, backend = live_harbor.notes, live_harbor.backend
    session = notes.opens(live_harbor.ada)["id"]

    def look(_: int) -> int:
        return notes.looks_at(session).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(look, range(16))) == {200}
        assert deletes(backend, notes.client_id).status == 200
        assert set(pool.map(look, range(16))) == {401}
        assert sorted(pool.map(lambda _: deletes(backend, notes.client_id).status, range(4))) == (
            [404] * 4
        )


# Who may


def test_a_key_of_one_organization_reaches_applications_of_that_one_alone(harbor: Harbor) -> None:
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    mine, backend = harbor.key(only=True), harbor.backend
    own = creates(backend, organizations=["harbor"]).json
    shared = creates(backend, organizations=["harbor", "pier"]).json
    foreign = creates(backend, organizations=["pier"]).json
    assert ids(mine) == {own["client_id"]}
    unknown = reads(mine, str(uuid.uuid4()))
    is_refused(unknown, 404, "not_found")
    for other in (shared["client_id"], foreign["client_id"], harbor.notes.client_id, "x", "%20"):
        for act in (reads, updates, rotates, deletes):
            reply = act(mine, other)
            assert (reply.status, reply.text) == (404, unknown.text)
    assert harbor.notes.asks(harbor.ada).status == 201

    made = creates(mine).json
    assert made["organizations"] == ["harbor"]
    assert creates(mine, organizations=["harbor"]).json["organizations"] == ["harbor"]
    for named in (["pier"], ["harbor", "pier"], ["nowhere"]):
        is_refused(creates(mine, organizations=named), 404, "not_found")
        is_refused(updates(mine, made["client_id"], organizations=named), 404, "not_found")
    assert updates(mine, made["client_id"], organizations=None).json["organizations"] == ["harbor"]
    assert updates(mine, made["client_id"], name="Mine").json["name"] == "Mine"
    assert rotates(mine, made["client_id"]).status == 200
    assert deletes(mine, made["client_id"]).status == 200
    assert len(ids(mine)) == 2


def test_an_application_shared_with_a_deleted_organization_is_not_one_s_own(harbor: Harbor) -> None:
    """The other may be restored, and served again."""
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    shared = creates(harbor.backend, organizations=["harbor", "pier"]).json
    harbor.backend.calls("DELETE", "/organizations/pier")
    assert reads(harbor.backend, shared["client_id"]).json["organizations"] == ["harbor"]
    is_refused(rotates(harbor.key(only=True), shared["client_id"]), 404, "not_found")


def test_an_application_of_the_other_environment_is_unknown(harbor: Harbor) -> None:
    live = harbor.key(Environment.PRODUCTION)
    unknown = reads(live, str(uuid.uuid4()))
    assert ids(live) == set()
    for act in (reads, updates, rotates, deletes):
        reply = act(live, harbor.notes.client_id)
        assert (reply.status, reply.text) == (404, unknown.text)
    is_refused(creates(live, organizations=["harbor"]), 404, "not_found")
    assert creates(live).json["__environment__"] == "production"
    assert ids(harbor.backend) == {harbor.notes.client_id}


def test_what_happens_to_an_application_is_recorded(harbor: Harbor) -> None:
    made = creates(harbor.backend).json
    updates(harbor.backend, made["client_id"], name="B", redirect_uris=[URI])
    updates(harbor.backend, made["client_id"])
    rotates(harbor.backend, made["client_id"])
    deletes(harbor.backend, made["client_id"])
    rows = harbor.rows(sa.select(Event.kind, Event.actor, Event.detail).order_by(Event.id))
    mine = [row for row in rows if row.detail.get("client_id") == made["client_id"]]
    assert [row.kind for row in mine] == [
        "application:created",
        "application:updated",
        "application:secret_replaced",
        "application:deleted",
    ]
    assert mine[1].detail["changed"] == "name redirect_uris"
    assert {row.actor for row in mine} == {f"api_key:{harbor.backend.client_id}"}
