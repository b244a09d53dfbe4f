"""Codes that a backend has us send: what limits every code limits these, in both environments."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import (
    Authenticator,
    AuthenticatorStatus,
    Environment,
    Message,
    MessageStatus,
    Organization,
    User,
)
from app.services.audit import OPERATOR
from tests.actors import Backend, Reply, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.shapes import is_refused

PHONE, OTHER = "+33612345678", "+33698765432"


class Desk:
    """A backend of an organization whose text messages the gateway sends."""

    def __init__(self, harbor: Harbor, environment: Environment) -> None:
        self.harbor = harbor
        self.key: Backend = harbor.key(environment)
        assert self.key.calls("POST", "/organizations", json={"name": "Quay"}).status == 201
        services = harbor.services
        with services.database.writing() as tx:
            self.organization: Organization = services.organizations.find(tx, environment, "quay")
            if environment is Environment.PRODUCTION:
                values = {
                    "account_sid": "AC" + "0" * 32,
                    "auth_token": keep_secret("a token of the tests"),
                    "sms_from": "+33700000000",
                }
                draft = services.provider_accounts.draft(
                    "twilio", name="Texts", channels=["sms"], values=values
                )
                services.provider_accounts.create(tx, OPERATOR, self.organization, draft)
        settings = {"active": True, "methods": ["app", "sms"], "sms_delivery": "gateway"}
        reply = self.key.calls("PUT", "/org/quay/totp-connection", json=settings)
        assert reply.status == 200, reply.text

    def rules(self, **changes: Any) -> None:
        with self.harbor.services.database.writing() as tx:
            organization = tx.merge(self.organization)
            self.harbor.services.sending_rules.change(tx, OPERATOR, organization, **changes)

    def person(self, name: str, number: str = PHONE) -> str:
        fields = {"email": f"{name}@quay.example", "phone_number": number}
        return str(self.key.calls("POST", "/org/quay/users", json=fields).json["id"])

    def enrolls(self, user: str) -> Reply:
        fields = {"method": "sms"}
        return self.key.calls("POST", f"/org/quay/totp-enrollment/{user}", json=fields)

    def challenges(self, user: str) -> Reply:
        return self.key.calls("POST", f"/org/quay/totp-challenge/{user}")

    def has_sms(self, user: str, number: str = PHONE) -> None:
        """Give a user codes by SMS, who then may be challenged."""
        now = self.harbor.clock.now()
        with self.harbor.services.database.writing() as tx:
            person = tx.get_one(User, uuid.UUID(user))
            person.enrollment_open, person.enrolled = False, True
            tx.add(
                Authenticator(
                    user_id=person.id,
                    kind="sms",
                    recipient=number,
                    status=AuthenticatorStatus.ACTIVE,
                    created_at=now,
                    confirmed_at=now,
                )
            )

    def sent(self) -> list[MessageStatus]:
        sms = sa.select(Message.status).where(Message.name == "code")
        return [row[0] for row in self.harbor.rows(sms)]


@pytest.fixture(params=[Environment.SANDBOX, Environment.PRODUCTION])
def desk(harbor: Harbor, request: pytest.FixtureRequest) -> Desk:
    return Desk(harbor, request.param)


def is_limited(reply: Reply) -> None:
    assert (reply.status, reply.error) == (429, "rate_limited"), reply.text
    assert reply.json["error"]["retry_at"]
    assert int(reply.headers["retry-after"]) > 0


def test_a_code_is_sent_and_never_returned(desk: Desk) -> None:
    sam = desk.person("sam")
    assert desk.enrolls(sam).json["code"] is None
    captured = desk.organization.environment is Environment.SANDBOX
    assert desk.sent() == [MessageStatus.CAPTURED if captured else MessageStatus.QUEUED]


def test_a_challenge_waits_between_two_codes(desk: Desk) -> None:
    sam = desk.person("sam")
    desk.has_sms(sam)
    assert desk.challenges(sam).status == 201
    is_limited(desk.challenges(sam))
    assert len(desk.sent()) == 1
    desk.harbor.clock.advance(30)
    assert desk.challenges(sam).status == 201


def test_a_refused_enrollment_leaves_nothing_begun(desk: Desk) -> None:
    sam, kim = desk.person("sam"), desk.person("kim")
    assert desk.enrolls(sam).status == 201
    is_limited(desk.enrolls(kim))  # who has the same number
    pending = sa.select(Authenticator.user_id)
    assert [str(row[0]) for row in desk.harbor.rows(pending)] == [sam]


@pytest.mark.parametrize(
    "cap", ["per_user_day", "per_number_day", "per_organization_day", "monthly_budget"]
)
@ONE_DATABASE
def test_every_cap_binds_here_too(desk: Desk, cap: str) -> None:
    sam = desk.person("sam")
    desk.has_sms(sam)
    desk.rules(cooldowns=(10,), **{cap: 2})
    for _ in range(2):
        assert desk.challenges(sam).status == 201
        desk.harbor.clock.advance(10)
    is_limited(desk.challenges(sam))
    assert len(desk.sent()) == 2


@ONE_DATABASE
def test_numbers_that_begin_alike_share_a_cap(desk: Desk) -> None:
    desk.rules(per_prefix_hour=1)
    assert desk.enrolls(desk.person("sam")).status == 201
    is_limited(desk.enrolls(desk.person("kim", "+33612345999")))


@ONE_DATABASE
def test_a_country_that_was_not_allowed_gets_nothing(desk: Desk) -> None:
    desk.rules(countries=("DE",))
    is_refused(desk.enrolls(desk.person("sam")), 422, "country_not_allowed")
    assert desk.sent() == []


@ONE_DATABASE
def test_a_premium_number_gets_nothing(desk: Desk) -> None:
    is_refused(desk.enrolls(desk.person("sam", "+33899701234")), 422, "number_refused")
    assert desk.sent() == []


@ONE_DATABASE
def test_nothing_is_sent_once_the_channel_is_off(desk: Desk) -> None:
    services = desk.harbor.services
    with services.database.writing() as tx:
        services.channels.change(tx, OPERATOR, tx.merge(desk.organization), "sms", active=False)
    is_refused(desk.enrolls(desk.person("sam")), 422, "channel_unavailable")
    assert desk.sent() == []
