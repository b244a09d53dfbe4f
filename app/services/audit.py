"""Events: what happened is written in the transaction in which it happens."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import metrics
from app.clock import Clock
from app.db import once_kept
from app.models import Event, GatewaySession, User


class EventKind(StrEnum):
    """Every kind of event; a retired name is never used again."""

    ADMINISTRATOR_APPOINTED = "administrator:appointed"
    ADMINISTRATOR_PASSWORD_CHANGED = "administrator:password_changed"  # noqa: S105
    ADMINISTRATOR_PASSWORD_REFUSED = "administrator:password_refused"  # noqa: S105
    ADMINISTRATOR_REMOVED = "administrator:removed"
    ADMINISTRATOR_RENAMED = "administrator:renamed"
    ADMINISTRATOR_ROLE_CHANGED = "administrator:role_changed"
    ADMINISTRATOR_SIGNED_IN = "administrator:signed_in"
    ADMINISTRATOR_SIGNED_OUT = "administrator:signed_out"
    ADMINISTRATOR_SIGNED_OUT_ELSEWHERE = "administrator:signed_out_elsewhere"
    ADMINISTRATOR_VERIFIED = "administrator:verified"
    API_KEY_BLOCKED = "api_key:blocked"
    API_KEY_CREATED = "api_key:created"
    API_KEY_SECRET_REPLACED = "api_key:secret_replaced"  # noqa: S105
    APPLICATION_CREATED = "application:created"
    APPLICATION_DELETED = "application:deleted"
    APPLICATION_SECRET_REPLACED = "application:secret_replaced"  # noqa: S105
    APPLICATION_TRIED = "application:tried"
    APPLICATION_UPDATED = "application:updated"
    AUDIT_EXPORTED = "audit:exported"
    AUDIT_PURGED = "audit:purged"
    AUDIT_RETENTION_CHANGED = "audit:retention_changed"
    AUTHENTICATOR_CONFIRMED = "authenticator:confirmed"
    AUTHENTICATOR_IMPORTED = "authenticator:imported"
    AUTHENTICATOR_REMOVED = "authenticator:removed"
    AUTHENTICATOR_RENAMED = "authenticator:renamed"
    AUTHENTICATORS_RESET = "authenticator:reset"
    AUTHENTICATORS_SUSPENDED = "authenticator:suspended"
    AUTHORIZATION_CODE_REPLAYED = "authorization_code:replayed"
    BRAND_CHANGED = "brand:changed"
    BRAND_RESET = "brand:reset"
    BYPASS_CODE_GIVEN = "bypass_code:given"
    BYPASS_CODE_WITHDRAWN = "bypass_code:withdrawn"
    CHALLENGE_CREATED = "challenge:created"
    ENROLLMENT_BEGUN = "enrollment:begun"
    ENROLLMENT_INVITATION_CREATED = "enrollment_invitation:created"
    ENROLLMENT_INVITATION_USED = "enrollment_invitation:used"
    ENROLLMENT_INVITATION_WITHDRAWN = "enrollment_invitation:withdrawn"
    ENTRA_ACCOUNT_LINKED = "entra_account:linked"
    ENTRA_ACCOUNT_UNLINKED = "entra_account:unlinked"
    ENTRA_CONNECTION_CHANGED = "entra_connection:changed"
    GATEWAY_SESSION_CANCELLED = "gateway_session:cancelled"
    GATEWAY_SESSION_ENTERED = "gateway_session:entered"
    GATEWAY_SESSION_FAILED = "gateway_session:failed"
    GATEWAY_SESSION_OPENED = "gateway_session:opened"
    GATEWAY_SESSION_UNMET = "gateway_session:unmet"
    IMPORT_BROUGHT = "import:brought"
    IMPORT_DISCARDED = "import:discarded"
    IMPORT_STARTED = "import:started"
    INVITATION_ACCEPTED = "invitation:accepted"
    INVITATION_CREATED = "invitation:created"
    INVITATION_WITHDRAWN = "invitation:withdrawn"
    MAGIC_LINK_CODE_SHOWN = "magic_link:code_shown"
    MAGIC_LINK_CREATED = "magic_link:created"
    METHOD_SETTING_CHANGED = "method_setting:changed"
    NOTICE_NOT_SENT = "notice:not_sent"
    ORGANIZATION_CREATED = "organization:created"
    ORGANIZATION_DELETED = "organization:deleted"
    ORGANIZATION_RESTORED = "organization:restored"
    ORGANIZATION_UPDATED = "organization:updated"
    PASSKEY_COUNTED_BACK = "passkey:counted_back"
    POLICY_CHANGED = "policy:changed"
    POLICY_PASSED = "policy:passed"
    POLICY_REMOVED = "policy:removed"
    POLICY_SKIPPED = "policy:skipped"
    PROVIDER_CHANGED = "provider:changed"
    PROVIDER_CREATED = "provider:created"
    PROVIDER_REMOVED = "provider:removed"
    PROVIDER_TESTED = "provider:tested"
    RECOVERY_CODES_ISSUED = "recovery_codes:issued"
    RECOVERY_CODE_USED = "recovery_codes:used"
    REENROLLMENT_APPROVED = "reenrollment:approved"
    RESULT_ISSUED = "result:issued"
    RESULT_REDEEMED = "result:redeemed"
    RESULT_REPLAYED = "result:replayed"
    SENDING_BUDGET_ALARMED = "sending:budget_alarmed"
    SENDING_BUDGET_SPENT = "sending:budget_spent"
    SENDING_REFUSED = "sending:refused"
    SENDING_RULES_CHANGED = "sending_rules:changed"
    SIGNING_KEY_ROTATED = "signing_key:rotated"
    TRUSTED_BROWSER_ADDED = "trusted_browser:added"
    TRUSTED_BROWSER_REVOKED = "trusted_browser:revoked"
    TRUSTED_BROWSER_USED = "trusted_browser:used"
    TRUST_RULE_CHANGED = "trust_rule:changed"
    TRUST_RULE_REMOVED = "trust_rule:removed"
    USERS_EXPORTED = "user:exported"
    USERS_IMPORTED = "user:imported"
    USER_CREATED = "user:created"
    USER_DELETED = "user:deleted"
    USER_FREEZE_LIFTED = "user:freeze_lifted"
    USER_FROZEN = "user:frozen"
    USER_IDENTIFIED = "user:identified"
    USER_SUSPENDED = "user:suspended"
    USER_SUSPENSION_LIFTED = "user:suspension_lifted"
    USER_UNLOCKED = "user:unlocked"
    USER_UPDATED = "user:updated"
    VERIFICATION_ACCEPTED = "verification:accepted"
    VERIFICATION_RECALLED = "verification:recalled"
    VERIFICATION_REFUSED = "verification:refused"
    WEBHOOK_CREATED = "webhook:created"
    WEBHOOK_DELETED = "webhook:deleted"
    WEBHOOK_REPLAYED = "webhook:replayed"
    WEBHOOK_SECRET_REPLACED = "webhook:secret_replaced"  # noqa: S105
    WEBHOOK_SWITCHED_OFF = "webhook:switched_off"
    WEBHOOK_SWITCHED_ON = "webhook:switched_on"
    WEBHOOK_TESTED = "webhook:tested"
    WEBHOOK_UPDATED = "webhook:updated"


@dataclass(frozen=True, kw_only=True)
class Actor:
    """By whose hand something happens.

    Attributes:
        name: `user`, `application:<client_id>`, `api_key:<client_id>`, `administrator:<id>`,
            `operator` or `system`.
        label: what people call the actor, such as an e-mail address.
        address: the peer's IP address, as far as a trusted proxy tells.
        device: the peer's browser and system in a few words.
        country: of the peer (ISO 3166-1 alpha-2), if a trusted proxy tells.
    """

    name: str
    label: str | None = None
    address: str | None = None
    device: str | None = None
    country: str | None = None


OPERATOR = Actor(name="operator")
SYSTEM = Actor(name="system")


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
        user: User | None = None,
        gateway_session: GatewaySession | None = None,
        application_id: uuid.UUID | None = None,
        why: str | None = None,
        **detail: str | int | bool | None,
    ) -> None:
        """Append one event; `detail` holds names and numbers, never a secret or a code.

        Args:
            user: stands for `organization_id` and `user_id`.
            application_id: the one that is concerned, if not the gateway session's.
            why: what an administrator gave as the reason.
        """
        once_kept(tx, partial(_count, kind, gateway_session, detail))
        tx.add(
            Event(
                **self.common(kind, actor),
                organization_id=user.organization_id if user else organization_id,
                user_id=user.id if user else _user_of(gateway_session, user_id),
                application_id=_application_of(gateway_session, application_id),
                gateway_session_id=gateway_session.id if gateway_session else None,
                reason=why,
                detail=detail,
            )
        )

    def count_kept(self, kind: EventKind, detail: Mapping[str, str | int | bool | None]) -> None:
        """Count an event that was kept and is of no session, as `record` does by itself."""
        _count(kind, None, detail)

    def common(self, kind: EventKind, actor: Actor) -> dict[str, Any]:
        """Return what an event says of when, what, and by whose hand."""
        return {
            "at": self._clock.now(),
            "kind": kind.value,
            "actor": actor.name,
            "actor_label": actor.label,
            "address": actor.address,
            "device": actor.device,
            "country": actor.country,
        }

    def record_each(
        self,
        tx: Session,
        kind: EventKind,
        actor: Actor,
        /,
        *,
        organization_id: uuid.UUID,
        details: Sequence[tuple[uuid.UUID, dict[str, str]]],
    ) -> None:
        """Append one event for each of many users, in few statements.

        Args:
            details: ids of the users, each with what `record` takes as `detail`.
        """
        common = {**self.common(kind, actor), "organization_id": organization_id}
        rows = [{**common, "user_id": user_id, "detail": detail} for user_id, detail in details]
        if rows:
            tx.execute(sa.insert(Event), rows)
            once_kept(tx, partial(metrics.count_events, kind.value, len(rows)))

    def newest(
        self, tx: Session, user: User, *, most: int, but: Collection[EventKind]
    ) -> list[Event]:
        """Return what happened to a user lately, newest first.

        Args:
            but: kinds that are left out.
        """
        mine = sa.select(Event).where(
            Event.organization_id == user.organization_id,
            Event.user_id == user.id,
            Event.kind.not_in([kind.value for kind in but]),
        )
        return list(tx.scalars(mine.order_by(Event.id.desc()).limit(most)))

    def count(self, tx: Session, user: User) -> int:
        """Return how many events there are of a user."""
        mine = sa.and_(Event.organization_id == user.organization_id, Event.user_id == user.id)
        return tx.scalar(sa.select(sa.func.count()).select_from(Event).where(mine)) or 0

    def page(self, tx: Session, user: User, *, page: int, per_page: int) -> tuple[list[Event], int]:
        """Return a page of what happened to a user, newest first, and how much it was."""
        mine = sa.and_(Event.organization_id == user.organization_id, Event.user_id == user.id)
        total = tx.scalar(sa.select(sa.func.count()).select_from(Event).where(mine)) or 0
        newest = sa.select(Event).where(mine).order_by(Event.id.desc())
        rows = tx.scalars(newest.limit(per_page).offset((page - 1) * per_page))
        return list(rows), total


def _count(
    kind: EventKind, session: GatewaySession | None, detail: Mapping[str, str | int | bool | None]
) -> None:
    """Count an event, and what Prometheus wants to know of it."""
    metrics.count_events(kind.value)
    if kind in {EventKind.VERIFICATION_ACCEPTED, EventKind.VERIFICATION_REFUSED}:
        method, outcome = detail.get("kind") or "unknown", detail.get("reason") or "accepted"
        metrics.count_verification(str(method), str(outcome))
    elif kind is EventKind.RESULT_ISSUED and session is not None:
        metrics.count_result(session.application.door.value)


def _application_of(
    session: GatewaySession | None, application_id: uuid.UUID | None
) -> uuid.UUID | None:
    return session.application_id if session else application_id


def _user_of(session: GatewaySession | None, user_id: uuid.UUID | None) -> uuid.UUID | None:
    return session.user_id if session else user_id
