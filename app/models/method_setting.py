"""Method setting: whether and how an organization offers a factor."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base


class MethodSetting(Base):
    """One factor of one organization; for `totp` the API calls it the TOTP connection."""

    __tablename__ = "method_settings"

    organization_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("organizations.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(primary_key=True)
    active: Mapped[bool] = mapped_column(default=False)
    strict: Mapped[bool] = mapped_column(default=False)
    """Accept the current and the previous code only, not the next one."""
    parameters: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What else the organization set; see `app.services.method_settings`."""
