"""Subjects: whom an application of another protocol means, by its own name for the user."""

from __future__ import annotations

import contextlib
import unicodedata

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.errors import Invalid, NotFound, Refusal
from app.models import Application, Organization, User
from app.services.audit import Actor
from app.services.directory import Directory
from app.services.organizations import Organizations

_RACED = {"email_taken", "external_id_taken"}


class Subjects:
    """Finds the organization and the user that an application names, or makes the user."""

    def __init__(self, organizations: Organizations, directory: Directory) -> None:
        self._organizations = organizations
        self._directory = directory

    def organization(
        self, tx: Session, application: Application, domain: str | None = None
    ) -> Organization:
        """Return the organization whose user an application means.

        Args:
            domain: as the application names it; an application of one alone need not.

        Raises:
            Refusal: `organization_unknown`: it serves none of that name, or several.
        """
        serves = [one for one in application.organizations if one.deleted_at is None]
        if domain is None and len(serves) == 1:
            return serves[0]
        with contextlib.suppress(NotFound):
            found = self._organizations.find(tx, application.environment, domain or "")
            if application.serves(found):
                return found
        raise Refusal(
            "organization_unknown",
            "The application serves several organizations, or not the one that it names.",
        )

    def find(self, tx: Session, organization: Organization, name: str) -> User | None:
        """Return the user of an organization with this id, e-mail address, or external id.

        An external id that differs in case, spaces or spelling of letters alone means the same
        user: where the application's own sign-in takes "ADA" for "ada", whoever types that must
        meet Ada's methods, and not begin as somebody new.

        Raises:
            Refusal: `user_ambiguous`: several differ from the name in that alone.
        """
        with contextlib.suppress(NotFound):
            return self._directory.find(tx, organization, name)
        of = sa.select(User).where(User.organization_id == organization.id)
        found = tx.scalar(of.where(User.external_id == name)) or self._alike(tx, of, name)
        if found is not None:
            found.organization = organization
        return found

    def _alike(self, tx: Session, of: sa.Select[User], name: str) -> User | None:
        plain = _plain(name)
        if found := tx.scalar(of.where(User.external_id == plain)):
            return found
        alike = tx.scalars(of.where(sa.func.lower(User.external_id) == plain).limit(2)).all()
        if len(alike) > 1:
            raise Refusal(
                "user_ambiguous",
                "The external ids of several users differ in case alone, and none is this name.",
            )
        return alike[0] if alike else None

    def find_or_create(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        application: Application,
        name: str,
    ) -> User | None:
        """Return whom an application names for sure; one whom we don't know is made if it may.

        Args:
            name: an address becomes the new user's e-mail address, all else the external id, in
                lower case.
        """
        found = self.find(tx, organization, name)
        if found is not None or not application.creates_users:
            return found
        try:
            return self._create(tx, actor, organization, name)
        except Refusal as refusal:
            if refusal.code not in _RACED:
                raise
            return self.find(tx, organization, name)

    def _create(self, tx: Session, actor: Actor, organization: Organization, name: str) -> User:
        with contextlib.suppress(Invalid):
            return self._directory.create(tx, actor, organization, email=name)
        return self._directory.create(tx, actor, organization, external_id=_plain(name), named=True)


def _plain(name: str) -> str:
    """Return the one spelling of a name that stands for all that mean the same."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
