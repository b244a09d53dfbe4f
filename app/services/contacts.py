"""Contacts: how API v1 names people, by an e-mail address, a phone number, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.errors import Refusal
from app.models import Organization, User
from app.services.audit import Actor
from app.services.directory import Directory
from app.services.user_fields import UserChanges, email_key, named_by_number

_RACED = {"email_taken", "phone_number_taken"}


@dataclass(frozen=True, kw_only=True)
class Contact:
    """Where somebody is reached; one of both at least.

    Attributes:
        email: in its normal form.
        phone_number: in E.164.
    """

    email: str | None = None
    phone_number: str | None = None


class Contacts:
    """Finds and adds users by their contacts; each look-up starts from the organization."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def find(self, tx: Session, organization: Organization, contact: Contact) -> User | None:
        """Return whose contact it is, if anybody's.

        Raises:
            Refusal: `phone_number_ambiguous`; `contact_mismatch`, if the address and the number
                are not of one user.
        """
        found = self._find(tx, organization, contact)
        if found is not None:
            found.organization = organization
        return found

    def known(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        contact: Contact,
        *,
        may_add: bool,
    ) -> User:
        """Return whose contact it is; an unknown one becomes a user with that alone.

        Of an address and a number that belong together the one that was unknown is added.

        Args:
            may_add: whether the caller may add and change users.

        Raises:
            Refusal: as `find` does; `forbidden`, if somebody had to be added and may not be.
        """
        user = self.find(tx, organization, contact)
        if user is not None and _has(user, contact):
            return user
        if not may_add:
            raise Refusal(
                "forbidden",
                "Nobody has this contact yet, and the key may not add it. It needs write:users.",
                status=403,
            )
        if user is None:
            return self._added(tx, actor, organization, contact)
        changes = UserChanges(email=contact.email, phone_number=contact.phone_number)
        return self._directory.update(tx, actor, organization, str(user.id), changes)

    def _added(
        self, tx: Session, actor: Actor, organization: Organization, contact: Contact
    ) -> User:
        try:
            return self._directory.create(
                tx,
                actor,
                organization,
                email=contact.email,
                phone_number=contact.phone_number,
            )
        except Refusal as refusal:
            found = self.find(tx, organization, contact) if refusal.code in _RACED else None
            if found is None:
                raise
            return found  # somebody else was faster

    def _find(self, tx: Session, organization: Organization, contact: Contact) -> User | None:
        mine = sa.select(User).where(User.organization_id == organization.id)
        by_email = None
        if contact.email is not None:
            by_email = tx.scalar(mine.where(User.email_key == email_key(contact.email)))
        if contact.phone_number is None:
            return by_email
        having = tx.scalars(mine.where(User.phone_number == contact.phone_number)).all()
        if contact.email is None:
            return named_by_number(having)
        return _one_of(by_email, having, contact)


def _has(user: User, contact: Contact) -> bool:
    """Tell whether the user has all of a contact by which they were found."""
    lacks_email = contact.email is not None and user.email is None
    return not lacks_email and contact.phone_number in (None, user.phone_number)


def _one_of(by_email: User | None, having: Sequence[User], contact: Contact) -> User | None:
    """Return the one user of an address and a number, who may lack one of them so far.

    Args:
        by_email: who has the address.
        having: who has the number.

    Raises:
        Refusal: `contact_mismatch`.
    """
    alone = next((user for user in having if user.email_key is None), None)
    if by_email is None and (alone is not None or not having):
        return alone
    if by_email is not None and by_email.phone_number == contact.phone_number:
        return by_email
    if by_email is not None and by_email.phone_number is None and not having:
        return by_email
    raise Refusal("contact_mismatch", "User: the address and the number are not of one user.")
