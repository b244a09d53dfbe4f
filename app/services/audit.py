"""Events: what happened is written in the transaction in which it happens."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.orm import Session

from app.clock import Clock
from app.models import Event, GatewaySession


class EventKind(StrEnum):
    """Every kind of event; a retired name is never used again."""

    API_KEY_CREATED = "api_key:created"
    API_KEY_SECRET_REPLACED = "api_key:secret_replaced"  # noqa: S105
    APPLICATION_CREATED = "application:created"
    APPLICATION_SECRET_REPLACED = "application:secret_replaced"  # noqa: S105
    AUTHENTICATOR_CONFIRMED = "authenticator:confirmed"
    AUTHENTICATORS_RESET = "authenticator:reset"
    AUTHENTICATORS_SUSPENDED = "authenticator:suspended"
    ENROLLMENT_BEGUN = "enrollment:begun"
    GATEWAY_SESSION_CANCELLED = "gateway_session:cancelled"
    GATEWAY_SESSION_ENTERED = "gateway_session:entered"
    GATEWAY_SESSION_FAILED = "gateway_session:failed"
    GATEWAY_SESSION_OPENED = "gateway_session:opened"
    METHOD_SETTING_CHANGED = "method_setting:changed"
    ORGANIZATION_CREATED = "organization:created"
    RECOVERY_CODES_ISSUED = "recovery_codes:issued"
    RECOVERY_CODE_USED = "recovery_codes:used"
    REENROLLMENT_APPROVED = "reenrollment:approved"
    RESULT_ISSUED = "result:issued"
    RESULT_REDEEMED = "result:redeemed"
    RESULT_REPLAYED = "result:replayed"
    SIGNING_KEY_ROTATED = "signing_key:rotated"
    USER_CREATED = "user:created"
    USER_UNLOCKED = "user:unlocked"
    VERIFICATION_ACCEPTED = "verification:accepted"
    VERIFICATION_REFUSED = "verification:refused"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """By whose hand something happens.

    Attributes:
        name: `user`, `application:<client_id>`, `api_key:<client_id>` or `operator`.
        address: the peer's IP address, as far as a trusted proxy tells.
        device: the peer's browser and system in a few words.
    """

    name: str
    address: str | None = None
    device: str | None = None


OPERATOR = Actor(name="operator")


class Audit:
    """Appends events."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def record(
        self,
        tx: Session,
        kind: EventKind,
        actor: Actor,
        /,
        *,
        organization_id: uuid.UUID | None = None,
        user_id: uuid.UUID | None = None,
        gateway_session: GatewaySession | None = None,
        **detail: str | int | bool | None,
    ) -> None:
        """Append one event; `detail` holds names and numbers, never a secret or a code."""
        tx.add(
            Event(
                at=self._clock.now(),
                kind=kind.value,
                actor=actor.name,
                address=actor.address,
                organization_id=organization_id,
                user_id=gateway_session.user_id if gateway_session else user_id,
                gateway_session_id=gateway_session.id if gateway_session else None,
                detail=detail,
            )
        )
