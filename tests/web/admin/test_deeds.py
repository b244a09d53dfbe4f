"""Everything that administrators do, row by row: what it records, and of a user's whom it tells.

Whoever adds a page that takes a form adds a row here: a walk over the URL map fails without one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from app.models import (
    Administrator,
    ApiKey,
    Application,
    Authenticator,
    AuthenticatorStatus,
    CryptrClient,
    DeliveryStatus,
    DuoClient,
    EntraAccount,
    EntraConnection,
    Event,
    ImportJob,
    Invitation,
    Message,
    Organization,
    ProviderAccount,
    Role,
    TrustedBrowser,
    User,
    Webhook,
    WebhookDelivery,
)
from app.services.sending_rules import Rules
from app.web.admin.messages.limit_words import NUMBERS
from tests.actors import Administrator as Person
from tests.actors import Page, Reply, keep_secret
from tests.conftest import ONE_DATABASE, PASSWORD, FixedClock, Harbor
from tests.entra import APP_ID, TENANT
from tests.providers.servers import Post, post
from tests.web.admin.furniture import entra_account, trusted_browser
from tests.web.admin.production import PASSWORD as MAIL_PASSWORD
from tests.web.admin.production import mail_account, production, reaching, runs
from tests.web.admin.test_branding import multipart, typed
from tests.web.admin.test_entra_trial import meets
from tests.web.admin.test_imports import sends
from tests.web.admin.test_walk import contents, routes

WHY = "Spoke with Ada on the number that we knew."
EMAIL = "ada@harbor.example"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
NEW_PASSWORD = "amber kettles sail past the pier"


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One form, and what comes of it.

    Attributes:
        endpoint: of the page that takes it.
        path: below the organization's address, or from `/admin` on; with names in braces.
        page: where the form stands, if elsewhere.
        fields: what is typed.
        kinds: of the events that it records, each by the administrator's hand.
        why: whether it asks for a reason.
        tells: the subject of what the user gets; only of what is done about a user.
        says: what its page says before, besides that it is recorded.
        production: whether it does nothing in a sandbox.
    """

    endpoint: str
    path: str
    page: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    why: bool = False
    tells: str | None = None
    says: str = ""
    production: bool = False


def deed(endpoint: str, path: str, *kinds: str, **more: Any) -> Deed:
    return Deed(endpoint=endpoint, path=path, kinds=kinds, **more)


def about_ada(view: str, action: str, *kinds: str, **more: Any) -> Deed:
    return deed(f"admin_user.{view}", f"/users/{{ada}}/{action}", *kinds, **more)


OF_A_USER = [
    about_ada(
        "invite",
        "invite",
        "enrollment_invitation:created",
        fields={"client_id": "{notes}"},
        tells="Set up your second step for Harbor Notes",
        says="a link that works once, for 7 days",
    ),
    about_ada(
        "withdraw_invitation",
        "withdraw-invitation",
        "enrollment_invitation:withdrawn",
        says="Its link stops working now.",
    ),
    about_ada(
        "give_bypass",
        "bypass-code",
        "bypass_code:given",
        fields={"minutes": "10"},
        why=True,
        tells="You were given a one-time code",
        says="Whoever has the code gets in once",
    ),
    about_ada(
        "withdraw_bypass",
        "withdraw-bypass-code",
        "bypass_code:withdrawn",
        says="The code stops working now.",
    ),
    about_ada(
        "revoke_browser",
        "trusted-browsers/{browser}/revoke",
        "trusted_browser:revoked",
        tells="A browser is no longer trusted for your account",
        says="confirms again at the next visit there",
    ),
    about_ada(
        "revoke_browsers",
        "trusted-browsers/revoke",
        "trusted_browser:revoked",
        tells="A browser is no longer trusted for your account",
        says="confirms again at the next visit, wherever it is",
    ),
    about_ada(
        "unlock",
        "unlock",
        "user:unlocked",
        tells="Your account was unlocked",
        says="Codes are judged again at once",
    ),
    about_ada(
        "approve",
        "approve",
        "reenrollment:approved",
        why=True,
        tells="An administrator checked that it’s you",
        says="You confirm that you verified",
    ),
    about_ada(
        "reset_one",
        "authenticators/{authenticator}/reset",
        "authenticator:removed",
        fields={"after": "reopen"},
        why=True,
        tells="Your second step was reset",
        says="It stops working now and can’t be brought back.",
    ),
    about_ada(
        "reset",
        "reset",
        "authenticator:reset",
        fields={"after": "reopen"},
        why=True,
        tells="Your second step was reset",
        says="and all recovery codes stop working now",
    ),
    about_ada(
        "suspend",
        "suspend",
        "user:suspended",
        why=True,
        tells="Your account was suspended",
        says="From now on nobody gets in",
    ),
    about_ada(
        "lift",
        "lift-suspension",
        "user:suspension_lifted",
        why=True,
        tells="Your account is no longer suspended",
        says="is let in again",
    ),
    about_ada(
        "delete",
        "delete",
        "user:deleted",
        fields={"email": EMAIL},
        why=True,
        tells="Your account was deleted",
        says="It can’t be undone.",
    ),
]

