"""A backend that shows pages of its own: what it sends for its user, and what it is told."""

from __future__ import annotations

from typing import Any

from tests.actors import Phone, Reply, keep_secret
from tests.conftest import Harbor

PATH = "/org/harbor"


def enrolls(harbor: Harbor, user: str | None = None, **fields: Any) -> Reply:
    """Begin an enrollment, and keep what must not be logged."""
    path = f"{PATH}/totp-enrollment/{user or harbor.ada}"
    reply = harbor.backend.calls("POST", path, json=fields)
    if reply.status == 201:
        secrets = [reply.json["code"], *(reply.json["recovery_codes"] or "").split()]
        for secret in filter(None, secrets):
            keep_secret(secret)
    return reply


def confirms(harbor: Harbor, code: Any, user: str | None = None) -> Reply:
    path = f"{PATH}/totp-enrollment/validation/{user or harbor.ada}"
    return harbor.backend.calls("PUT", path, json={"code": code})


def challenges(harbor: Harbor, user: str | None = None) -> Reply:
    reply = harbor.backend.calls("POST", f"{PATH}/totp-challenge/{user or harbor.ada}")
    if reply.status == 201 and reply.json["code"]:
        keep_secret(reply.json["code"])
    return reply


def verifies(harbor: Harbor, code: Any, user: str | None = None) -> Reply:
    path = f"{PATH}/totp-challenge/validation/{user or harbor.ada}"
    return harbor.backend.calls("POST", path, json={"code": code})


def has_phone(harbor: Harbor, user: str | None = None, **fields: Any) -> tuple[Phone, list[str]]:
    """Enroll and confirm an authenticator app; return it, and the recovery codes."""
    begun = enrolls(harbor, user, **fields)
    assert begun.status == 201, begun.text
    phone = Phone(begun.json["otp_uri"])
    confirmed = confirms(harbor, harbor.code(phone), user)
    assert confirmed.json["success"] is True, confirmed.text
    harbor.clock.advance(30)
    return phone, (begun.json["recovery_codes"] or "").split()


def connects(harbor: Harbor, **settings: Any) -> Reply:
    """Set up the TOTP connection."""
    return harbor.backend.calls("PUT", f"{PATH}/totp-connection", json=settings)


def by_sms(harbor: Harbor, phone_number: str = "+33612345678") -> str:
    """Offer codes by SMS, and return a user with a phone number."""
    assert connects(harbor, methods=["app", "sms"]).status == 200
    user = {"email": "sam@harbor.example", "phone_number": phone_number}
    return str(harbor.backend.calls("POST", f"{PATH}/users", json=user).json["id"])


def has_sms(harbor: Harbor) -> tuple[str, list[str]]:
    """Return a user with confirmed codes by SMS, and the recovery codes."""
    user = by_sms(harbor)
    begun = enrolls(harbor, user, method="sms")
    assert confirms(harbor, begun.json["code"], user).json["success"] is True
    return user, begun.json["recovery_codes"].split()


def next_day(harbor: Harbor) -> None:
    """Let a day pass; the token of yesterday is over."""
    harbor.clock.advance(24 * 60 * 60)
    harbor.backend._token = ""
