"""Organizations, and which methods each offers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.clock import Clock
from app.errors import Invalid, NotFound, Refusal
from app.factors import FACTORS
from app.models import Environment, MethodSetting, Organization
from app.services.audit import Actor, Audit, EventKind

_DOMAIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_EMAIL_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}")
_NAME_LENGTH = 100


class Organizations:
    """Creates and finds the tenants of the deployment."""

    def __init__(self, clock: Clock, audit: Audit) -> None:
        self._clock = clock
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
        name = _checked_name(name)
        now = self._clock.now()
        organization = Organization(
            environment=environment,
            domain=self._free_domain(tx, environment, name, domain),
            name=name,
            email_domains=[_checked_email_domain(item) for item in email_domains],
            locale=locale,
            created_at=now,
            updated_at=now,
        )
        self._add(tx, organization, domain)
        tx.add_all(MethodSetting(organization_id=organization.id, kind=kind) for kind in FACTORS)
        self._audit.record(
            tx, EventKind.ORGANIZATION_CREATED, actor, organization_id=organization.id
        )
        return organization

    def find(self, tx: Session, environment: Environment, domain: str) -> Organization:
        """Return the organization with this slug.

        Raises:
            NotFound: there is none in this environment.
        """
        found = tx.scalar(
            sa.select(Organization).where(
                Organization.environment == environment, Organization.domain == domain
            )
        )
        if found is None:
            raise NotFound("organization")
        return found

    def page(
        self, tx: Session, environment: Environment, *, page: int, per_page: int
    ) -> tuple[list[Organization], int]:
        """Return a page of an environment's organizations, newest first, and their number."""
        chosen = sa.select(Organization).where(Organization.environment == environment)
        total = tx.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
        newest = chosen.order_by(Organization.created_at.desc(), Organization.id)
        rows = tx.scalars(newest.limit(per_page).offset((page - 1) * per_page))
        return list(rows), total

    def method_setting(self, tx: Session, organization: Organization, kind: str) -> MethodSetting:
        """Return whether and how the organization offers a factor."""
        setting = tx.get(MethodSetting, (organization.id, kind))
        if setting is None:  # the factor is younger than the organization
            setting = MethodSetting(
                organization_id=organization.id, kind=kind, active=False, strict=False
            )
            tx.add(setting)
        return setting

    def offered(self, tx: Session, organization: Organization) -> set[str]:
        """Return the kinds of factor that the organization has switched on."""
        rows = tx.scalars(
            sa.select(MethodSetting.kind).where(
                MethodSetting.organization_id == organization.id, MethodSetting.active
            )
        )
        return set(rows) & set(FACTORS)

    def switch(
        self,
        tx: Session,
        actor: Actor,
        organization: Organization,
        kind: str,
        *,
        active: bool | None = None,
        strict: bool | None = None,
    ) -> MethodSetting:
        """Switch a method on or off for the organization, and set how narrow it judges.

        Args:
            active: whether it is offered; None leaves that as it is.
            strict: whether only the current and the previous code count; None likewise.
        """
        setting = self.method_setting(tx, organization, kind)
        before = (setting.active, setting.strict)
        setting.active = setting.active if active is None else active
        setting.strict = setting.strict if strict is None else strict
        if (setting.active, setting.strict) != before:
            self._audit.record(
                tx,
                EventKind.METHOD_SETTING_CHANGED,
                actor,
                organization_id=organization.id,
                kind=kind,
                active=setting.active,
                strict=setting.strict,
            )
        return setting

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


def slug(name: str) -> str:
    """Return the name as it stands in addresses: no accents, lower-case, dashes for the rest."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= _NAME_LENGTH or not name.isprintable():
        raise Invalid("name", f"give it 1 to {_NAME_LENGTH} printable characters.")
    return name


def _checked_email_domain(value: str) -> str:
    domain = value.strip().lower().removeprefix("@")
    if not _EMAIL_DOMAIN.fullmatch(domain):
        raise Invalid("email_domains", f"{value[:100]!r} is not a domain such as example.com.")
    return domain
