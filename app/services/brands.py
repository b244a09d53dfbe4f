"""Brands: how the hosted pages of an organization look, and what they say about help."""

from __future__ import annotations

import hashlib
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.db import lock
from app.errors import Invalid, NotFound
from app.models import Brand, Organization
from app.remembered import remembered
from app.services import brand_colours, brand_logos, brand_texts
from app.services.audit import Actor, Audit, EventKind
from app.services.brand_texts import HelpText
from app.services.organizations import OrganizationChanges, Organizations, checked_name

T = TypeVar("T")
_PARTS = ("colour", "dark_colour", "logo", "texts")


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What an administrator wants of a brand, as it was typed.

    Attributes:
        name: of the organization, as people read it.
        colour: empty means Gatehouse's.
        dark_colour: on dark screens; empty means that it follows from the other.
        texts: by language.
        logo: a file as it came; None leaves the logo as it is.
        removes_logo: whether there is to be none, if no file came.
    """

    name: str
    colour: str
    dark_colour: str
    texts: Mapping[str, HelpText]
    logo: bytes | None = field(default=None, repr=False)
    removes_logo: bool = False


@dataclass(frozen=True, kw_only=True)
class Look:
    """A brand as pages show it.

    Attributes:
        logo: a PNG that we made.
        logo_digest: stands in its address.
        wrong: what could not be taken over from what was typed; there it is as published.
    """

    name: str
    colour: str | None = None
    dark_colour: str | None = None
    logo: bytes | None = field(default=None, repr=False)
    logo_digest: str | None = None
    texts: Mapping[str, Any] = field(default_factory=dict)
    wrong: tuple[Invalid, ...] = ()

    @property
    def main_colour(self) -> str:
        """The colour on light screens."""
        return self.colour or brand_colours.GATEHOUSE

    @property
    def colours(self) -> str:
        """The style sheet of the colours alone; empty for those of Gatehouse."""
        if not (self.colour or self.dark_colour):
            return ""
        return brand_colours.sheet(self.main_colour, self.dark_colour)


class Brands:
    """Keeps what each organization chose, and hands it out to its pages."""

    def __init__(self, clock: Clock, organizations: Organizations, audit: Audit) -> None:
        self._clock = clock
        self._organizations = organizations
        self._audit = audit

    def of(self, tx: Session, organization: Organization) -> Brand | None:
        """Return the brand of an organization, its logo left in the database."""
        return remembered(
            tx, (Brand, organization.id), lambda: tx.get(Brand, organization.id), of=[Brand]
        )

    def look(self, tx: Session, organization: Organization) -> Look:
        """Return how an organization's pages look now, with the logo itself."""
        brand = self.of(tx, organization)
        if brand is None:
            return Look(name=organization.name)
        return Look(
            name=organization.name,
            colour=brand.colour,
            dark_colour=brand.dark_colour,
            logo=brand.logo,
            logo_digest=brand.logo_digest,
            texts=brand.texts,
        )

    def draft(self, tx: Session, organization: Organization, typed: Typed) -> Look:
        """Return how pages would look with what was typed, and all that is wrong with it."""
        now, wrong = self.look(tx, organization), list[Invalid]()

        def taken(checked: Callable[[], T], before: T) -> T:
            try:
                return checked()
            except Invalid as invalid:
                wrong.append(invalid)
                return before

        def colour(name: str, value: str, before: str | None) -> str | None:
            return taken(lambda: brand_colours.checked_colour(name, value), before)

        def text(language: str, value: HelpText) -> HelpText:
            value = brand_texts.cleaned(value)
            faults = brand_texts.faults(language, value)
            wrong.extend(faults)
            return brand_texts.read(now.texts, language) if faults else value

        main = colour("colour", typed.colour, now.colour)
        logo = taken(lambda: _logo(now, typed), now.logo)
        return Look(
            name=taken(lambda: checked_name(typed.name), now.name),
            colour=None if main == brand_colours.GATEHOUSE else main,
            dark_colour=colour("dark_colour", typed.dark_colour, now.dark_colour),
            logo=logo,
            logo_digest=brand_logos.digest(logo) if logo else None,
            texts=brand_texts.stored({one: text(one, said) for one, said in typed.texts.items()}),
            wrong=tuple(wrong),
        )

    def publish(
        self, tx: Session, actor: Actor, organization: Organization, wanted: Look
    ) -> list[str]:
        """Let the pages look like a draft from now on; return what is different.

        Raises:
            Invalid: the draft has something that can't be taken over.
            NotFound: somebody deleted the organization at this moment.
        """
        if wanted.wrong:
            raise wanted.wrong[0]
        lock(tx, Organization.id, organization.id)
        tx.refresh(organization)
        if organization.deleted_at is not None:
            raise NotFound("organization")
        now = self.look(tx, organization)
        renamed = ["name"] if wanted.name != now.name else []
        if renamed:
            changes = OrganizationChanges(name=wanted.name)
            self._organizations.update(tx, actor, organization, changes)
        changed = [part for part in _PARTS if getattr(now, part) != getattr(wanted, part)]
        if changed:
            self._keep(tx, organization, wanted)
            kind, named = EventKind.BRAND_CHANGED, " ".join(changed)
            self._audit.record(tx, kind, actor, organization_id=organization.id, changed=named)
        return renamed + changed

    def reset(self, tx: Session, actor: Actor, organization: Organization) -> None:
        """Give the pages Gatehouse's look back; the organization keeps its name."""
        lock(tx, Organization.id, organization.id)
        brand = self.of(tx, organization)
        if brand is not None:
            tx.delete(brand)
            kind = EventKind.BRAND_RESET
            self._audit.record(tx, kind, actor, organization_id=organization.id)

    def sheet(self, tx: Session, organization_id: uuid.UUID, digest: str) -> str:
        """Return the style sheet that is called so: colours, and the logo in the same file.

        Raises:
            NotFound: no organization has it, or it has another one by now.
        """
        brand = self._published(tx, organization_id)
        if sheet_digest(brand) != digest:
            raise NotFound("style sheet")
        look = Look(name="", colour=brand.colour, dark_colour=brand.dark_colour)
        return look.colours + (logo_rule(brand.logo) if brand.logo else "")

    def logo(self, tx: Session, organization_id: uuid.UUID, digest: str) -> bytes:
        """Return the logo that is called so.

        Raises:
            NotFound: no organization has it, or it has another one by now.
        """
        brand = self._published(tx, organization_id)
        if brand.logo is None or brand.logo_digest != digest:
            raise NotFound("logo")
        return brand.logo

    def _keep(self, tx: Session, organization: Organization, wanted: Look) -> None:
        brand = self.of(tx, organization) or Brand(organization_id=organization.id)
        brand.colour, brand.dark_colour = wanted.colour, wanted.dark_colour
        brand.logo, brand.logo_digest = wanted.logo, wanted.logo_digest
        brand.texts = dict(wanted.texts)
        brand.updated_at = self._clock.now()
        tx.add(brand)

    def _published(self, tx: Session, organization_id: uuid.UUID) -> Brand:
        alive = sa.and_(Organization.id == Brand.organization_id, Organization.deleted_at.is_(None))
        chosen = sa.select(Brand).join(Organization, alive)
        found = tx.scalar(chosen.where(Brand.organization_id == organization_id))
        if found is None:
            raise NotFound("brand")
        return found


def sheet_digest(brand: Brand) -> str | None:
    """Return what the style sheet is called in its address; None where there is none."""
    look = Look(name="", colour=brand.colour, dark_colour=brand.dark_colour)
    if not look.colours and not brand.logo_digest:
        return None
    made_of = f"{look.colours}{logo_rule(b'')}{brand.logo_digest}"
    return hashlib.sha256(made_of.encode()).hexdigest()[:32]


def logo_rule(logo: bytes) -> str:
    """Return the rule that draws a logo where a page has room for one."""
    address = f"data:image/png;base64,{b64encode(logo).decode()}"
    return f'.own-logo {{ background-image: url("{address}"); }}\n'


def _logo(now: Look, typed: Typed) -> bytes | None:
    if typed.logo is not None:
        return brand_logos.cleaned(typed.logo)
    return None if typed.removes_logo else now.logo
