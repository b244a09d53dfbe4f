"""/api/v2/organizations: an account-wide key creates and lists its environment's tenants."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Environment, Event, Organization
from tests.actors import Reply
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
        "inserted_at": "2026-03-01T12:00:05",
        "updated_at": "2026-03-01T12:00:05",
    }


@ONE_DATABASE
def test_email_domains_have_two_names_and_may_be_several(harbor: Harbor) -> None:
    form = raw(b"name=Pier&email_domains[]=a.example&email_domains[]=b.example", FORM)
    assert creates(harbor, **form).json["allowed_email_domains"] == ["a.example", "b.example"]
    body = {"name": "Quay", "allowed_email_domains": ["@Quay.Example"]}
    assert creates(harbor, json=body).json["allowed_email_domains"] == ["quay.example"]


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


def test_creating_an_organization_is_recorded(harbor: Harbor) -> None:
    created = creates(harbor, json={"name": "Pier"}).json
    found = harbor.rows(
        sa.select(Event.actor, Organization.domain)
        .join(Organization, Organization.id == Event.organization_id)
        .where(Event.kind == "organization:created", Organization.id == uuid.UUID(created["id"]))
    )
    assert found == [(f"api_key:{harbor.backend.client_id}", "pier")]