DEEDS = [
    deed(
        "admin_users.create",
        "/users/new",
        "user:created",
        fields={"email": "bo@harbor.example", "locale": ""},
    ),
    deed(
        "admin_users.update",
        "/users/{bo}/edit",
        "user:updated",
        fields={"given_name": "Bo", "locale": ""},
    ),
    *OF_A_USER,
    deed("admin_users.download", "/users/export.csv", "user:exported"),
    deed("admin_audit.export", "/audit/events.csv", "audit:exported"),
    deed("admin_users_imports.create", "/users/imports/new", "import:brought"),
    deed(
        "admin_users_imports.discard",
        "/users/imports/{job}/discard",
        "import:discarded",
        page="/users/imports/{job}",
    ),
    deed("admin_users_imports.create", "/users/imports/new", "import:brought"),
    deed("admin_users_imports.start", "/users/imports/{job}", "import:started"),
    deed(
        "admin_administrators.invite",
        "/administrators/invite",
        "invitation:created",
        fields={"email": "nils@harbor.example", "role": "helpdesk"},
    ),
    deed(
        "admin_administrators.withdraw",
        "/administrators/invitations/{invitation}/withdraw",
        "invitation:withdrawn",
    ),
    deed(
        "admin_administrators.start_over",
        "/administrators/{auditor}/start-over",
        "invitation:created",
    ),
    deed(
        "admin_administrators.change_role",
        "/administrators/{auditor}/role",
        "administrator:role_changed",
        fields={"role": "helpdesk"},
    ),
    deed(
        "admin_administrators.remove",
        "/administrators/{auditor}/remove",
        "administrator:removed",
    ),
    deed(
        "admin_api_keys.create",
        "/api-keys/new",
        "api_key:created",
        fields={"name": "Nightly", "reach": "everything"},
    ),
    deed(
        "admin_api_keys.replace",
        "/api-keys/{key}/secret",
        "api_key:secret_replaced",
        fields={"overlap": "0"},
    ),
    deed("admin_api_keys.block", "/api-keys/{key}/block", "api_key:blocked"),
    deed(
        "admin_webhooks.create",
        "/webhooks/new",
        "webhook:created",
        fields={"name": "Log", "target_url": "https://93.184.216.34/hook", "reach": "*"},
    ),
    deed(
        "admin_webhooks.save",
        "/webhooks/{webhook}/edit",
        "webhook:updated",
        fields={"name": "Log", "target_url": "https://93.184.216.34/log", "reach": "*"},
    ),
    deed(
        "admin_webhooks.replace",
        "/webhooks/{webhook}/secret",
        "webhook:secret_replaced",
        fields={"overlap": "3600"},
    ),
    deed(
        "admin_webhooks.send_test",
        "/webhooks/{webhook}/test",
        "webhook:tested",
        page="/webhooks/{webhook}",
    ),
    deed(
        "admin_webhooks.replay",
        "/webhooks/{webhook}/deliveries/{delivery}/replay",
        "webhook:replayed",
        page="/webhooks/{webhook}/deliveries/{delivery}",
    ),
    deed("admin_webhooks.switch_off", "/webhooks/{webhook}/switch-off", "webhook:switched_off"),
    deed(
        "admin_webhooks.switch_on",
        "/webhooks/{webhook}/switch-on",
        "webhook:switched_on",
        page="/webhooks/{webhook}",
    ),
    deed("admin_webhooks.delete", "/webhooks/{webhook}/delete", "webhook:deleted"),
    deed(
        "admin_applications.check",
        "/applications/redirect-uris",
        page="/applications/new",
        fields={"redirect_uris": "https://logs.example/back"},
    ),
    deed(
        "admin_applications.create",
        "/applications/new",
        "application:created",
        fields={"name": "Harbor Logs", "redirect_uris": "https://logs.example/back"},
    ),
    deed(
        "admin_applications.create",
        "/applications/new/oidc",
        "application:created",
        fields={"name": "Shop", "redirect_uris": "https://shop.example/back"},
    ),
    deed(
        "admin_applications.save",
        "/applications/{shop}/edit",
        "application:updated",
        fields={
            "name": "Shop",
            "redirect_uris": "https://shop.example/back",
            "auth": "client_secret_post",
            "algorithm": "ES256",
        },
    ),
    deed(
        "admin_applications.save",
        "/applications/{logs}/edit",
        "application:updated",
        fields={"name": "Logs of Harbor", "redirect_uris": "https://logs.example/back"},
    ),
    deed(
        "admin_applications.replace",
        "/applications/{logs}/secret",
        "application:secret_replaced",
        fields={"overlap": "0"},
    ),
    deed(
        "admin_applications.begin_trial",
        "/applications/{logs}/try",
        "application:tried",
        "gateway_session:opened",
        fields={"email": "bo@harbor.example"},
    ),
    deed(
        "admin_applications.create",
        "/applications/new/cryptr",
        "application:created",
        fields={"name": "Board", "redirect_uris": "https://board.example/callback"},
    ),
    deed(
        "admin_applications.save",
        "/applications/{board}/edit",
        "application:updated",
        "application:updated",
        fields={"name": "Board", "redirect_uris": "https://board.example/back"},
    ),
    deed(
        "admin_applications.create",
        "/applications/new/duo",
        "application:created",
        fields={"name": "Harbor Door", "redirect_uris": "https://door.example/back"},
    ),
    deed(
        "admin_applications.save",
        "/applications/{duo}/edit",
        "application:updated",
        fields={"name": "VPN of Harbor", "redirect_uris": "https://vpn.example/duo"},
    ),
    deed(
        "admin_applications.create",
        "/applications/new/entra",
        "application:created",
        fields={
            "name": "Entra of Harbor",
            "cloud": "global",
            "app_id": APP_ID,
            "tenant_ids": TENANT,
        },
    ),
    deed(
        "admin_applications.save",
        "/applications/{entra}/edit",
        "entra_connection:changed",
        fields={
            "name": "Entra of Harbor",
            "cloud": "global",
            "app_id": TENANT,
            "tenant_ids": TENANT,
        },
    ),
    deed(
        "admin_user.unlink",
        "/users/{bo}/entra-accounts/{linked}/unlink",
        "entra_account:unlinked",
    ),
    deed("admin_applications.check_connection", "/applications/{entra}/check"),
    deed("admin_applications.delete", "/applications/{logs}/delete", "application:deleted"),
    deed(
        "admin_audit.change_retention",
        "/audit/retention/change?keep=days&days=400",
        "audit:retention_changed",
        why=True,
    ),
    deed(
        "admin_branding.preview",
        "/branding/preview",
        page="/branding",
        fields={"colour": "#0e5a6a"},
    ),
    deed("admin_branding.save", "/branding", "brand:changed", fields={"colour": "#7a1f5c"}),
    deed("admin_branding.reset", "/branding/reset", "brand:reset"),
    deed(
        "admin_messages.save",
        "/messages/channels/email",
        "method_setting:changed",
        fields={"digits": "8"},
    ),
    deed(
        "admin_messages.switch_on",
        "/messages/channels/email/switch-on",
        "method_setting:changed",
    ),
    deed(
        "admin_messages.switch_off",
        "/messages/channels/email/switch-off",
        "method_setting:changed",
    ),
    deed("admin_messages.accept", "/messages/risk/accept", "sending_rules:changed", why=True),
    deed("admin_messages.withdraw", "/messages/risk/withdraw", "sending_rules:changed"),
    deed(
        "admin_messages_limits.save",
        "/messages/limits/check?{limits}",
        "sending_rules:changed",
    ),
    deed(
        "admin_messages_limits.save_countries",
        "/messages/limits/countries/check?country=DE",
        "sending_rules:changed",
    ),
    deed(
        "admin_messages_texts.look",
        "/messages/texts/sms/en/preview",
        page="/messages/texts/sms/en",
        fields={"text": "{{code}} lasts {{minutes}} minutes."},
    ),
    deed(
        "admin_messages_texts.save",
        "/messages/texts/sms/en",
        "method_setting:changed",
        fields={"text": "{{code}} lasts {{minutes}} minutes."},
    ),
    deed(
        "admin_messages_texts.reset",
        "/messages/texts/sms/en/reset",
        "method_setting:changed",
    ),
    deed("admin_messages_providers.create", "/messages/providers/new/smtp", "provider:created"),
    # Twice, so that there are two to be put in another order.
    deed("admin_messages_providers.create", "/messages/providers/new/smtp", "provider:created"),
    deed(
        "admin_messages_providers.save",
        "/messages/providers/{account}/edit",
        "provider:changed",
        fields={"name": "Mail of ours"},
    ),
    deed(
        "admin_messages_providers.move_up",
        "/messages/providers/{account}/move-up",
        "provider:changed",
        page="/messages/providers",
    ),
    deed(
        "admin_messages_providers.trial",
        "/messages/providers/{real_account}/test",
        "provider:tested",
        production=True,
    ),
    deed(
        "admin_messages_providers.switch_off",
        "/messages/providers/{account}/switch-off",
        "provider:changed",
    ),
    deed(
        "admin_messages_providers.switch_on",
        "/messages/providers/{account}/switch-on",
        "provider:changed",
    ),
    deed(
        "admin_messages_providers.remove",
        "/messages/providers/{account}/remove",
        "provider:removed",
    ),
    deed(
        "admin_methods.save",
        "/methods/check?preset=strict",
        "method_setting:changed",
    ),
    deed("admin_methods.switch_off", "/methods/switch-off", "method_setting:changed"),
    deed("admin_methods.switch_on", "/methods/switch-on", "method_setting:changed"),
    deed(
        "admin_methods.switch_passkeys_on",
        "/methods/passkeys/switch-on",
        "method_setting:changed",
    ),
    deed(
        "admin_methods.save_passkeys",
        "/methods/passkeys",
        "method_setting:changed",
        fields={"user_verification": "required"},
    ),
    deed(
        "admin_methods.switch_passkeys_off",
        "/methods/passkeys/switch-off",
        "method_setting:changed",
    ),
    deed(
        "admin_policy.save",
        "/policy/check?rule=optional&application={notes}",
        "policy:changed",
    ),
    deed(
        "admin_policy_trusted_browsers.save",
        "/policy/trusted-browsers",
        "trust_rule:changed",
        fields={"days": "30"},
    ),
    deed(
        "admin_policy_trusted_browsers.create",
        "/policy/trusted-browsers/applications/new",
        "trust_rule:changed",
        fields={"application": "{notes}", "days": "7"},
    ),
    deed(
        "admin_policy_trusted_browsers.update",
        "/policy/trusted-browsers/applications/{notes}",
        "trust_rule:changed",
        fields={"days": "9"},
    ),
    deed(
        "admin_policy_trusted_browsers.remove",
        "/policy/trusted-browsers/applications/{notes}/remove",
        "trust_rule:removed",
    ),
    deed(
        "admin_policy.remove",
        "/policy/applications/{notes}/remove",
        "policy:removed",
    ),
]
"""In an order in which each finds what it needs."""

