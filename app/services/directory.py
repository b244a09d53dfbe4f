"""Users: creating and finding the people of an organization."""

from __future__ import annotations

import uuid
from typing import Any

import phonenumbers
import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.errors import Invalid, NotFound, Refusal
from app.models import Organization, User
from app.services.audit import Actor, Audit, EventKind

_EXTERNAL_ID_LENGTH = 255


class Directory:
    """The users of every organization; each look-up starts from the organization."""

    def __init__(self, clock: Clock, audit: Audit) -> None:
        self._clock = clock
        self._audit = audit

    def create(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        *,
        email: str,
        phone_number: str | None = None,
        external_id: str | None = None,
        profile: dict[str, Any] | None = None,
    ) -> User:
        """Create a user.

        Raises:
            Invalid: the address or the number can't be used.
            Refusal: `email_taken` or `external_id_taken` within the organization.
        """
        now = self._clock.now()
        address = checked_email(email)
        user = User(
            organization_id=organization.id,
            organization=organization,
            email=address,
            email_key=_email_key(address),
            phone_number=checked_phone_number(phone_number) if phone_number else None,
            external_id=_checked_external_id(external_id) if external_id else None,
            profile=profile or {},
            created_at=now,
            updated_at=now,
        )
        self._refuse_taken(tx, user)
        try:
            with tx.begin_nested():
                tx.add(user)
        except IntegrityError:  # somebody else was faster
            self._refuse_taken(tx, user)
            raise
        self._audit.record(
            tx,
            EventKind.USER_CREATED,
            actor,
            organization_id=organization.id,
            user_id=user.id,
        )
        return user

    def find(self, tx: Session, organization: Organization, id_or_email: str) -> User:
        """Return the organization's user with this id or this e-mail address.

        Raises:
            NotFound: nobody here has it.
        """
        mine = sa.select(User).where(User.organization_id == organization.id)
        if (user_id := _uuid(id_or_email)) is not None:
            found = tx.scalar(mine.where(User.id == user_id))
        elif (address := _email(id_or_email)) is not None:
            found = tx.scalar(mine.where(User.email_key == _email_key(address)))
        else:
            found = None
        if found is None:
            raise NotFound("user")
        found.organization = organization
        return found

    def _refuse_taken(self, tx: Session, user: User) -> None:
        mine = sa.select(User.id).where(User.organization_id == user.organization_id)
        with tx.no_autoflush:
            if tx.scalar(mine.where(User.email_key == user.email_key)):
                raise _email_taken()
            if user.external_id and tx.scalar(mine.where(User.external_id == user.external_id)):
                raise Refusal("external_id_taken", "external_id has already been taken")


def checked_email(value: str) -> str:
    """Return the address in its normal form (ASCII before the @, a syntactically valid domain).

    Raises:
        Invalid: it is not an address.
    """
    try:
        # ASCII only: no two spellings of one address, no look-alike letters.
        return (
            validate_email(value, check_deliverability=False, allow_smtputf8=False).ascii_email
            or ""
        )
    except EmailNotValidError as error:
        raise Invalid("email", f"{error} Write one such as ada@example.com.") from None


def checked_phone_number(value: str) -> str:
    """Return the number in E.164, such as +33612345678.

    Raises:
        Invalid: it is not a possible number with its country code.
    """
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise Invalid("phone_number", "write it in E.164, such as +33612345678.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _checked_external_id(value: str) -> str:
    if len(value) > _EXTERNAL_ID_LENGTH or not value.isprintable():
        raise Invalid("external_id", f"use 1 to {_EXTERNAL_ID_LENGTH} printable characters.")
    return value


def _email_key(address: str) -> str:
    return address.lower()


def _email_taken() -> Refusal:
    return Refusal("email_taken", "email has already been taken")


def _email(value: str) -> str | None:
    """Return the address as `create` would keep it, so that only its own spellings find a user."""
    try:
        return checked_email(value.strip())
    except Invalid:
        return None


def _uuid(value: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except ValueError:
        return None
