"""An organization in which there is nothing yet: every list says what to do next, and leads there.

Whoever adds a list adds a row here: a walk over the URL map fails without one.
"""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.models import Environment, Event, Role
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.admin.test_walk import pier, routes

EMPTY = {
    "admin_overview.index": ("/", "First steps"),
    "admin_users.index": ("/users", "No users yet"),
    "admin_users_imports.index": ("/users/imports", "Nothing was imported yet"),
    "admin_audit.index": ("/audit", "No events are kept"),
    "admin_inbox.index": ("/inbox", "No message yet"),
    "admin_policy.index": ("/policy", "No application sends your users yet"),
    "admin_messages_log.index": ("/messages/log", "No message was sent yet"),
    "admin_policy_trusted_browsers.index": (
        "/policy/trusted-browsers",
        "No application sends your users yet",
    ),
    "admin_messages_providers.index": ("/messages/providers", "No provider of your own yet"),
    "admin_applications.index": ("/applications", "No application of your own yet"),
    "admin_api_keys.index": ("/api-keys", "No API keys yet"),
    "admin_webhooks.index": ("/webhooks", "No webhooks yet"),
}
"""Lists: where they are, and what they say as long as they are empty."""

NEVER_EMPTY = {
    "admin_administrators.index": "whoever looks at it is in it",
    "admin_signing_keys.index": "Gatehouse doesn't start without one",
    "admin_messages.index": "the channels that there are",
    "admin_messages_texts.index": "the channels that there are",
    "admin_messages_limits.index": "the rules that there are",
    "admin_methods.index": "no list",
    "admin_branding.index": "no list",
}


@ONE_DATABASE
def test_every_list_has_a_row(harbor: Harbor) -> None:
    lists = {endpoint for endpoint, *_ in routes(harbor) if endpoint.endswith(".index")}
    assert lists == EMPTY.keys() | NEVER_EMPTY.keys()


@ONE_DATABASE
@pytest.mark.parametrize("endpoint", EMPTY)
@pytest.mark.parametrize("role", list(Role))
def test_an_empty_list_says_what_to_do_next(harbor: Harbor, role: Role, endpoint: str) -> None:
    sandbox = endpoint == "admin_inbox.index"
    bare = pier(harbor, Environment.SANDBOX if sandbox else Environment.PRODUCTION)
    eve = harbor.administrator(role, organization=bare)
    harbor.executes(sa.delete(Event).where(Event.organization_id == bare.id))
    path, title = EMPTY[endpoint]
    if eve.at(path).status == 403:
        return  # what the role may see is another test's
    assert title in eve.text
    assert "<tbody" not in eve.browser.reply.text
    steps = [tag for tag, found in eve.page.tags if "empty" in str(found.get("class", "")).split()]
    assert steps or endpoint == "admin_overview.index"
    main = eve.browser.reply.text.partition("<main")[2].partition("</main>")[0]
    ways = [link for link in eve.page.links if f'href="{link}"' in main.replace("&amp;", "&")]
    assert ways or role is Role.AUDITOR, "nowhere to go on"
    for way in ways:
        assert eve.browser.goes_to(way).status == 200, way
