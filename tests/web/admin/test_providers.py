"""Providers in the admin area: accounts, their order, and secrets that nobody reads again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.errors import Refusal
from app.models import Event, Organization, Role
from app.services.audit import OPERATOR
from app.services.provider_accounts import MOST_ACCOUNTS
from tests.actors import Administrator, keep_secret
from tests.conftest import ONE_DATABASE, FixedClock, Harbor
from tests.providers.servers import Post, post
from tests.web.admin.production import (
    PASSWORD,
    accounts,
    mail_account,
    production,
    reaching,
    runs,
)

NEW = "/messages/providers/new/smtp"


@pytest.fixture
def reached(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Harbor]:
    with reaching(database_url, tmp_path, clock) as harbor:
        yield harbor


@pytest.fixture
def harbors(reached: Harbor) -> Organization:
    return production(reached)


@pytest.fixture
def mail() -> Iterator[Post]:
    keep_secret(PASSWORD)
    with post("none") as made:
        yield made


def adds(nadia: Administrator, mail: Post, **changed: str) -> uuid.UUID:
    nadia.at(NEW)
    nadia.browser.submits(1, **mail_account(mail, **changed))
    assert "as the last choice" in nadia.text, nadia.text
    return uuid.UUID(nadia.browser.path.rpartition("/")[2])


def of(harbor: Harbor, organization: Organization, account_id: uuid.UUID) -> dict[str, str]:
    """Return all that an account holds, secrets among it."""
    with harbor.services.database.reading() as tx:
        found = harbor.services.provider_accounts.carrier(tx, organization, account_id).account
    return {**found.settings, **found.secrets}


def newest(harbor: Harbor, kind: str) -> Event:
    *_, (found,) = harbor.rows(sa.select(Event).where(Event.kind == kind).order_by(Event.id))
    return found


# Adding


def test_an_account_is_added_by_a_form_of_what_its_provider_needs(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    nadia.at("/messages/providers")
    assert "No provider of your own yet" in nadia.text
    nadia.at("/messages/providers/new")
    assert "Mail server (SMTP)" in nadia.text
    account_id = adds(nadia, mail)
    assert of(reached, harbors, account_id)["host"] == "127.0.0.1"
    assert "Kept, never shown" in nadia.text
    assert "security@harbor.example" in nadia.text
    assert "Mail of Harbor" in nadia.at("/messages/providers").text
    event = newest(reached, "provider:created")
    assert event.actor.startswith("administrator:")
    assert event.detail["name"] == "Mail of Harbor"


def test_a_secret_is_in_no_page_and_not_in_the_database(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    account_id = adds(nadia, mail)
    for path in ("", f"/{account_id}", f"/{account_id}/edit", f"/{account_id}/test"):
        nadia.at(f"/messages/providers{path}")
        assert nadia.status == 200
        assert PASSWORD not in nadia.browser.reply.text
    assert PASSWORD not in reached.dump()


@ONE_DATABASE
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"setting_host": "10.1.2.3"}, "Without TLS only networks that the operator allows"),
        ({"setting_host": "169.254.169.254", "setting_security": "tls"}, "not a public address"),
        ({"setting_host": "[::ffff:10.0.0.1]"}, "neither a name in ASCII nor an IP address"),
        ({"setting_host": "2130706433"}, "neither a name in ASCII nor an IP address"),
        ({"setting_port": "22"}, "Use 587, 465, 25"),
        ({"setting_from_address": "a@x.example, b@x.example"}, "Write one address"),
        ({"setting_host": ""}, "Fill it in"),
        ({"name": "x" * 61}, "At most 60 printable characters"),
        ({"setting_security": "ssl"}, "Not a valid choice"),
    ],
)
def test_what_can_not_be_is_said_at_its_field(
    reached: Harbor, harbors: Organization, mail: Post, changed: dict[str, str], says: str
) -> None:
    """F76: among it, a host that must not be called."""
    nadia = runs(reached, harbors)
    nadia.at(NEW)
    nadia.browser.submits(1, **mail_account(mail, **changed))
    assert nadia.status == 422
    assert says.lower() in nadia.text.lower()
    assert nadia.page.title.startswith("Error: ")
    kept = nadia.page.forms[1]["fields"]
    assert kept["setting_from_name"] == "Harbor"  # what was typed is kept
    assert kept["setting_password"] == ""  # but not what is secret
    assert "Type it again" in nadia.text
    assert PASSWORD not in nadia.browser.reply.text
    assert accounts(reached, harbors) == []


@ONE_DATABASE
def test_there_are_no_more_accounts_than_there_may_be(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    for number in range(MOST_ACCOUNTS):
        adds(nadia, mail, name=f"Mail {number}")
    nadia.at(NEW)
    nadia.browser.submits(1, **mail_account(mail))
    assert nadia.status == 422
    assert "Remove one that is not needed" in nadia.text
    assert len(accounts(reached, harbors)) == MOST_ACCOUNTS


@ONE_DATABASE
def test_a_provider_that_is_none_is_not_found(reached: Harbor, harbors: Organization) -> None:
    nadia = runs(reached, harbors)
    nadia.at("/messages/providers")
    for kind in ("pigeon", "deployment"):
        assert nadia.at(f"/messages/providers/new/{kind}").status == 404
        assert nadia.does(f"/messages/providers/new/{kind}").status == 404


# Editing


def test_a_secret_that_is_left_empty_stays(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    account_id = adds(nadia, mail)
    nadia.at(f"/messages/providers/{account_id}/edit")
    assert "One is kept. Type a new one to replace it." in nadia.text
    nadia.browser.submits(1, setting_from_name="Harbor Security", setting_password="")
    assert "Saved." in nadia.text
    kept = of(reached, harbors, account_id)
    assert (kept["from_name"], kept["password"]) == ("Harbor Security", PASSWORD)
    assert newest(reached, "provider:changed").detail["changed"] == "from_name"


def test_a_secret_is_replaced_and_removed(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    account_id = adds(nadia, mail)
    edit = f"/messages/providers/{account_id}/edit"
    nadia.at(edit)
    nadia.browser.submits(1, setting_password=keep_secret("another one, much longer"))
    assert of(reached, harbors, account_id)["password"] == "another one, much longer"
    assert newest(reached, "provider:changed").detail["changed"] == "password"
    nadia.at(edit)
    nadia.browser.submits(1, setting_username="", setting_password="", drop_password="y")
    assert "password" not in of(reached, harbors, account_id)
    assert newest(reached, "provider:changed").detail["changed"] == "password username"


def test_a_secret_is_never_told_to_another_address_unseen(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    """Else whoever may edit an account could have its password sent to a server of their own."""
    nadia = runs(reached, harbors)
    account_id = adds(nadia, mail)
    edit = f"/messages/providers/{account_id}/edit"
    nadia.at(edit)
    nadia.browser.submits(1, setting_host="127.0.0.2", setting_password="")
    assert nadia.status == 422
    assert "It would go to another address" in nadia.text.replace("it would", "It would")
    assert of(reached, harbors, account_id)["host"] == "127.0.0.1"
    nadia.at(edit)
    nadia.browser.submits(1, setting_host="127.0.0.2", setting_password=PASSWORD)
    assert of(reached, harbors, account_id)["host"] == "127.0.0.2"


def test_a_change_of_what_somebody_else_just_changed_is_refused(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    """It may hold a secret that they replaced."""
    account_id = adds(runs(reached, harbors), mail)
    found = reached.services.provider_accounts
    values = {
        name.removeprefix("setting_"): value
        for name, value in mail_account(mail).items()
        if name.startswith("setting_")
    }
    [row] = accounts(reached, harbors)
    mine, theirs = (
        found.draft("smtp", name=name, channels=["email"], values=values, row=row)
        for name in ("Mine", "Theirs")
    )
    reached.clock.advance(1)
    with reached.services.database.writing() as tx:
        found.update(tx, OPERATOR, found.find(tx, harbors, account_id), theirs)
    with pytest.raises(Refusal) as refused, reached.services.database.writing() as tx:
        found.update(tx, OPERATOR, found.find(tx, harbors, account_id), mine)
    assert refused.value.code == "provider_changed"
    assert [row.name for row in accounts(reached, harbors)] == ["Theirs"]


# Order, switch, removal


def test_an_account_moves_up(reached: Harbor, harbors: Organization, mail: Post) -> None:
    nadia = runs(reached, harbors)
    first, second = adds(nadia, mail, name="First"), adds(nadia, mail, name="Second")
    nadia.does(f"/messages/providers/{second}/move-up")
    assert "Second moved up." in nadia.text
    assert [row.id for row in accounts(reached, harbors)] == [second, first]
    nadia.does(f"/messages/providers/{second}/move-up")  # it is the first already
    assert [row.id for row in accounts(reached, harbors)] == [second, first]
    assert newest(reached, "provider:changed").detail["changed"] == "order"


def test_an_account_is_switched_off_and_on(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    account_id = adds(nadia, mail)
    page = f"/messages/providers/{account_id}"
    nadia.at(f"{page}/switch-off")
    assert "Nobody carries emails then: none goes out." in nadia.text
    assert accounts(reached, harbors)[0].active
    nadia.browser.submits(1)
    assert "Mail of Harbor is off." in nadia.text
    assert not accounts(reached, harbors)[0].active
    nadia.does(f"{page}/switch-off")  # twice is once
    assert not accounts(reached, harbors)[0].active
    nadia.at(f"{page}/switch-on")
    assert "can read the codes" in nadia.text
    nadia.browser.submits(1)
    assert accounts(reached, harbors)[0].active


def test_who_carries_on_is_told_before_an_account_goes(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    nadia = runs(reached, harbors)
    first = adds(nadia, mail, name="First")
    adds(nadia, mail, name="Second")
    nadia.at(f"/messages/providers/{first}/remove")
    assert "Emails go by Second." in nadia.text
    nadia.browser.submits(1)
    assert "First was removed." in nadia.text
    assert [row.name for row in accounts(reached, harbors)] == ["Second"]
    assert newest(reached, "provider:removed").detail["name"] == "First"


def test_the_deployment_s_own_mail_server_stands_in(
    database_url: str, tmp_path: Path, clock: FixedClock, mail: Post
) -> None:
    settings = {"smtp_url": "smtp://127.0.0.1:2525?tls=none", "mail_from": "mfa@example.com"}
    with reaching(database_url, tmp_path, clock, **settings) as harbor:
        organization = production(harbor)
        nadia = runs(harbor, organization)
        nadia.at("/messages/providers")
        assert "Takes email while no provider above does." in nadia.text
        account_id = adds(nadia, mail)
        nadia.at(f"/messages/providers/{account_id}/switch-off")
        assert "Emails go by This deployment’s mail server." in nadia.text


# Who may


@ONE_DATABASE
def test_an_auditor_reads_and_changes_nothing(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    account_id = adds(runs(reached, harbors), mail)
    auditor = runs(reached, harbors, Role.AUDITOR)
    auditor.at("/messages/providers")
    assert "Mail of Harbor" in auditor.text
    assert "Add a provider" not in auditor.text
    assert "Move up" not in auditor.text
    auditor.at(f"/messages/providers/{account_id}")
    assert "Kept, never shown" in auditor.text
    for button in ("Edit", "Send a test", "Switch off", "Remove"):
        assert button not in auditor.text
    for path in ("edit", "switch-off", "switch-on", "remove", "test"):
        assert auditor.at(f"/messages/providers/{account_id}/{path}").status == 403


@ONE_DATABASE
def test_the_help_desk_sees_no_provider(reached: Harbor, harbors: Organization) -> None:
    helper = runs(reached, harbors, Role.HELPDESK)
    assert helper.at("/messages/providers").status == 403
    helper.at("/")
    assert f"{helper.place}/users" in helper.browser.reply.text
    assert f"{helper.place}/messages" not in helper.browser.reply.text


@ONE_DATABASE
def test_whoever_changes_a_provider_proves_the_second_factor_again(
    reached: Harbor, harbors: Organization, mail: Post
) -> None:
    """It is who reads all codes from then on."""
    nadia = runs(reached, harbors)
    nadia.at(NEW)
    reached.clock.advance(31 * 60)
    nadia.does(NEW, **mail_account(mail))
    assert nadia.browser.path == "/admin/verify"
    assert accounts(reached, harbors) == []
