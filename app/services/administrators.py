"""Administrators: the people who sign in to the admin area."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from app.clock import Clock
from app.errors import Invalid
from app.models import (
    Administrator,
    User,
)
from app.services import passwords
from app.services.administration import Administration
from app.services.administrator_events import AdministratorEvents
from app.services.administrator_sessions import AdministratorSessions
from app.services.audit import Actor, EventKind
from app.services.delivery import Delivery
from app.services.directory import Directory
from app.services.password_guesses import PasswordGuesses
from app.services.user_fields import checked_email, email_key

_WITH_USER = joinedload(Administrator.user).joinedload(User.organization)
_NAME_LENGTH = 100


class Administrators:
    """Finds administrators, and changes what is theirs."""

    def __init__(
        self,
        clock: Clock,
        administration: Administration,
        sessions: AdministratorSessions,
        directory: Directory,
        delivery: Delivery,
        events: AdministratorEvents,
        guesses: PasswordGuesses,
    ) -> None:
        self._clock = clock
        self._administration = administration
        self._sessions = sessions
        self._directory = directory
        self._delivery = delivery
        self._events = events
        self._guesses = guesses

    def create(
        self, tx: Session, actor: Actor, *, email: str, name: str, password_hash: str
    ) -> Administrator:
        """Create an administrator, who has no role yet, with the user whose factor is asked for.

        Args:
            actor: by whose hand.
            password_hash: as `passwords.hashed` returns it.

        Raises:
            Invalid: the address or the name can't be used.
            Refusal: `email_taken`.
        """
        home = self._administration.ensure(tx)
        address, now = checked_email(email), self._clock.now()
        user = self._directory.create(tx, actor, home, email=address)
        administrator = Administrator(
            id=uuid.uuid4(),
            user_id=user.id,
            user=user,
            email=address,
            email_key=email_key(address),
            name=checked_name(name),
            password_hash=password_hash,
            password_changed_at=now,
            known_failures=0,
            created_at=now,
        )
        tx.add(administrator)
        tx.flush()
        return administrator

    def named(self, tx: Session, email: str) -> Administrator | None:
        """Return the administrator with this e-mail address."""
        try:
            key = email_key(checked_email(email))
        except Invalid:
            return None
        found = sa.select(Administrator).where(Administrator.email_key == key)
        return tx.scalar(found.options(_WITH_USER))

    def of_user(self, tx: Session, user_id: str) -> Administrator | None:
        """Return the administrator whose second factor is this user's."""
        found = sa.select(Administrator).where(Administrator.user_id == uuid.UUID(user_id))
        return tx.scalar(found.options(_WITH_USER))

    def rename(self, tx: Session, actor: Actor, administrator: Administrator, name: str) -> None:
        """Change how people call an administrator.

        Raises:
            Invalid: nobody could read it.
        """
        name = checked_name(name)
        if name != administrator.name:
            administrator.name = name
            self._events.record(
                tx, EventKind.ADMINISTRATOR_RENAMED, actor, administrator, name=name
            )

    def set_password(
        self, tx: Session, actor: Actor, administrator: Administrator, password_hash: str
    ) -> None:
        """Change the password, tell its owner, and end every session that rests on the old one."""
        administrator.password_hash = password_hash
        administrator.password_changed_at = self._clock.now()
        administrator.known_failures, administrator.known_retry_at = 0, None
        self._guesses.forgive(tx, administrator.email)
        self._sessions.end_all(tx, administrator)
        self._events.record(tx, EventKind.ADMINISTRATOR_PASSWORD_CHANGED, actor, administrator)
        self.tell(tx, actor, administrator, "password_changed")

    def tell(
        self,
        tx: Session,
        actor: Actor,
        administrator: Administrator,
        name: str,
        **facts: Any,
    ) -> None:
        """Tell an administrator what happened to what they may do here.

        Args:
            name: of the text in `templates/messages`.
        """
        home = self._administration.organization(tx)
        self._delivery.notify(tx, actor, home, administrator.user, name, **facts)


def checked_name(name: str) -> str:
    """Return a person's name with its spaces in order.

    Raises:
        Invalid: nobody could read it.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= _NAME_LENGTH or not name.isprintable():
        raise Invalid("name", f"Write 1 to {_NAME_LENGTH} characters.")
    return name


def administrator_actor(administrator: Administrator, peer: Actor) -> Actor:
    """Return an administrator as the one who acts, from where the peer is."""
    return Actor(
        name=f"administrator:{administrator.id}",
        label=administrator.email,
        address=peer.address,
        device=peer.device,
    )


def new_hash(password: str, *known: str) -> str:
    """Return the hash of a password that may be used; see `passwords.checked`."""
    return passwords.hashed(passwords.checked(password, *known))
