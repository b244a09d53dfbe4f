"""Keys of API v1: what they look like, who makes them, what they open and on whose behalf."""

from __future__ import annotations

import re
import uuid

import pytest
import sqlalchemy as sa

from app.models import Api, ApiKey, Application, Environment, PolicyMode
from app.services.api_keys import Permission
from app.services.audit import OPERATOR
from app.services.policies import Rule
from tests.actors import Backend, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v1.backend import EMAIL, Devrift

SECRET = re.compile(r"sk_(test|live)_[A-Za-z0-9_-]{43}")


@pytest.fixture
def backend(harbor: Harbor) -> Devrift:
    return Devrift(harbor)


def hello(harbor: Harbor, authorization: str | None, method: str = "GET") -> tuple[int, str]:
    headers = {} if authorization is None else {"Authorization": authorization}
    reply = harbor.wire.request(method, "/v1/hello", headers=headers)
    return reply.status, reply.json.get("message") or reply.error


def says_hello(harbor: Harbor, secret: str) -> bool:
    return hello(harbor, f"Bearer {secret}") == (200, "Hello!")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_hello_says_what_a_key_opens(harbor: Harbor, backend: Devrift, method: str) -> None:
    reply = harbor.wire.request(method, "/v1/hello", headers=backend.headers)
    assert reply.status == 200
    assert reply.json == {
        "message": "Hello!",
        "organization": "harbor",
        "environment": "sandbox",
        "version": "2023-01-01",
    }
    assert "ratelimit-remaining" in reply.headers


@ONE_DATABASE
def test_nothing_else_opens_api_v1(harbor: Harbor, backend: Devrift) -> None:
    """F26: no side door."""
    other = harbor.backend
    wrong = [
        None,
        "",
        "Bearer ",
        "Bearer sk_test_nonsense",
        f"Bearer {backend.secret}x",
        f"Bearer {backend.secret[:-1]}",
        f"Basic {backend.secret}",
        backend.secret,
        f"Bearer {other.token}",
        f"Bearer {other.client_secret}",
        f"Bearer {harbor.notes.client_secret}",
        f"Bearer {backend.key.id}",
        "Bearer " + "x" * 5000,
    ]
    for authorization in wrong:
        for path, method in (("/v1/hello", "GET"), ("/v1/mfa", "POST"), ("/v1/mfa/verify", "POST")):
            headers = {} if authorization is None else {"Authorization": authorization}
            reply = harbor.wire.request(method, path, headers=headers)
            assert (reply.status, reply.error) == (401, "invalid_api_key"), authorization
            assert "www-authenticate" in reply.headers
    assert hello(harbor, f"Bearer {backend.secret}", "POST") == (200, "Hello!")
    # The guide's own braces around the placeholder do no harm.
    assert hello(harbor, f"Bearer {{{backend.secret}}}") == (200, "Hello!")


def test_a_key_of_api_v1_opens_nothing_of_api_v2(harbor: Harbor, backend: Devrift) -> None:
    one = Backend(harbor.wire, str(backend.key.id), backend.secret)
    assert one.asks_token().status == 401
    reply = harbor.wire.request("GET", "/api/v2/org/harbor/users", headers=backend.headers)
    assert reply.status == 401


def test_the_prefix_names_the_environment(harbor: Harbor, backend: Devrift) -> None:
    assert SECRET.fullmatch(backend.secret)
    assert backend.secret.startswith("sk_test_")
    with harbor.services.database.writing() as tx:
        live = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Harbor"
        )
        _, secret = harbor.services.api_keys.create(
            tx,
            OPERATOR,
            environment=Environment.PRODUCTION,
            name="Live",
            organization=live,
            api=Api.V1,
        )
    keep_secret(secret)
    assert secret.startswith("sk_live_")
    reply = harbor.wire.request("GET", "/v1/hello", headers={"Authorization": f"Bearer {secret}"})
    assert reply.json["environment"] == "production"
    # Nobody carries anything there yet.
    asked = harbor.wire.request(
        "POST",
        "/v1/mfa",
        headers={"Authorization": f"Bearer {secret}"},
        json={"User": EMAIL, "Type": "EMAIL"},
    )
    assert (asked.status, asked.error) == (403, "method_disabled")


def test_keys_are_made_listed_replaced_and_blocked_by_rest(harbor: Harbor) -> None:
    made = harbor.backend.calls(
        "POST", "/api-keys", json={"name": "v1", "organization": "harbor", "api": "v1"}
    )
    assert made.status == 201, made.text
    first, client_id = keep_secret(made.json["client_secret"]), made.json["client_id"]
    assert (made.json["api"], made.json["application"]) == ("v1", None)
    assert says_hello(harbor, first)
    listed = harbor.backend.calls("GET", "/api-keys").json["data"]
    assert {"v1", "v2"} == {one["api"] for one in listed}
    path = f"/api-keys/{client_id}"
    replaced = harbor.backend.calls("POST", f"{path}/replacement", json={"overlap_seconds": 60})
    second = keep_secret(replaced.json["client_secret"])
    assert second.startswith("sk_test_")
    assert says_hello(harbor, first)
    assert says_hello(harbor, second)
    harbor.clock.advance(60)
    assert not says_hello(harbor, first)
    assert says_hello(harbor, second)
    harbor.backend.calls("POST", f"{path}/blocklist")
    assert not says_hello(harbor, second)


