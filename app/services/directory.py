"""Users: the people of an organization, from creating them to deleting them."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import touched_one
from app.errors import Invalid, NotFound, Refusal
from app.models import Organization, User
from app.services.audit import Actor, Audit, EventKind
from app.services.contact_notices import Before, ContactNotices
from app.services.phone_numbers import checked_phone_number
from app.services.user_fields import (
    CONTACT_NEEDED,
    UserChanges,
    apply,
    checked,
    checked_email,
    checked_external_id,
    email_key,
    name_keys,
)

_MINE = sa.select(User).where(User.organization_id == sa.bindparam("organization_id"))


def _with_locked(found: sa.Select[User]) -> dict[bool, sa.Select[User]]:
    """Return a select as it is, and one that holds the row until the transaction ends."""
    held = found.with_for_update().execution_options(populate_existing=True)
    return {False: found, True: held}


_BY_ID = _with_locked(_MINE.where(User.id == sa.bindparam("user_id")))
_BY_EMAIL = _with_locked(_MINE.where(User.email_key == sa.bindparam("email_key")))


class Directory:
    """The users of every organization; each look-up starts from the organization."""

    def __init__(self, clock: Clock, contact_notices: ContactNotices, audit: Audit) -> None:
        self._clock = clock
        self._contact_notices = contact_notices
        self._audit = audit

    def create(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        *,
        email: str | None = None,
        phone_number: str | None = None,
        external_id: str | None = None,
        profile: dict[str, Any] | None = None,
        named: bool = False,
    ) -> User:
        """Create a user, known by an address, a number, or both.

        Args:
            named: whether the external id will do, as an application names its user by it.

        Raises:
            Invalid: the address or the number can't be used, or there is neither.
            Refusal: `email_taken`, `external_id_taken`, or, for a user without an address,
                `phone_number_taken` within the organization.
        """
        now = self._clock.now()
        if not (email or phone_number or (named and external_id)):
            raise Invalid("email", CONTACT_NEEDED)
        address = checked_email(email) if email else None
        user = User(
            id=uuid.uuid4(),
            organization_id=organization.id,
            organization=organization,
            email=address,
            email_key=email_key(address) if address else None,
            phone_number=checked_phone_number(phone_number) if phone_number else None,
            external_id=checked_external_id(external_id) if external_id else None,
            profile=profile or {},
            **name_keys(profile or {}),
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

    def find(
        self, tx: Session, organization: Organization, id_or_email: str, *, locked: bool = False
    ) -> User:
        """Return the organization's user with this id or this e-mail address.

        Args:
            locked: whether to hold the row until the transaction ends.

        Raises:
            NotFound: nobody here has it.
        """
        mine = {"organization_id": organization.id}
        if (user_id := _uuid(id_or_email)) is not None:
            found = tx.scalar(_BY_ID[locked], mine | {"user_id": user_id})
        elif (address := _email(id_or_email)) is not None:
            found = tx.scalar(_BY_EMAIL[locked], mine | {"email_key": email_key(address)})
        else:
            found = None
        if found is None:
            raise NotFound("user")
        found.organization = organization
        return found

    def page(
        self, tx: Session, organization: Organization, *, page: int, per_page: int
    ) -> tuple[list[User], int]:
        """Return a page of the organization's users, newest first, and their number."""
        mine = User.organization_id == organization.id
        total = tx.scalar(sa.select(sa.func.count()).select_from(User).where(mine)) or 0
        newest = sa.select(User).where(mine).order_by(User.created_at.desc(), User.id.desc())
        rows = tx.scalars(newest.limit(per_page).offset((page - 1) * per_page))
        return list(rows), total

    def update(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        id_or_email: str,
        changes: UserChanges,
    ) -> User:
        """Change what is given of a user, and record the names of what changed.

        Whoever had confirmed anything with us is told at the old address when it is another now,
        and of another number where they were told of things before.

        Raises:
            NotFound: nobody here has this id or address.
            Invalid: a value can't be used, or no contact would be left.
            Refusal: `email_taken`, `external_id_taken`, or, for a user without an address,
                `phone_number_taken` within the organization.
        """
        user = self.find(tx, organization, id_or_email, locked=True)
        wanted, before = checked(changes), Before.of(user)
        try:
            with tx.begin_nested():
                changed = apply(user, wanted)
                self._refuse_taken(tx, user)
        except IntegrityError:  # somebody else was faster
            apply(user, wanted)
            self._refuse_taken(tx, user)
            raise
        if changed:
            user.updated_at = self._clock.now()
            self._audit.record(
                tx,
                EventKind.USER_UPDATED,
                actor,
                organization_id=organization.id,
                user_id=user.id,
                fields=", ".join(changed),
            )
        self._contact_notices.tell(tx, actor, organization, user, before)
        return user

    def delete(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        user: User,
        *,
        why: str | None = None,
    ) -> None:
        """Delete a user with all that the user has; only the events stay.

        Args:
            why: an administrator's reason.

        Raises:
            NotFound: somebody else deleted the user first.
        """
        mine = sa.delete(User).where(User.organization_id == organization.id, User.id == user.id)
        if not touched_one(tx, mine):
            raise NotFound("user")
        self._audit.record(
            tx,
            EventKind.USER_DELETED,
            actor,
            organization_id=organization.id,
            user_id=user.id,
            why=why,
        )

    def _refuse_taken(self, tx: Session, user: User) -> None:
        mine = sa.select(User.id).where(
            User.organization_id == user.organization_id, User.id != user.id
        )
        with tx.no_autoflush:
            if user.email_key and tx.scalar(mine.where(User.email_key == user.email_key)):
                raise _email_taken()
            if user.email_key is None and tx.scalar(mine.where(known_by(user.phone_number))):
                raise Refusal(
                    "phone_number_taken", "another user is known by this phone_number alone"
                )
            if user.external_id and tx.scalar(mine.where(User.external_id == user.external_id)):
                raise Refusal("external_id_taken", "external_id has already been taken")


def known_by(number: str | None) -> sa.ColumnElement[bool]:
    """Return, as SQL, whether a user is known by this number (E.164) and nothing else."""
    return sa.and_(User.email_key.is_(None), User.phone_number == number)


def _email_taken() -> Refusal:
    return Refusal("email_taken", "email has already been taken")


def _email(value: str) -> str | None:
    """Return the address as `create` would keep it, so that only its own spellings find a user."""
    try:
        return checked_email(value)
    except Invalid:
        return None


def _uuid(value: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except ValueError:
        return None
