"""Every page in a real browser, where its security policy has nothing to keep from happening.

What a page, or a script of it, tries against the policy is a complaint of the stage.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Authenticator
from app.services.audit import OPERATOR
from tests import actors
from tests.browser.conftest import Stage
from tests.browser.test_admin import enters
from tests.browser.weights import Scale
from tests.conftest import Harbor, InProcess
from tests.web.admin.furniture import addresses, furnish, trusted_browser
from tests.web.gateway.test_recovery import enrolls as enrolls_with_codes
from tests.web.gateway.test_recovery import recovers
from tests.web.oidc.party import party

pytestmark = pytest.mark.browser

NO_PAGES = {
    *("admin_audit.export", "admin_branding.sheet", "admin_users.download"),
    *("admin_users_imports.example", "admin_users_imports.errors"),
    *("admin_sign_in.back", "admin_sign_in.verify", "brand.logo", "brand.sheet"),
    *("cryptr_tokens.keys", "duo.authorize", "entra.jwks", "entra.metadata"),
    *("gateway.first_progress", "gateway.leave", "gateway.progress", "gateway.resume"),
    *("gateway.start", "health.alive", "health.ready", "oidc_discovery.oauth"),
    *("oidc_discovery.show", "oidc_resources.userinfo", "provider_reports.report"),
    *("static", "well_known.jwks"),
}
"""What answers by JSON, a file or a redirect, or leaves at once (test_entra.py meets the form)."""
SHOWN_IN = {
    "admin_invitation.show": "test_admin_gate.py",
    "cryptr.arrive": "test_cryptr.py",
    "cryptr.wait": "test_cryptr.py",
    "cryptr_link.landing": "test_cryptr.py",
    "freeze.landing": "test_freeze.py",
    "gateway.link": "test_magic_link.py",
    "gateway.losses": "test_passkey.py",
    "gateway.number": "test_message_code.py",
    "magic_link.landing": "test_magic_link.py",
}
"""Pages that it takes a walk to come to, and the test that walks there in a browser."""


def test_no_page_of_the_admin_area_does_what_its_policy_forbids(stage: Stage) -> None:
    ids = furnish(inside(stage))
    nadia = stage.harbor.administrator()
    page = stage.opens_browser()
    enters(stage, page, nadia)
    for endpoint, _rule, address, _action in addresses(stage.harbor, nadia.place, ids):
        if endpoint not in NO_PAGES and "." + address.rpartition(".")[2] not in FILES:
            page.goto(stage.harbor.base_url + address)
    assert unseen(stage, "admin") == set()


def test_every_hosted_page_is_light_and_does_nothing_that_its_policy_forbids(stage: Stage) -> None:
    harbor, page = inside(stage), stage.opens_browser()
    scale, heavy = Scale(page), {}
    for browser, *names in visits(harbor):
        page.context.clear_cookies()
        cookies = [
            {"name": name, "value": value, "url": harbor.base_url}
            for name, value in browser.cookies.items()
        ]
        page.context.add_cookies(cookies)  # type: ignore[arg-type]
        for name in names:
            scale.empty()
            page.goto(harbor.base_url + (name if name[0] == "/" else browser.address(name)))
            if not scale.weight.light:
                heavy[name] = scale.weight
    assert heavy == {}
    assert scale.weight.size > 0
    assert unseen(stage) == set()


FILES = {".csv", ".jsonl", ".css"}


def inside(stage: Stage) -> Harbor:
    """Return the cast, who come by no network."""
    assert stage.app is not None
    wire = InProcess(stage.app.test_client(use_cookies=False), stage.harbor.base_url)
    stage.harbor.wire = stage.harbor.notes.wire = stage.harbor.backend.wire = wire
    return stage.harbor


def unseen(stage: Stage, area: str = "") -> set[str]:
    """Return the endpoints of pages that the browser was not shown."""
    assert stage.app is not None
    urls = stage.app.url_map.bind("localhost")
    seen = {urls.match(path, method="GET")[0] for path in stage.visited if urls.test(path, "GET")}
    pages = {
        rule.endpoint
        for rule in stage.app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not rule.rule.startswith(("/api/", "/v1"))
        if rule.endpoint.startswith("admin") is bool(area)
    }
    for place in SHOWN_IN.values():
        assert Path(__file__).with_name(place).exists()
    return pages - seen - NO_PAGES - SHOWN_IN.keys()


def visits(harbor: Harbor) -> Iterator[tuple[Any, ...]]:
    """Yield browsers, and the pages that each of their visits stands at."""
    bo = harbor.person("bo@harbor.example")
    first = harbor.visits(bo)
    yield first, "set-up"
    app = first.sets_up()
    yield first, "enroll"
    first.types(harbor.code(app))
    yield first, "recovery-codes"
    first.saves_codes()
    yield first, "ended", "/gateway/none"
    phone, codes = enrolls_with_codes(harbor)
    yield harbor.visits(harbor.ada), "verify", "choose", "recover", "bypass"
    yield from account(harbor, phone)
    unmet = harbor.visits(harbor.ada, acr_values=["phr"])
    yield unmet, "unmet"
    recovers(harbor, codes[0])
    yield harbor.visits(harbor.ada), "due"
    stopped = harbor.visits(bo)
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, bo)
        harbor.services.user_care.suspend(tx, OPERATOR, harbor.organization, person, why="Away")
    yield stopped, "blocked"
    yield from of_other_doors(harbor)


def account(harbor: Harbor, phone: actors.Phone) -> Iterator[tuple[Any, ...]]:
    """Yield a browser whose user has confirmed, and what they look after."""
    hers = Authenticator.user_id == uuid.UUID(harbor.ada)
    [(one,)] = harbor.rows(sa.select(Authenticator.id).where(hers))
    browser = harbor.visits(harbor.ada, intent="manage")
    browser.types(harbor.code(phone))
    harbor.clock.advance(30)
    with harbor.services.database.writing() as tx:
        tx.add(trusted := trusted_browser(harbor))
        tx.flush()
        known = str(trusted.id)
    pages = [f"account/{one}/{change}" for change in ("name", "replace", "remove")]
    browsers = ["account/browsers/forget", f"account/browsers/{known}/forget"]
    yield browser, "account", "account/recovery-codes", *pages, *browsers


def of_other_doors(harbor: Harbor) -> Iterator[tuple[Any, ...]]:
    """Yield what users meet who come otherwise."""
    kit = harbor.person("kit@harbor.example")
    with harbor.services.database.writing() as tx:
        person = harbor.services.directory.find(tx, harbor.organization, kit)
        invite = harbor.services.enrollment_invitations.invite
        link = invite(tx, OPERATOR, person, harbor.notes.client_id).address
    actors.keep_secret(link.rpartition("/")[2])
    yield harbor.browser(), link.removeprefix(harbor.base_url)
    shop = party(harbor, requires_pushed=False, takes_unauthenticated=True)
    asks = harbor.browser()
    asks.goes_to(shop.plain(login_hint=None))
    yield asks, asks.path, "/oidc/authorize?client_id=none", "/oidc/end-session"
