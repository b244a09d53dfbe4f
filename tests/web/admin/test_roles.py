"""Each role at every page of the URL map: what it may see opens, all else is refused."""

from __future__ import annotations

import pytest

from app.models import Role
from app.services.roles import MAY
from tests.conftest import Harbor
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
