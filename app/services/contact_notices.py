"""Telling users of another address or number on record where they were told of things before."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.models import Organization, User
from app.services.audit import Actor
from app.services.delivery import Delivery
from app.services.masked import masked
from app.services.notice_reach import EMAIL, Reach
from app.services.user_fields import email_key


@dataclass(frozen=True, kw_only=True)
class Before:
    """How a user was reached before a change.

    Attributes:
        email: the address on record then.
        phone_number: the number on record then, in E.164.
        enrolled: whether the user had something to confirm with.
    """

    email: str | None
    phone_number: str | None
    enrolled: bool

    @classmethod
    def of(cls, user: User) -> Before:
        """Return how a user is reached now, for later."""
        return cls(email=user.email, phone_number=user.phone_number, enrolled=user.enrolled)


class ContactNotices:
    """Tells only who has something to confirm with."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery

    def tell(
        self, tx: Session, actor: Actor, organization: Organization, user: User, before: Before
    ) -> bool:
        """Tell a user what is on record in place of the address or number from before.

        Returns:
            Whether there was anything to tell.
        """
        if not before.enrolled:
            return False
        new_email = has_another_address(user, before)
        new_number = bool(before.phone_number) and user.phone_number != before.phone_number
        if new_email and before.email:
            old = Reach(channel=EMAIL, recipient=before.email)
            self._delivery.notify(
                tx, actor, organization, user, "email_changed", at=old, before=before.email
            )
        if new_number and before.phone_number:
            reached = self._delivery.reach_at(tx, user, before.email, before.phone_number)
            self._delivery.notify(
                tx,
                actor,
                organization,
                user,
                "phone_number_changed",
                at=reached,
                before=masked(before.phone_number),
            )
        return new_email or new_number


def has_another_address(user: User, before: Before) -> bool:
    """Tell whether an address was replaced; another spelling of it is the same."""
    return bool(before.email) and user.email_key != email_key(before.email or "")
