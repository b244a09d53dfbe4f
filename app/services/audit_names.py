"""What people call those that events name by their ids."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import unindexed
from app.models import (
    Administrator,
    AdministratorRole,
    ApiKey,
    Application,
    Event,
    Organization,
    Seal,
    User,
)

_LABEL = sa.func.coalesce(User.email, User.phone_number)
Ids = Iterable[uuid.UUID | None]


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names of what some events speak of; what is gone, or not this organization's, has none.

    Attributes:
        users: e-mail addresses, or phone numbers of those who have none.
        applications: names, also of deleted ones.
        api_keys: names of the organization's own.
        seals: numbers.
    """

    users: Mapping[uuid.UUID, str]
    applications: Mapping[uuid.UUID, str]
    api_keys: Mapping[uuid.UUID, str]
    seals: Mapping[uuid.UUID, int]


@dataclass(frozen=True)
class Choice:
    """Something to look for: its value in a search, and what it is called."""

    value: str
    name: str


def names_of(tx: Session, organization: Organization, events: Sequence[Event]) -> Names:
    """Return the names of all that these events of the organization speak of."""
    actors: dict[str, set[uuid.UUID | None]] = {}
    for event in events:
        kind, _, told = event.actor.partition(":")
        actors.setdefault(kind, set()).add(_uuid(told))
    applications = {event.application_id for event in events} | actors.get("application", set())
    return Names(
        users=_found(
            tx, User.id, _LABEL, {e.user_id for e in events}, _is_mine(User, organization)
        ),
        applications=_found(
            tx,
            Application.id,
            Application.name,
            applications,
            Application.environment == organization.environment,
        ),
        api_keys=_found(
            tx, ApiKey.id, ApiKey.name, actors.get("api_key", set()), _is_mine(ApiKey, organization)
        ),
        seals=_found(tx, Seal.id, Seal.number, {e.seal_id for e in events}, sa.true()),
    )


def actors_of(tx: Session, organization: Organization) -> list[Choice]:
    """Return who acts in the organization: its administrators, keys and applications."""
    people = sa.select(Administrator).join(AdministratorRole).order_by(Administrator.name)
    seated = people.where(AdministratorRole.organization_id == organization.id)
    keys = sa.select(ApiKey).where(_is_mine(ApiKey, organization)).order_by(ApiKey.name)
    return [
        *(Choice(f"administrator:{one.id}", one.email) for one in tx.scalars(seated)),
        *(Choice(f"api_key:{one.id}", f"API key {one.name}") for one in tx.scalars(keys)),
        *(
            Choice(f"application:{one.value}", f"Application {one.name}")
            for one in applications_of(tx, organization)
        ),
    ]


def applications_of(tx: Session, organization: Organization) -> list[Choice]:
    """Return the applications that serve the organization, by name."""
    own = Application.organizations.any(Organization.id == organization.id)
    serving = sa.select(Application).where(
        Application.environment == organization.environment,
        Application.deleted_at.is_(None),
        sa.or_(own, ~Application.organizations.any()),
    )
    found = tx.scalars(serving.order_by(Application.name))
    return [Choice(one.client_id, one.name) for one in found]


def _is_mine(
    model: type[User] | type[ApiKey], organization: Organization
) -> sa.ColumnElement[bool]:
    return unindexed(model.organization_id) == organization.id


def _found(
    tx: Session,
    key: sa.orm.InstrumentedAttribute[uuid.UUID],
    name: sa.ColumnElement[Any] | sa.orm.InstrumentedAttribute[Any],
    ids: Ids,
    mine: sa.ColumnElement[bool],
) -> dict[uuid.UUID, Any]:
    wanted = [one for one in ids if one is not None]
    if not wanted:
        return {}
    rows = tx.execute(sa.select(key, name).where(key.in_(wanted), mine)).all()
    return {row[0]: row[1] for row in rows}


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
