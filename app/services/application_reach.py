"""Which applications an organization has to do with: its own, and those that serve others, too."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models import Application, Environment, Organization


def own_to(application: Application) -> set[uuid.UUID]:
    """Return the id of the organization that an application serves, if it serves one alone."""
    served = {one.id for one in application.organizations}
    return served if len(served) == 1 else set()


def select_applications(
    environment: Environment, organization: Organization | None
) -> sa.Select[Application]:
    """Select applications; of an organization only those that are its own entirely."""
    chosen = sa.select(Application).where(
        Application.environment == environment, Application.deleted_at.is_(None)
    )
    if organization is None:
        return chosen
    return chosen.where(_names(organization), ~_names_others(organization))


def select_serving(organization: Organization) -> sa.Select[Application]:
    """Select the applications that serve an organization, whoever else they serve."""
    every = ~Application.organizations.any()
    chosen = select_applications(organization.environment, None)
    return chosen.where(sa.or_(_names(organization), every))


def all_serving(tx: Session, organization: Organization) -> list[Application]:
    """Return the applications that serve an organization, by name."""
    by_name = sa.func.lower(Application.name)
    return list(tx.scalars(select_serving(organization).order_by(by_name, Application.id)))


def select_shared(organization: Organization) -> sa.Select[Application]:
    """Select the applications that serve an organization along with others."""
    every = ~Application.organizations.any()
    return select_serving(organization).where(sa.or_(_names_others(organization), every))


def page_of(
    tx: Session,
    chosen: sa.Select[Application],
    *order: sa.ColumnElement[Any],
    page: int,
    per_page: int | None,
) -> tuple[list[Application], int]:
    """Return a page of the chosen applications in an order, and the number of all of them.

    Args:
        per_page: None means all of them.
    """
    total = tx.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
    ordered = chosen.order_by(*order, Application.id)
    rows = tx.scalars(ordered.limit(per_page).offset((page - 1) * (per_page or 0)))
    return list(rows), total


def _names(organization: Organization) -> sa.ColumnElement[bool]:
    return Application.organizations.any(Organization.id == organization.id)


def _names_others(organization: Organization) -> sa.ColumnElement[bool]:
    return Application.organizations.any(Organization.id != organization.id)
