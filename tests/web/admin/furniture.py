"""An organization with something of everything, and the address of every page about it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

import sqlalchemy as sa

from app.models import (
    Authenticator,
    EntraAccount,
    EntraConnection,
    Message,
    PolicyMode,
    Role,
    TrustedBrowser,
)
from app.services.audit import OPERATOR
from app.services.policies import Rule
from app.services.sending_rules import Rules
from app.web.admin.messages.limit_words import NUMBERS
from tests.actors import keep_secret
from tests.conftest import Harbor
from tests.entra import OID, TENANT, connected
from tests.web.admin.production import has_account, has_webhook
from tests.web.admin.test_walk import OF_TABLE, filled, ids_of, routes
from tests.web.oidc.party import party

FILE = b"email,given_name\nkit@harbor.example,Kit\nnobody,\n"
_LIMITS = Rules(countries=("FR",))

QUERIES = {
    "admin_audit.ask_retention": "keep=days&days=400",
    "admin_methods.check": "preset=strict",
    "admin_policy.check": "rule=optional",
    "admin_messages_limits.check": urlencode(
        {name: getattr(_LIMITS, name) for name in NUMBERS}
        | {"cooldowns": ", ".join(map(str, _LIMITS.cooldowns)), "monthly_budget": 77}
    ),
    "admin_messages_limits.check_countries": "country=DE",
}
"""What pages are asked with that show what a form would change."""


def furnish(harbor: Harbor) -> dict[str, str]:
    """Put something of everything into Harbor, and return an id of each kind.

    Ada has an authenticator, a wrong code and a bypass code; Bo is invited; Cleo is suspended.
    """
    phone = harbor.enrolls()
    visit = harbor.visits(harbor.ada)
    for code in harbor.wrong_codes(phone, 3):
        visit.types(code)
    own, key = harbor.registers("Harbor Logs", only=True), harbor.key(only=True)
    for name in ("Mail of Harbor", "Another mail"):
        has_account(harbor, harbor.organization, name)
    harbor.administrator(Role.AUDITOR, "ines@harbor.example", signed_in=False)
    bo, cleo = harbor.person("bo@harbor.example"), harbor.person("cleo@harbor.example")
    _gives(harbor, own.client_id, bo, cleo)
    has_webhook(harbor)
    harbor.services.import_jobs.bring(OPERATOR, harbor.organization, "users.csv", FILE)
    entra = connected(harbor, name="Harbor Entra").client_id
    with harbor.services.database.writing() as tx:
        tx.add(entra_account(harbor, entra, harbor.ada))
    theirs = ids_of(harbor)
    told = Message.organization_id == harbor.organization.id
    hers = Authenticator.user_id == uuid.UUID(harbor.ada)
    return {
        **{name: (theirs.get(table) or [""])[0] for name, table in OF_TABLE.items()},
        "user_id": harbor.ada,
        "authenticator_id": str(harbor.rows(sa.select(Authenticator.id).where(hers))[0][0]),
        "message_id": str(harbor.rows(sa.select(Message.id).where(told))[0][0]),
        "client_id": own.client_id,
        "application_id": own.client_id,
        "key": key.client_id,
        "duo": duo_application(harbor),
        "entra": entra,
        "linked": str(harbor.rows(sa.select(EntraAccount.id))[0][0]),
        "board": cryptr_application(harbor),
        "invited": bo,
        "oidc": party(harbor).client_id,
        "suspended": cleo,
    }


def _gives(harbor: Harbor, client_id: str, invited: str, suspended: str) -> None:
    """Do what administrators do: give codes and links, suspend, set a rule."""
    services, organization = harbor.services, harbor.organization
    with services.database.writing() as tx:
        ada, bo, cleo = (
            services.directory.find(tx, organization, one)
            for one in (harbor.ada, invited, suspended)
        )
        keep_secret(services.bypass_codes.give(tx, OPERATOR, ada, minutes=30, why="Called us").code)
        link = services.enrollment_invitations.invite(tx, OPERATOR, bo, client_id).address
        keep_secret(link.rpartition("/")[2])
        services.user_care.suspend(tx, OPERATOR, organization, cleo, why="On leave")
        made = services.invitations.invite(
            tx, OPERATOR, organization, email="nils@harbor.example", role=Role.AUDITOR
        )
        keep_secret(made.link.partition("=")[2])
        application = services.applications.find(tx, client_id)
        rule = Rule(mode=PolicyMode.OPTIONAL)
        services.policies.change(tx, OPERATOR, organization, rule, application)
        services.trust_rules.change(tx, OPERATOR, organization, 30, application)
        tx.add(trusted_browser(harbor))


def duo_application(harbor: Harbor) -> str:
    """Register one that speaks Duo Universal, and return the id by which its pages know it."""
    with harbor.services.database.writing() as tx:
        made = harbor.services.duo_clients.create(
            tx,
            OPERATOR,
            harbor.organization,
            name="Harbor VPN",
            redirect_uris=["https://vpn.example/duo"],
        )
        keep_secret(made.secret)
        return str(made.client.application_id)


def cryptr_application(harbor: Harbor) -> str:
    """Register one that uses Cryptr's SPA SDK, and return its id."""
    with harbor.services.database.writing() as tx:
        made = harbor.services.cryptr_entries.create(
            tx,
            OPERATOR,
            environment=harbor.organization.environment,
            name="Harbor Board",
            redirect_uris=["https://board.example/callback"],
            organizations=[harbor.organization],
        )
        return made.client_id


def entra_account(harbor: Harbor, client_id: str, user_id: str) -> EntraAccount:
    """Return an account of Microsoft Entra that is a user."""
    [(connection_id,)] = harbor.rows(
        sa.select(EntraConnection.id).where(EntraConnection.application_id == uuid.UUID(client_id))
    )
    return EntraAccount(
        connection_id=connection_id,
        tenant_id=TENANT,
        object_id=OID,
        user_id=uuid.UUID(user_id),
        created_at=harbor.clock.now(),
    )


def trusted_browser(harbor: Harbor) -> TrustedBrowser:
    """Return a browser that Ada trusts."""
    now = harbor.clock.now()
    return TrustedBrowser(
        user_id=uuid.UUID(harbor.ada),
        organization_id=harbor.organization.id,
        kind="totp",
        secret_hash="none",
        created_at=now,
        expires_at=now + timedelta(days=30),
    )


def addresses(
    harbor: Harbor, place: str, ids: dict[str, str]
) -> Iterator[tuple[str, str, str, object]]:
    """Yield endpoint, rule, address and action of every page that opens by GET."""
    others = {
        "admin_user.ask_unlink": {"account_id": ids["linked"]},
        "admin_applications.ask_check": {"client_id": ids["entra"]},
        "admin_user.ask_invite": {"user_id": ids["invited"]},
        "admin_user.ask_withdraw_invitation": {"user_id": ids["invited"]},
        "admin_user.ask_lift": {"user_id": ids["suspended"]},
        "admin_messages_providers.new": {"kind": "smtp"},
    }
    for endpoint, method, rule, action in routes(harbor):
        if method != "GET":
            continue
        theirs = ids | others.get(endpoint, {})
        if endpoint.startswith("admin_api_keys"):
            theirs["client_id"] = ids["key"]
        query = QUERIES.get(endpoint)
        yield endpoint, rule, filled(rule, place, theirs) + (f"?{query}" if query else ""), action
