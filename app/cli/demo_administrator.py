"""The administrator of the demo: an owner, with password and authenticator app."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from sqlalchemy.orm import Session

from app.crypto import new_token
from app.models import Administrator, Organization, Role
from app.services import passwords
from app.services.audit import OPERATOR
from app.services.enrollment import Ground
from app.services.verification import Occasion
from app.wiring import Services

ADMINISTRATOR = ("nadia@harbor.example", "Nadia Benali")


def demo_administrator(wired: Services, tx: Session, organization: Organization) -> dict[str, str]:
    """Make an owner, or give the one who is there another password and another app."""
    email, name = ADMINISTRATOR
    password = new_token(96)
    made = passwords.hashed(password)
    found = wired.administrators.named(tx, email)
    if found is None:
        found = wired.administrators.create(
            tx, OPERATOR, email=email, name=name, password_hash=made
        )
    else:
        wired.administrators.set_password(tx, OPERATOR, found, made)
    if all(seat.organization.id != organization.id for seat in wired.appointments.seats(tx, found)):
        wired.appointments.appoint(tx, OPERATOR, organization, found, Role.OWNER)
    return {"email": email, "password": password, "totp_secret": _app_of(wired, tx, found)}


def _app_of(wired: Services, tx: Session, administrator: Administrator) -> str:
    """Enroll an authenticator app in place of all others, and return its key."""
    user = administrator.user
    wired.enrollment.reset(tx, OPERATOR, user.organization, user, reopen=True)
    pending = wired.enrollment.begin(tx, OPERATOR, user, "totp")
    key = wired.enrollment.prompt(tx, pending, user).view["key"]
    codes = HOTP(base64.b32decode(key), 6, SHA1())  # noqa: S303  (what authenticator apps compute)
    # The code before the current one, so that the current one still works for signing in.
    before = codes.generate(int(wired.clock.now().timestamp()) // 30 - 1).decode()
    wired.enrollment.confirm(
        tx, OPERATOR, user, pending, before, ground=Ground.FIRST, occasion=Occasion()
    )
    return key