OF_ONESELF = {
    "admin_invitation.accept": {
        "invitation:accepted",
        "administrator:appointed",
        "user:created",
        "gateway_session:opened",
    },
    "admin_profile.rename": {"administrator:renamed"},
    "admin_profile.add_method": {"gateway_session:opened"},
    "admin_profile.end": {"administrator:signed_out"},
    "admin_profile.end_others": {"administrator:signed_out_elsewhere"},
    "admin_profile.change_password": {"administrator:password_changed", "gateway_session:opened"},
    "admin_sign_in.begin": {"gateway_session:opened"},
    "admin_sign_in.verify_again": {"gateway_session:opened"},
    "admin_sign_in.sign_out": {"administrator:signed_out"},
}
"""What administrators do at their own account: whatever the organization, each is recorded."""


@pytest.fixture
def reached(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Harbor]:
    with reaching(database_url, tmp_path, clock) as harbor:
        yield harbor


@pytest.fixture
def mail() -> Iterator[Post]:
    keep_secret(MAIL_PASSWORD)
    with post("none") as made:
        yield made


@ONE_DATABASE
def test_every_form_of_the_admin_area_has_a_row(harbor: Harbor) -> None:
    forms = {endpoint for endpoint, method, *_ in routes(harbor) if method == "POST"}
    assert forms == ({row.endpoint for row in DEEDS} | {*OF_ONESELF}) - {
        "admin_users.download",
        "admin_audit.export",
    }


