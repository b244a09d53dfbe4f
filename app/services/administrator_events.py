"""Events of administrators: what they do to their own access, on record wherever it counts."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.models import Administrator, AdministratorRole, Organization
from app.services.audit import Actor, Audit, EventKind


class AdministratorEvents:
    """Records in the world of administrators, and in every organization that somebody runs."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def record(
        self,
        tx: Session,
        kind: EventKind,
        actor: Actor,
        administrator: Administrator,
        /,
        **detail: Any,
    ) -> None:
        """Append one event in each of these places; `detail` is as in `Audit.record`."""
        self._audit.record(tx, kind, actor, user=administrator.user, **detail)
        runs = (
            sa.select(AdministratorRole.organization_id, AdministratorRole.role)
            .join(Organization, Organization.id == AdministratorRole.organization_id)
            .where(
                AdministratorRole.administrator_id == administrator.id,
                Organization.deleted_at.is_(None),
            )
        )
        for organization_id, role in tx.execute(runs).all():
            told = {**detail, "role": role.value}
            self._audit.record(tx, kind, actor, organization_id=organization_id, **told)
