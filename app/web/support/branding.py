"""Whose look a page has: that of the organization that it is about, or Gatehouse's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, g, url_for
from sqlalchemy.orm import Session

from app.config import Config
from app.models import Organization
from app.services.brand_texts import Help, help_in
from app.services.brands import sheet_digest
from app.web.support import services


@dataclass(frozen=True, kw_only=True)
class PageBrand:
    """What the frame of a hosted page shows of a brand.

    Attributes:
        name: of the organization.
        sheet: address of the style sheet with its colours and logo.
        has_logo: whether the sheet draws a logo, or `logo` is one.
        logo: address of a picture that the sheet does not draw.
        scheme: `light` or `dark`, in a preview: a page that is only looked at.
    """

    name: str
    sheet: str | None = None
    has_logo: bool = False
    logo: str | None = None
    texts: Mapping[str, Any] = field(default_factory=dict)
    scheme: str | None = None

    def help(self, language: str) -> Help | None:
        """Return what a page in this language says about help."""
        return help_in(self.texts, language)


def wear(tx: Session, organization: Organization) -> None:
    """Give the page that is made now the look of an organization."""
    brand = services().brands.of(tx, organization)
    if brand is None:
        return
    digest = sheet_digest(brand)
    g.brand = PageBrand(
        name=organization.name,
        sheet=digest and url_for("brand.sheet", organization_id=organization.id, digest=digest),
        has_logo=brand.logo_digest is not None,
        texts=brand.texts,
    )


def init_app(app: Flask, config: Config) -> None:
    """Let the frame of every hosted page know whose look it has."""
    app.jinja_env.globals["brand_of_page"] = lambda: g.get("brand")