@ONE_DATABASE
def test_every_deed_is_recorded_with_who_from_where_and_why(reached: Harbor, mail: Post) -> None:
    day = Day(reached, mail)
    for row in DEEDS:
        before, kept = day.newest(), None if row.kinds else contents(reached)
        day.does(row)
        if kept is not None:
            assert contents(reached) == kept, row.endpoint
            continue
        made = day.events_after(before)
        assert {event.kind for event in made} == {*row.kinds}, row.endpoint
        for event in made:
            assert event.actor == f"administrator:{day.nadia_id}", row.endpoint
            assert event.actor_label == day.nadia.email
            assert event.address == "127.0.0.1"
            assert event.device == "Firefox, Linux", row.endpoint
            assert event.organization_id == day.organization(row).id
            assert event.reason == (WHY if row.why else None), row.endpoint


@ONE_DATABASE
@pytest.mark.parametrize("row", OF_A_USER, ids=lambda row: row.endpoint.partition(".")[2])
def test_what_is_done_about_a_user_is_said_asked_once_told_and_recorded(
    reached: Harbor, mail: Post, row: Deed
) -> None:
    day = Day(reached, mail)
    for earlier in OF_A_USER[: OF_A_USER.index(row)]:
        if earlier.endpoint in NEEDED.get(row.endpoint, set()):
            day.does(earlier)
    day.prepares(row)
    before, heard = day.newest(), day.heard()
    page = day.asks(row)
    assert row.says in page.text
    assert "audit record keeps" in page.text or "stays in the audit record" in page.text
    told = f"We tell {EMAIL} by email" if row.tells else ""
    assert told in page.text or f"We email {EMAIL}" in page.text
    assert row.tells or "is not told" in page.text
    assert [form for form in page.forms if not form["action"]] == [page.forms[-1]]
    assert (day.newest(), day.heard()) == (before, heard)  # it only asks
    day.does(row)
    assert day.heard() == heard + Counter([row.tells] if row.tells else [])
    assert {event.kind for event in day.events_after(before)} == {*row.kinds}


