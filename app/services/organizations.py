"""Organizations: creating, finding and changing the tenants of the deployment."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import lock, touched_one
from app.errors import Invalid, NotFound, Refusal
from app.models import Environment, Organization
from app.services.audit import Actor, Audit, EventKind
from app.services.method_settings import MethodSettings

_DOMAIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_EMAIL_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_NAME_LENGTH = 100
_NAMED = sa.select(Organization).where(
    Organization.environment == sa.bindparam("environment"),
    Organization.domain == sa.bindparam("domain"),
    Organization.deleted_at.is_(None),
)


@dataclass(frozen=True, kw_only=True)
class OrganizationChanges:
    """What is to be different about an organization; None leaves a thing as it is.

    Attributes:
        locale: an empty one means none.
    """

    name: str | None = None
    email_domains: Sequence[str] | None = None
    locale: str | None = None


class Organizations:
    """Creates, finds, changes and deletes the tenants of the deployment."""

    def __init__(self, clock: Clock, method_settings: MethodSettings, audit: Audit) -> None:
        self._clock = clock
        self._method_settings = method_settings
        self._audit = audit

    def create(
        self,
        tx: Session,
        actor: Actor,
        *,
        environment: Environment,
        name: str,
        domain: str | None = None,
        email_domains: Sequence[str] = (),
        locale: str | None = None,
    ) -> Organization:
        """Create an organization with every method present and switched off.

        Args:
            name: as users will read it.
            domain: the slug in addresses; made from the name if not given.
            email_domains: of its people; informative.
            locale: language tag for its pages.

        Raises:
            Invalid: a field can't be used.
            Refusal: `domain_taken`, if the slug was given and another organization has it.
        """
        name = checked_name(name)
        now = self._clock.now()
        organization = Organization(
            environment=environment,
            domain=self._free_domain(tx, environment, name, domain),
            name=name,
            email_domains=_checked_email_domains(email_domains),
            locale=locale or None,
            created_at=now,
            updated_at=now,
        )
        self._add(tx, organization, domain)
        self._method_settings.create(tx, organization)
        self._record(tx, EventKind.ORGANIZATION_CREATED, actor, organization)
        return organization

    def find(self, tx: Session, environment: Environment, domain: str) -> Organization:
        """Return the organization with this slug.

        Raises:
            NotFound: there is none in this environment.
        """
        found = tx.scalar(_NAMED, {"environment": environment, "domain": domain})
        if found is None:
            raise NotFound("organization")
        return found

    def page(
        self,
        tx: Session,
        environment: Environment,
        *,
        page: int = 1,
        per_page: int | None = None,
        deleted: bool = False,
    ) -> tuple[list[Organization], int]:
        """Return a page of an environment's organizations, newest first, and their number.

        Args:
            per_page: None means all of them.
            deleted: those that can be restored, and only those.
        """
        chosen = _organizations(environment, deleted=deleted)
        total = tx.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
        newest = chosen.order_by(Organization.created_at.desc(), Organization.id)
        rows = tx.scalars(newest.limit(per_page).offset((page - 1) * (per_page or 0)))
        return list(rows), total

    def update(
        self, tx: Session, actor: Actor, organization: Organization, changes: OrganizationChanges
    ) -> None:
        """Change an organization, but never its slug.

        Raises:
            Invalid: a field can't be used.
            NotFound: somebody deleted it at this moment.
        """
        lock(tx, Organization.id, organization.id)
        tx.refresh(organization)
        if organization.deleted_at is not None:
            raise NotFound("organization")
        changed = []
        if changes.name is not None:
            organization.name = checked_name(changes.name)
            changed.append("name")
        if changes.email_domains is not None:
            organization.email_domains = _checked_email_domains(changes.email_domains)
            changed.append("email_domains")
        if changes.locale is not None:
            organization.locale = changes.locale or None
            changed.append("locale")
        if changed:
            organization.updated_at = self._clock.now()
            self._audit.record(
                tx,
                EventKind.ORGANIZATION_UPDATED,
                actor,
                organization_id=organization.id,
                changed=" ".join(changed),
            )

    def delete(self, tx: Session, actor: Actor, organization: Organization) -> None:
        """Let an organization, and all below it, be found by no door; its slug stays its own.

        Raises:
            NotFound: somebody deleted it at this moment.
        """
        self._set_deleted_at(tx, organization, self._clock.now())
        self._record(tx, EventKind.ORGANIZATION_DELETED, actor, organization)

    def restore(
        self, tx: Session, actor: Actor, environment: Environment, domain: str
    ) -> Organization:
        """Bring a deleted organization back, with all that it had.

        Raises:
            NotFound: no deleted one has this slug.
        """
        deleted = _organizations(environment, deleted=True)
        organization = tx.scalar(deleted.where(Organization.domain == domain))
        if organization is None:
            raise NotFound("deleted organization")
        self._set_deleted_at(tx, organization, None)
        self._record(tx, EventKind.ORGANIZATION_RESTORED, actor, organization)
        return organization

    def _set_deleted_at(
        self, tx: Session, organization: Organization, moment: datetime | None
    ) -> None:
        deleted = Organization.deleted_at
        before = deleted.is_(None) if moment else deleted.is_not(None)
        change = sa.update(Organization).where(Organization.id == organization.id, before)
        if not touched_one(tx, change.values(deleted_at=moment)):
            raise NotFound("organization")

    def _record(
        self,
        tx: Session,
        kind: EventKind,
        actor: Actor,
        organization: Organization,
    ) -> None:
        self._audit.record(tx, kind, actor, organization_id=organization.id)

    def _add(self, tx: Session, organization: Organization, wanted: str | None) -> None:
        """Add it under its slug, or under the next free one if somebody else was faster."""
        while True:
            try:
                with tx.begin_nested():
                    tx.add(organization)
                return
            except IntegrityError:
                free = self._free_domain(tx, organization.environment, organization.name, wanted)
                if free == organization.domain:
                    raise
                organization.domain = free

    def _free_domain(
        self, tx: Session, environment: Environment, name: str, wanted: str | None
    ) -> str:
        base = wanted if wanted is not None else slug(name)
        if len(base) > _NAME_LENGTH or not _DOMAIN.fullmatch(base):
            raise Invalid("domain", "use lower-case letters a to z, digits, and single dashes.")
        # A few names alike are usual; the unique constraint judges the race, see `_add`.
        taken = set(
            tx.scalars(
                sa.select(Organization.domain).where(
                    Organization.environment == environment,
                    sa.or_(Organization.domain == base, Organization.domain.like(f"{base}-%")),
                )
            )
        )
        if base not in taken:
            return base
        if wanted is not None:
            raise Refusal("domain_taken", f"domain: another organization is called {base}.")
        return next(free for n in range(2, len(taken) + 3) if (free := f"{base}-{n}") not in taken)


def _organizations(environment: Environment, *, deleted: bool = False) -> sa.Select[Organization]:
    """Select organizations: those that doors show, or those that can be restored."""
    gone = Organization.deleted_at.is_not(None)
    return sa.select(Organization).where(
        Organization.environment == environment, gone if deleted else ~gone
    )


def slug(name: str) -> str:
    """Return the name as it stands in addresses: no accents, lower-case, dashes for the rest."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def checked_name(name: str) -> str:
    """Return the name of an organization as we keep it.

    Raises:
        Invalid: it is empty, too long, or can't be printed.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= _NAME_LENGTH or not name.isprintable():
        raise Invalid("name", f"give it 1 to {_NAME_LENGTH} printable characters.")
    return name


def _checked_email_domains(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(_checked_email_domain(value) for value in values))


def _checked_email_domain(value: str) -> str:
    domain = value.strip().lower().removeprefix("@")
    if not _EMAIL_DOMAIN.fullmatch(domain):
        raise Invalid("email_domains", f"{value[:100]!r} is not a domain such as example.com.")
    return domain
