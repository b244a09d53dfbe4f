"""Harbor in production, where messages are really sent, and those who run it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.models import Environment, Organization, ProviderAccount, Role
from app.services.audit import OPERATOR
from tests.actors import Administrator, keep_secret
from tests.conftest import FixedClock, Harbor, stage
from tests.office import Office
from tests.providers.servers import Post

PASSWORD = "a password of the mail server"


def production(harbor: Harbor) -> Organization:
    with harbor.services.database.writing() as tx:
        made = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Harbor"
        )
        harbor.services.method_settings.change(tx, OPERATOR, made, active=True)
    return made


@contextmanager
def reaching(
    database_url: str, tmp_path: Path, clock: FixedClock, **settings: Any
) -> Iterator[Harbor]:
    """Put the cast before a deployment whose operator lets it call this machine."""
    settings = {"outbound_networks": "127.0.0.0/8", **settings}
    with stage(database_url, tmp_path, clock, **settings) as harbor:
        yield harbor


def runs(
    harbor: Harbor, organization: Organization, role: Role = Role.OWNER, email: str = ""
) -> Administrator:
    return harbor.administrator(role, email, organization=organization)


def mail_account(post: Post, **changed: str) -> dict[str, str]:
    """Return the form of an account at a mail server of the tests."""
    return {
        "name": "Mail of Harbor",
        "channels": "email",
        "setting_host": "127.0.0.1",
        "setting_security": "none",
        "setting_port": str(post.port),
        "setting_username": "harbor",
        "setting_password": PASSWORD,
        "setting_from_address": "security@harbor.example",
        "setting_from_name": "Harbor",
        **changed,
    }


def accounts(harbor: Harbor, organization: Organization) -> list[ProviderAccount]:
    with harbor.services.database.reading() as tx:
        return list(harbor.services.provider_accounts.all(tx, organization))


def has_account(harbor: Harbor, organization: Organization, name: str = "Mail") -> ProviderAccount:
    """Give an organization an account that is never called: an address, so that nothing asks."""
    found = harbor.services.provider_accounts
    draft = found.draft(
        "smtp",
        name=name,
        channels=["email"],
        values={"host": "9.9.9.9", "from_address": "security@harbor.example"},
    )
    with harbor.services.database.writing() as tx:
        return found.create(tx, OPERATOR, organization, draft)


def has_mail(office: Office, post: Post | int) -> None:
    values = {
        "host": "127.0.0.1",
        "port": str(post if isinstance(post, int) else post.port),
        "security": "none",
        "username": "harbor",
        "password": PASSWORD,
        "from_address": "security@harbor.example",
    }
    office.account("smtp", ["email"], values)


def has_accounts(office: Office) -> None:
    """Let emails and text messages be carried by somebody who is never called."""
    has_mail(office, 2525)
    values = {"account_sid": "AC" + "0a" * 16, "sms_from": "Harbor"}
    token = keep_secret("a token of nobody at all, really")
    office.account("twilio", ["sms"], {**values, "auth_token": token})


def loses_accounts(office: Office) -> None:
    accounts = office.services.provider_accounts
    with office.services.database.writing() as tx:
        for row in accounts.all(tx, office.organization):
            accounts.switch(tx, OPERATOR, row, active=False)


def has_webhook(harbor: Harbor) -> None:
    """Add a webhook to which something is on its way."""
    services = harbor.services
    draft = services.webhook_drafts.drafted(
        name="Sign-in log", target_url="https://93.184.216.34/hook", event_codes=["user:*"]
    )
    with services.database.writing() as tx:
        made, secret = services.webhooks.create(
            tx,
            OPERATOR,
            draft,
            environment=harbor.organization.environment,
            organization=tx.merge(harbor.organization),
        )
        services.webhook_log.send_test(tx, OPERATOR, made)
    keep_secret(secret)