NEEDED = {
    "admin_user.withdraw_invitation": {"admin_user.invite"},
    "admin_user.withdraw_bypass": {"admin_user.give_bypass"},
    "admin_user.lift": {"admin_user.suspend"},
}
"""What has to be done before."""


@ONE_DATABASE
def test_what_administrators_do_at_their_own_account_is_recorded(harbor: Harbor) -> None:
    own = OwnAccount(harbor)
    own.goes_on("admin_profile.rename", "/admin/profile/name", name="Nadia")
    own.goes_on("admin_sign_in.verify_again", "/admin/verify")
    own.goes_on("admin_profile.add_method", "/admin/profile/add-method")
    own.signs_another_browser_out("admin_profile.end")
    own.signs_another_browser_out("admin_profile.end_others")
    own.changes_the_password()
    own.signs_out_and_in()
    own.lets_somebody_join()
    assert own.seen == OF_ONESELF


class OwnAccount:
    """An administrator at the pages that belong to no organization."""

    def __init__(self, harbor: Harbor) -> None:
        self.harbor, self.nadia = harbor, harbor.administrator()
        self.seen: dict[str, set[str]] = {}

    def goes_on(self, endpoint: str, path: str, **fields: str) -> None:
        """Send a form, and note down what was recorded."""
        before, browser = newest(self.harbor), self.nadia.browser
        data = {"csrf_token": browser.form_token, **fields}
        browser.goes_to(path, "POST", data=data, headers={"User-Agent": FIREFOX})
        assert self.nadia.status < 400, self.nadia.text
        made = events_after(self.harbor, before)
        for event in made:
            assert event.actor.startswith("administrator"), endpoint
            assert event.address == "127.0.0.1", (endpoint, event.kind)
            assert event.device == "Firefox, Linux", endpoint
        self.seen[endpoint] = {event.kind for event in made}

    def signs_another_browser_out(self, endpoint: str) -> None:
        elsewhere = replace(self.nadia, browser=self.harbor.browser())
        elsewhere.signs_in()
        self.harbor.clock.advance(30)
        self.nadia.browser.goes_to("/admin/profile")
        ends = [form["action"] for form in self.nadia.page.forms if "/sessions/" in form["action"]]
        others = endpoint == "admin_profile.end_others"
        self.goes_on(endpoint, next(path for path in ends if path.endswith("-others") == others))
        assert elsewhere.browser.goes_to("/admin/profile").page.heading == "Sign in"

    def changes_the_password(self) -> None:
        new = keep_secret(NEW_PASSWORD)
        path = "/admin/profile/password"
        self.goes_on("admin_profile.change_password", path, current=PASSWORD, password=new)
        self.nadia.proves()
        self.harbor.clock.advance(30)

    def signs_out_and_in(self) -> None:
        self.goes_on("admin_sign_in.sign_out", "/admin/sign-out")
        who = {"email": self.nadia.email, "password": NEW_PASSWORD}
        self.goes_on("admin_sign_in.begin", "/admin/sign-in", **who)
        self.nadia.proves()

    def lets_somebody_join(self) -> None:
        self.nadia.at("/administrators/invite")
        self.nadia.browser.submits(1, email="bo@harbor.example", role="auditor")
        link = next(word for word in self.nadia.text.split() if "/admin/invitation" in word)
        keep_secret(link.partition("=")[2])
        self.nadia.browser = self.harbor.browser()
        self.nadia.browser.goes_to(link)
        path = "/admin/invitation"
        self.goes_on("admin_invitation.accept", path, name="Bo", password=NEW_PASSWORD)