@ONE_DATABASE
def test_a_key_needs_an_organization_and_an_application_that_serves_it(harbor: Harbor) -> None:
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    other = harbor.backend.calls(
        "POST",
        "/applications",
        json={
            "name": "Pier Notes",
            "redirect_uris": ["https://pier.example/back"],
            "organizations": ["pier"],
        },
    ).json["client_id"]
    for fields, named in (
        ({"api": "v1"}, "organization"),
        ({"api": "v1", "organization": "harbor", "application": other}, "application"),
        ({"api": "v1", "organization": "harbor", "application": str(uuid.uuid4())}, "application"),
        ({"api": "v1", "organization": "harbor", "application": "x"}, "application"),
        ({"organization": "harbor", "application": harbor.notes.client_id}, "application"),
        ({"api": "v3"}, "api"),
    ):
        reply = harbor.backend.calls("POST", "/api-keys", json={"name": "v1", **fields})
        assert reply.status == 422, fields
        assert reply.json["error"]["message"].startswith(f"{named}: ")


def test_a_deleted_organization_has_no_key_that_works(harbor: Harbor, backend: Devrift) -> None:
    assert says_hello(harbor, backend.secret)
    assert harbor.backend.calls("DELETE", "/organizations/harbor").status == 200
    assert not says_hello(harbor, backend.secret)


@pytest.mark.parametrize(
    ("permission", "path", "type_"),
    [
        (Permission.WRITE_CHALLENGES, "/mfa", "EMAIL"),
        (Permission.WRITE_ENROLLMENTS, "/mfa", "APP"),
        (Permission.WRITE_CHALLENGES, "/mfa/verify", "EMAIL"),
        (Permission.WRITE_ENROLLMENTS, "/mfa/backup", "EMAIL"),
    ],
)
def test_a_call_needs_its_permission(
    harbor: Harbor, permission: Permission, path: str, type_: str
) -> None:
    others = [one for one in Permission if one != permission and "organizations" not in one]
    body = f"User={EMAIL}, Type={type_}, Code=123456"
    refused = Devrift(harbor, permissions=others).calls(path, body)
    assert (refused.status, refused.error) == (403, "forbidden")
    assert permission in refused.json["error"]["message"]
    assert Devrift(harbor, permissions=[permission]).calls(path, body).status != 403


# On behalf of an application


def notes(harbor: Harbor) -> Application:
    with harbor.services.database.reading() as tx:
        return tx.get_one(Application, uuid.UUID(harbor.notes.client_id))


def rules(harbor: Harbor, mode: PolicyMode, application: Application | None) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.policies.change(
            tx, OPERATOR, harbor.organization, Rule(mode=mode), application
        )


def test_a_policy_that_is_off_for_the_application_refuses_its_key(harbor: Harbor) -> None:
    asked = notes(harbor)
    bound, free = Devrift(harbor, application=asked), Devrift(harbor)
    code = bound.sends(EMAIL, "EMAIL")
    rules(harbor, PolicyMode.OFF, asked)
    for reply in (
        bound.asks(EMAIL, "EMAIL"),
        bound.asks(EMAIL, "APP"),
        bound.verifies(EMAIL, "EMAIL", code),
        bound.backs_up(EMAIL, "EMAIL"),
    ):
        assert (reply.status, reply.error) == (403, "method_disabled")
    assert says_hello(harbor, bound.secret)
    assert free.verifies(EMAIL, "EMAIL", code).status == 200
    # Its own rule goes before that of the organization.
    rules(harbor, PolicyMode.REQUIRED, asked)
    rules(harbor, PolicyMode.OFF, None)
    assert bound.asks(EMAIL, "APP").status == 200


def test_what_an_application_s_key_verifies_counts_for_it(harbor: Harbor) -> None:
    bound = Devrift(harbor, application=notes(harbor))
    assert bound.verifies(EMAIL, "EMAIL", bound.sends(EMAIL, "EMAIL")).status == 200
    counted = sa.text("SELECT count(*) FROM verifications WHERE application_id IS NOT NULL")
    with harbor.services.database.reading() as tx:
        assert tx.scalar(counted) == 1


def test_the_key_of_a_deleted_application_opens_nothing(harbor: Harbor) -> None:
    bound = Devrift(harbor, application=notes(harbor))
    assert says_hello(harbor, bound.secret)
    path = f"/applications/{harbor.notes.client_id}"
    assert harbor.backend.calls("DELETE", path).status == 200
    assert not says_hello(harbor, bound.secret)


# In the admin area


def test_an_administrator_makes_one_that_asks_on_behalf_of_an_application(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/api-keys/new")
    fields = {"name": "Shop", "reach": "everything", "application": harbor.notes.client_id}
    nadia.browser.submits(1, **{**fields, "api": "v2"})
    assert nadia.status == 422
    assert "Only a key of DevRIFT v1 asks on behalf of an application." in nadia.text
    nadia.browser.submits(1, **{**fields, "api": "v1"})
    assert nadia.status == 200, nadia.text
    found = SECRET.search(nadia.browser.reply.text)
    assert found is not None
    secret = keep_secret(found[0])
    assert "/v1/hello" in nadia.text
    assert says_hello(harbor, secret)
    [(made,)] = harbor.rows(sa.select(ApiKey).where(ApiKey.name == "Shop"))
    nadia.at(f"/api-keys/{made.id}")
    assert "Type=EMAIL" in nadia.browser.reply.text
    assert "Harbor Notes" in nadia.text
    assert "oauth/token" not in nadia.text
    assert secret not in nadia.browser.reply.text
    assert "DevRIFT v1" in nadia.at("/api-keys").text
