"""Each role at every page of the URL map: what it may see opens, all else is refused."""

from __future__ import annotations

import pytest

from app.models import Role
from app.services.roles import MAY
from tests.actors import keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.admin.furniture import addresses, furnish

ELSE_THAN_200 = {
    "/messages/providers/deployment/test": 404,  # this deployment has no mail server of its own
    "/applications/<uuid:client_id>/try/back": 422,  # nobody has begun a trial
}
_FILES = ("text/csv", "application/jsonl", "application/x-ndjson", "text/css")


@pytest.mark.parametrize("role", list(Role))
def test_each_role_opens_every_page_that_it_may_and_no_other(harbor: Harbor, role: Role) -> None:
    ids = furnish(harbor)
    person = harbor.administrator(role)
    opened, refused = 0, 0
    for endpoint, rule, address, action in addresses(harbor, person.place, ids):
        reply = person.browser.goes_to(address)
        if action is not None and action not in MAY[role]:
            assert reply.status == 403, (endpoint, address)
            assert "You can’t" in reply.page.text, (endpoint, address)
            refused += 1
            continue
        if endpoint in {"admin_sign_in.back", "admin_invitation.show"}:
            continue  # they belong to a sign-in or a link, and have tests of their own
        wanted = ELSE_THAN_200.get(rule.removeprefix("/admin/<environment>/<domain>"), 200)
        assert reply.status == wanted, (endpoint, address)
        if not reply.headers["content-type"].startswith(_FILES):
            assert reply.page.heading, endpoint
            assert reply.text.count("<h1") == 1, endpoint
        opened += 1
    assert opened + refused > 85
    assert (refused == 0) == (role is Role.OWNER)


@ONE_DATABASE
def test_what_a_request_says_of_the_host_stands_on_no_page(harbor: Harbor) -> None:
    """F40: addresses of pages, links, recipes and invitations come from the settings alone."""
    ids = furnish(harbor)
    nadia = harbor.administrator()
    forged = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "gopher",
        "Forwarded": "host=evil.example",
        "X-Original-URL": "//evil.example/",
    }
    cookies = dict(nadia.browser.cookies)
    for endpoint, _rule, address, _action in addresses(harbor, nadia.place, ids):
        reply = harbor.wire.request("GET", address, headers=forged, cookies={**cookies})
        assert "evil.example" not in reply.text + reply.location, endpoint
        assert "gopher" not in reply.text + reply.location, endpoint
        other = {"Host": "evil.example"}
        reply = harbor.wire.request("GET", address, headers=other, cookies={**cookies})
        assert (reply.status, reply.location) == (421, ""), endpoint
    data = {"email": "kit@harbor.example", "role": "auditor"}
    nadia.at("/administrators/invite")
    path = nadia.browser.path
    data["csrf_token"] = nadia.browser.form_token
    nadia.browser.goes_to(path, "POST", data=data, headers=forged)
    assert f"{harbor.base_url}/admin/invitation?token=" in nadia.text
    keep_secret(nadia.text.partition("invitation?token=")[2].split()[0])