def newest(harbor: Harbor) -> int:
    return int(harbor.rows(sa.select(sa.func.max(Event.id)))[0][0])


def events_after(harbor: Harbor, number: int) -> list[Event]:
    """Return what administrators did since then."""
    since = sa.select(Event).where(Event.id > number, Event.actor.startswith("administrator"))
    return [event for (event,) in harbor.rows(since.order_by(Event.id))]


class Day:
    """An owner at work, with something of everything to work on."""

    def __init__(self, harbor: Harbor, mail: Post) -> None:
        self.harbor, self.mail = harbor, mail
        self.prepared: set[str] = set()
        harbor.administrator(Role.AUDITOR, "ines@harbor.example", signed_in=False)
        self.nadia = harbor.administrator()
        self.real = production(harbor)
        self.nadia_there = runs(harbor, self.real, email=self.nadia.email)
        self.nadia_there.at("/messages/providers/new/smtp")
        self.nadia_there.browser.submits(1, **mail_account(mail))
        mine = sa.select(Administrator.id).where(Administrator.email == self.nadia.email)
        self.nadia_id = harbor.rows(mine)[0][0]

    def organization(self, row: Deed) -> Organization:
        return self.real if row.production else self.harbor.organization

    def at(self, row: Deed) -> Person:
        """Return who does it, where it can be done."""
        return self.nadia_there if row.production else self.nadia

    def names(self) -> dict[str, str]:
        """Return what stands for the names in braces, as things are now."""
        user = sa.select(User.id).where(User.email == "bo@harbor.example")
        accounts = sa.select(ProviderAccount.id).order_by(ProviderAccount.position.desc())
        theirs = (User, User.id == Authenticator.user_id)
        found: dict[str, sa.Select[Any]] = {
            "bo": user,
            "authenticator": sa.select(Authenticator.id)
            .join(*theirs)
            .where(User.email == EMAIL, Authenticator.status == AuthenticatorStatus.ACTIVE),
            "browser": sa.select(TrustedBrowser.id),
            "job": sa.select(ImportJob.id).where(ImportJob.finished_at.is_(None)),
            "invitation": sa.select(Invitation.id),
            "auditor": sa.select(Administrator.id).where(
                Administrator.email == "ines@harbor.example"
            ),
            "key": sa.select(ApiKey.id).where(ApiKey.name == "Nightly"),
            "entra": sa.select(EntraConnection.application_id),
            "linked": sa.select(EntraAccount.id),
            "logs": sa.select(Application.id).where(
                Application.name.in_(["Harbor Logs", "Logs of Harbor"])
            ),
            "shop": sa.select(Application.id).where(Application.name == "Shop"),
            "duo": sa.select(DuoClient.application_id),
            "board": sa.select(CryptrClient.application_id),
            "webhook": sa.select(Webhook.id),
            "delivery": sa.select(WebhookDelivery.id),
            "account": accounts.where(
                ProviderAccount.organization_id == self.harbor.organization.id
            ),
            "real_account": accounts.where(ProviderAccount.organization_id == self.real.id),
        }
        rows = {name: self.harbor.rows(statement) for name, statement in found.items()}
        known = {name: str(row[0][0]) for name, row in rows.items() if row}
        rules = Rules(countries=("FR",))
        limits: dict[str, Any] = {name: getattr(rules, name) for name in NUMBERS}
        limits |= {"cooldowns": ", ".join(map(str, rules.cooldowns)), "monthly_budget": 77}
        known |= {"ada": self.harbor.ada, "notes": self.harbor.notes.client_id}
        return {**known, "limits": urlencode(limits)}

    def prepares(self, row: Deed) -> None:
        """Let Ada have what the deed is about."""
        if row.endpoint in self.prepared:
            return
        self.prepared.add(row.endpoint)
        if row.endpoint in {"admin_user.reset_one", "admin_user.reset"}:
            self.harbor.enrolls()
        if row.endpoint == "admin_webhooks.replay":
            over = {"status": DeliveryStatus.DELIVERED, "ended_at": self.harbor.clock.now()}
            self.harbor.executes(sa.update(WebhookDelivery).values(over))
        if "revoke_browser" in row.endpoint:
            self.is_trusted()
        if row.endpoint == "admin_applications.check_connection":
            meets(self.harbor)
        if row.endpoint == "admin_user.unlink":
            with self.harbor.services.database.writing() as tx:
                names = self.names()
                tx.add(entra_account(self.harbor, names["entra"], names["bo"]))
        had = {"admin_user.unlock": {"failures": 100}, "admin_user.approve": {"reenrollments": 5}}
        if row.endpoint in had:
            ada = sa.update(User).where(User.email == EMAIL)
            self.harbor.executes(ada.values(had[row.endpoint]))

    def is_trusted(self) -> None:
        """Let Ada trust a browser."""
        with self.harbor.services.database.writing() as tx:
            tx.add(trusted_browser(self.harbor))

    def asks(self, row: Deed) -> Page:
        """Open the page with the form."""
        self.prepares(row)
        person = self.at(row)
        person.at((row.page or row.path).format(**self.names()))
        assert person.status == 200, (row.endpoint, person.status, person.text)
        return person.page

    def does(self, row: Deed) -> None:
        """Fill the form in and send it, with a browser that says what it is."""
        if not row.path.endswith(".csv"):
            self.asks(row)
        reply = self.sends(row, self.at(row))
        assert reply.status in {200, 303}, (row.endpoint, reply.status, reply.page.text)

    def sends(self, row: Deed, person: Person) -> Reply:
        path, headers = row.path.format(**self.names()), {"User-Agent": FIREFOX}
        if path.endswith(".csv"):
            return person.browser.goes_to(person.place + path, headers=headers)
        if row.endpoint == "admin_users_imports.create":
            file = b"email\nkit@harbor.example\n"
            return sends(person, file, "users.csv", headers=headers)
        fields = {name: value.format(**self.names()) for name, value in row.fields.items()}
        fields |= {"reason": WHY} if row.why else {}
        data = {"csrf_token": person.browser.form_token, **self.shown(path, person), **fields}
        more: dict[str, Any] = {"data": data, "headers": {}}
        if row.endpoint.startswith("admin_branding"):
            more = multipart({**data, **typed(**fields)}, None)
        more["headers"] |= headers
        return person.browser.goes_to(person.place + path, "POST", **more)

    def shown(self, path: str, person: Person) -> dict[str, str]:
        """Return what the form on the page would send as it stands."""
        if path.endswith("/new/smtp"):
            return mail_account(self.mail)
        for form in person.page.forms:
            if (form["action"] or person.browser.path).endswith(path.partition("?")[0]):
                return dict(form["fields"])
        return {}

    def newest(self) -> int:
        return newest(self.harbor)

    def events_after(self, number: int) -> list[Event]:
        return events_after(self.harbor, number)

    def heard(self) -> Counter[str]:
        """Return the subjects of what was sent to Ada."""
        mine = sa.select(Message.subject).where(Message.recipient == EMAIL)
        return Counter(row.subject for row in self.harbor.rows(mine))
