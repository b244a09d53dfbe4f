"""API keys: credentials of backends."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import Clock
from app.crypto import Vault
from app.db import touched_one
from app.errors import Invalid, NotFound, Refusal
from app.models import Api, ApiKey, Application, Environment, Organization
from app.services.audit import Actor, Audit, EventKind
from app.services.credentials import Credentials, checked_name
from app.services.key_reach import check_api, is_usable, prefix_of


class Permission(StrEnum):
    """What an API key may do: an action and what it is done to."""

    READ_API_KEYS = "read:api_keys"
    WRITE_API_KEYS = "write:api_keys"
    READ_APPLICATIONS = "read:applications"
    WRITE_APPLICATIONS = "write:applications"
    READ_ORGANIZATIONS = "read:organizations"
    WRITE_ORGANIZATIONS = "write:organizations"
    READ_USERS = "read:users"
    WRITE_USERS = "write:users"
    READ_CONNECTIONS = "read:connections"
    WRITE_CONNECTIONS = "write:connections"
    WRITE_ENROLLMENTS = "write:enrollments"
    WRITE_CHALLENGES = "write:challenges"
    READ_GATEWAY_SESSIONS = "read:gateway_sessions"
    WRITE_GATEWAY_SESSIONS = "write:gateway_sessions"
    READ_EVENTS = "read:events"
    READ_MESSAGES = "read:messages"
    READ_WEBHOOKS = "read:webhooks"
    WRITE_WEBHOOKS = "write:webhooks"


ACCOUNT_WIDE = {Permission.READ_ORGANIZATIONS, Permission.WRITE_ORGANIZATIONS}
"""What no key of one organization may do, whatever its row says."""


class ApiKeys:
    """Creates, finds and authenticates API keys."""

    def __init__(self, clock: Clock, vault: Vault, audit: Audit) -> None:
        self._clock = clock
        self._credentials = Credentials[ApiKey](
            clock, vault, prefix=prefix_of, purpose="api key secret"
        )
        self._audit = audit

    def create(
        self,
        tx: Session,
        actor: Actor,
        *,
        environment: Environment,
        name: str,
        organization: Organization | None = None,
        permissions: Sequence[Permission] | None = None,
        api: Api = Api.V2,
        application: Application | None = None,
        grantor: ApiKey | None = None,
    ) -> tuple[ApiKey, str]:
        """Create a key; return it with its secret, which is shown this once.

        Args:
            organization: the one that it reaches; none makes it account-wide.
            permissions: None means all.
            api: which one it opens; API v1 is opened for one organization alone.
            application: on whose behalf a key of API v1 asks, if its policy is to hold.
            grantor: the key that asks for it, which can't give more than it has itself.

        Raises:
            Invalid: the name can't be used, a key of that reach can't have a permission or open
                that API, or the application doesn't serve the organization.
            Refusal: `forbidden`, if the grantor has less.
        """
        key = ApiKey(
            id=uuid.uuid4(),
            environment=environment,
            name=checked_name(name),
            api=api,
            permissions=_in_order(permissions),
            application_id=application.id if application else None,
            application=application,
            organization_id=organization.id if organization else None,
            organization=organization,
            created_at=self._clock.now(),
        )
        if grantor is not None:
            _demand_within(key, grantor)
        if not key.account_wide and ACCOUNT_WIDE & set(key.permissions or ()):
            raise Invalid("permissions", "a key of one organization has none on organizations.")
        check_api(key)
        secret = self._credentials.issue(key)
        tx.add(key)
        self._record(tx, EventKind.API_KEY_CREATED, actor, key)
        return key, secret

    def page(
        self,
        tx: Session,
        environment: Environment,
        organization: Organization | None = None,
        *,
        page: int = 1,
        per_page: int | None = None,
    ) -> tuple[list[ApiKey], int]:
        """Return a page of an environment's keys, newest first, and their number.

        Args:
            organization: the one whose keys alone are meant.
            per_page: None means all of them.
        """
        chosen = _keys(environment, organization)
        total = tx.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0
        newest = chosen.order_by(ApiKey.created_at.desc(), ApiKey.id)
        rows = tx.scalars(newest.limit(per_page).offset((page - 1) * (per_page or 0)))
        return list(rows), total

    def named(
        self,
        tx: Session,
        environment: Environment,
        organization: Organization | None,
        client_id: str,
    ) -> ApiKey:
        """Return one of the keys that `page` lists.

        Raises:
            NotFound: it is not among them.
        """
        key_id = _uuid(client_id)
        key = tx.scalar(_keys(environment, organization).where(ApiKey.id == key_id))
        if key is None:
            raise NotFound("API key")
        return key

    def replace_secret(
        self,
        tx: Session,
        actor: Actor,
        key: ApiKey,
        *,
        overlap: timedelta = timedelta(0),
        grantor: ApiKey | None = None,
        instead_of: str | None = None,
    ) -> str:
        """Give the key a new secret and return it.

        Args:
            overlap: how long the old one works on; at first it is dead at once.
            grantor: the key that asks for it; it would come to have what this one has.
            instead_of: the mark (`secret_mark`) of the secret that is meant; None means any.

        Raises:
            Invalid: the overlap is too long.
            Refusal: `api_key_blocked`; `forbidden`, if the grantor has less; `secret_replaced`, if
                the secret was another one by now.
        """
        if grantor is not None:
            _demand_within(key, grantor)
        secret = self._credentials.replace(tx, key, overlap, instead_of=instead_of)
        tx.refresh(key, ["blocked_at"])
        if key.blocked_at is not None:
            raise Refusal("api_key_blocked", "The key is blocked for good. Create another one.")
        self._record(tx, EventKind.API_KEY_SECRET_REPLACED, actor, key)
        return secret

    def block(self, tx: Session, actor: Actor, key: ApiKey) -> None:
        """Let a key, its secrets and all tokens of its die at once; again is no harm."""
        block = (
            sa.update(ApiKey)
            .where(ApiKey.id == key.id, ApiKey.blocked_at.is_(None))
            .values(blocked_at=self._clock.now())
        )
        if touched_one(tx, block):
            self._record(tx, EventKind.API_KEY_BLOCKED, actor, key)
        tx.refresh(key, ["blocked_at"])

    def secret_mark(self, key: ApiKey) -> str:
        """Return what changes whenever the secret does, and tells nothing of it."""
        return self._credentials.mark(key)

    def overlaps_until(self, key: ApiKey) -> datetime | None:
        """Return until when the secret before this one works, if it still does."""
        return self._credentials.overlaps_until(key)

    def find(self, tx: Session, client_id: str) -> ApiKey | None:
        """Return the key with this `client_id`, if there is one."""
        key_id = _uuid(client_id)
        return tx.get(ApiKey, key_id) if key_id else None

    def find_usable(self, tx: Session, client_id: str) -> ApiKey | None:
        """Return the key with this `client_id`, unless it is blocked or its organization gone."""
        key = self.find(tx, client_id)
        return key if key is not None and is_usable(key) else None

    def authenticate(self, tx: Session, client_id: str, secret: str) -> ApiKey | None:
        """Return the key of API v2 whose credentials these are."""
        key = self.find_usable(tx, client_id)
        matches = self._credentials.match(secret, key)
        return key if key is not None and key.api is Api.V2 and matches else None

    def bearing(self, tx: Session, secret: str) -> ApiKey | None:
        """Return the key of API v1 whose secret this is, unless it opens nothing any more."""
        hashes = self._credentials.hashes(secret)
        key = tx.scalar(
            sa.select(ApiKey).where(
                ApiKey.api == Api.V1,
                sa.or_(
                    ApiKey.secret_hash.in_(hashes),
                    ApiKey.previous_secret_hash.in_(hashes),
                ),
            )
        )
        matches = self._credentials.match(secret, key)
        return key if key is not None and matches and is_usable(key) else None

    def _record(self, tx: Session, kind: EventKind, actor: Actor, key: ApiKey) -> None:
        self._audit.record(
            tx,
            kind,
            actor,
            organization_id=key.organization_id,
            application_id=key.application_id,
            client_id=str(key.id),
            name=key.name,
            api=key.api.value,
        )


def permissions_of(key: ApiKey) -> list[Permission]:
    """Return what a key may do, with what its reach leaves of it."""
    return [
        one for one in Permission if key.may(one) and (key.account_wide or one not in ACCOUNT_WIDE)
    ]


def _demand_within(key: ApiKey, grantor: ApiKey) -> None:
    """Refuse a key that has more than the one that asks for it: nobody promotes itself."""
    reached = grantor.account_wide or grantor.organization_id == key.organization_id
    if key.permissions is None:  # all, with those that a later release adds
        held = grantor.permissions is None
    else:
        held = set(key.permissions) <= set(permissions_of(grantor))
    if not (reached and held and grantor.environment == key.environment):
        raise Refusal(
            "forbidden",
            "A key can't give more than it has itself: name permissions that it has.",
            status=403,
        )


def _keys(environment: Environment, organization: Organization | None) -> sa.Select[ApiKey]:
    """Select keys, but none of a deleted organization, which no door shows."""
    chosen = sa.select(ApiKey).where(ApiKey.environment == environment)
    if organization is not None:
        return chosen.where(ApiKey.organization_id == organization.id)
    shown = ApiKey.organization.has(Organization.deleted_at.is_(None))
    return chosen.where(sa.or_(ApiKey.organization_id.is_(None), shown))


def _in_order(permissions: Sequence[Permission] | None) -> list[str] | None:
    if permissions is None:
        return None
    return [one.value for one in Permission if one in permissions]


def _uuid(client_id: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(client_id)
    except ValueError:
        return None
