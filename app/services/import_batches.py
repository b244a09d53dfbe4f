"""Some rows of a bulk import, taken over in one transaction."""

from __future__ import annotations

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.crypto import Vault
from app.errors import NotFound, Refusal
from app.factors.totp import Totp
from app.models import Authenticator, AuthenticatorStatus, Organization, User
from app.services.audit import EventKind
from app.services.contact_notices import Before
from app.services.import_notices import ADDED, BROUGHT, News
from app.services.import_rows import BadRow, CheckedRow
from app.services.standing import spend_recoveries
from app.services.user_fields import UserChanges, apply, name_keys, named_by_number
from app.services.verification import secret_place

MOST_ERRORS = 1_000
"""So many are listed; all are counted."""
_LIVE = (AuthenticatorStatus.ACTIVE, AuthenticatorStatus.SUSPENDED)
_PURPOSE = "imported seed"


@dataclass(kw_only=True)
class Tally:
    """What became of the rows."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    told: int = 0
    """So many users were told, or would be."""
    errors: list[BadRow] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many rows there were."""
        return self.created + self.updated + self.unchanged + self.failed

    def refuse(self, row: BadRow) -> None:
        """Count a row that was not taken over."""
        self.failed += 1
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(row)

    def add(self, batch: Tally) -> None:
        """Count what became of a batch."""
        self.created += batch.created
        self.updated += batch.updated
        self.unchanged += batch.unchanged
        self.failed += batch.failed
        self.told += batch.told
        self.errors += batch.errors[: MOST_ERRORS - len(self.errors)]


class Batch:
    """Some rows in one transaction."""

    def __init__(
        self, tx: Session, organization_id: uuid.UUID, vault: Vault, now: datetime
    ) -> None:
        self.tally = Tally()
        self.events: dict[EventKind, list[tuple[uuid.UUID, dict[str, str]]]] = defaultdict(list)
        self.news: list[News] = []
        self._tx = tx
        self._organization_id = organization_id
        self._vault = vault
        self._now = now
        self._by_email: dict[str, User] = {}
        self._by_external_id: dict[str, User] = {}
        self._by_number: dict[str, list[User]] = defaultdict(list)
        self._loaded: list[uuid.UUID] = []
        self._authenticators: dict[uuid.UUID, list[Authenticator]] = defaultdict(list)
        self._new_users: list[dict[str, Any]] = []
        self._new_authenticators: list[dict[str, Any]] = []

    def take(self, rows: list[CheckedRow]) -> None:
        """Take the rows over, each as a whole or not at all."""
        self._hold_organization()
        self._load(rows)
        for row in rows:
            try:
                self._take(row)
            except Refusal as refusal:
                self.tally.refuse(
                    BadRow(number=row.number, code=refusal.code, message=refusal.message)
                )
        self._tx.flush()
        if self._new_users:
            self._tx.execute(sa.insert(User), self._new_users)
        if self._new_authenticators:
            self._tx.execute(sa.insert(Authenticator), self._new_authenticators)
            enrolled = [one["user_id"] for one in self._new_authenticators]
            spend_recoveries(self._tx, enrolled, self._now)

    def _hold_organization(self) -> None:
        """Let the imports of an organization wait for each other; single calls go on."""
        mine = sa.select(Organization.id).where(
            Organization.id == self._organization_id, Organization.deleted_at.is_(None)
        )
        if self._tx.scalar(mine.with_for_update(key_share=True)) is None:
            raise NotFound("organization")

    def _load(self, rows: list[CheckedRow]) -> None:
        names = [name for row in rows if (name := row.changes.get("external_id"))]
        numbers = [number for row in rows if (number := _number_of(row))]
        known = sa.or_(
            User.email_key.in_([row.email_key for row in rows if row.email_key]),
            User.external_id.in_(names),
            User.phone_number.in_(numbers),
        )
        mine = sa.select(User).where(User.organization_id == self._organization_id, known)
        # Whoever confirms an authenticator holds its user, too: nobody gets a second first one.
        for user in self._tx.scalars(mine.order_by(User.id).with_for_update(key_share=True)):
            self._index(user)
            self._loaded.append(user.id)
        if any(row.seed for row in rows):
            theirs = sa.select(Authenticator).where(Authenticator.user_id.in_(self._loaded))
            for one in self._tx.scalars(theirs):
                self._authenticators[one.user_id].append(one)

    def _index(self, user: User) -> None:
        if user.email_key is not None:
            self._by_email[user.email_key] = user
        if user.external_id is not None:
            self._by_external_id[user.external_id] = user
        if user.phone_number is not None:
            self._by_number[user.phone_number].append(user)

    def _forget(self, user: User, email: str | None, name: str | None, number: str | None) -> None:
        """Let a user be found no more by what was theirs before."""
        self._by_email.pop(email or "", None)
        self._by_external_id.pop(name or "", None)
        if number is not None:
            self._by_number[number].remove(user)

    def _take(self, row: CheckedRow) -> None:
        user = self._match(row)
        if user is None:
            self._create(row)
            return
        brings_seed = row.seed is not None and self._may_bring(user, row)
        before = Before.of(user)
        changed = self._update(user, row)
        if changed or brings_seed:
            name = BROUGHT if brings_seed else None
            self.news.append(News(user=user, name=name, before=before))
        if brings_seed:
            self._enroll(user.id, row)
            user.enrollment_open, user.enrolled = False, True
        if changed:
            self.events[EventKind.USER_UPDATED].append((user.id, {"fields": ", ".join(changed)}))
        if changed or brings_seed:
            self.tally.updated += 1
        else:
            self.tally.unchanged += 1

    def _match(self, row: CheckedRow) -> User | None:
        """Return whom the row is about: who has its address, or else its external id.

        Without an address it is who has its number (`named_by_number`).
        """
        named = self._by_external_id.get(row.changes.get("external_id") or "")
        number = _number_of(row)
        if number is not None:
            found = named_by_number(self._by_number[number]) or named
        else:
            found = self._by_email.get(row.email_key or "", named)
        if named is not None and found is not named:
            raise Refusal("external_id_taken", "external_id has already been taken")
        return found

    def _create(self, row: CheckedRow) -> None:
        user_id = uuid.uuid4()
        values = {
            "id": user_id,
            "organization_id": self._organization_id,
            "email": row.changes.get("email"),
            "email_key": row.email_key,
            "phone_number": row.changes.get("phone_number"),
            "external_id": row.changes.get("external_id"),
            "profile": row.changes.get("profile") or {},
            **name_keys(row.changes.get("profile") or {}),
            "enrolled": row.seed is not None,
            "enrollment_open": row.seed is None,
            "created_at": self._now,
            "updated_at": self._now,
        }
        self._new_users.append(values)
        name = ADDED if row.seed is None else BROUGHT
        self.news.append(News(user=User(**values), name=name))
        self.events[EventKind.USER_CREATED].append((user_id, {}))
        if row.seed is not None:
            self._enroll(user_id, row)
        self.tally.created += 1

    def _update(self, user: User, row: CheckedRow) -> list[str]:
        changes: dict[str, Any] = dict(row.changes)
        if row.email_key is not None and user.email_key == row.email_key:
            del changes["email"]  # another spelling of it is no news
        before = (user.email_key, user.external_id, user.phone_number)
        changed = apply(user, cast(UserChanges, changes))
        if changed:
            user.updated_at = self._now
        if (user.email_key, user.external_id, user.phone_number) != before:
            self._tx.flush()  # at once: a later row may take what became free
            self._forget(user, *before)
            self._index(user)
        return changed

    def _may_bring(self, user: User, row: CheckedRow) -> bool:
        """Tell whether the row's seed is new to a user who has none.

        Raises:
            Refusal: `already_enrolled` or `seed_removed`.
        """
        has = self._authenticators[user.id]
        if any(self._is_same(one, row) for one in has):
            return False
        if any(one.status in _LIVE for one in has):
            raise Refusal("already_enrolled", "The user has an authenticator already.")
        if any(self._was_removed(one, row) for one in has):
            raise Refusal(
                "seed_removed", "The user's authenticator with this seed was removed here."
            )
        return True

    def _is_same(self, one: Authenticator, row: CheckedRow) -> bool:
        if one.status is not AuthenticatorStatus.ACTIVE or one.kind != Totp.kind:
            return False
        key = self._vault.open(one.secret or "", place=secret_place(one.id))
        return row.seed is not None and (key, one.parameters) == (row.key, row.seed.parameters)

    def _was_removed(self, one: Authenticator, row: CheckedRow) -> bool:
        """Tell whether it is the row's seed: who stole the phone must not be let in again."""
        return one.imported_hash is not None and self._vault.matches(
            row.key.hex(), one.imported_hash, purpose=_PURPOSE
        )

    def _enroll(self, user_id: uuid.UUID, row: CheckedRow) -> None:
        authenticator_id = uuid.uuid4()
        self._new_authenticators.append(
            {
                "id": authenticator_id,
                "user_id": user_id,
                "kind": Totp.kind,
                "status": AuthenticatorStatus.ACTIVE,
                "secret": self._vault.seal(row.key, place=secret_place(authenticator_id)),
                "parameters": row.seed.parameters if row.seed else {},
                "imported_hash": self._vault.hash(row.key.hex(), purpose=_PURPOSE),
                "created_at": self._now,
                "confirmed_at": self._now,
            }
        )
        detail = {"kind": Totp.kind, "authenticator": str(authenticator_id)}
        self.events[EventKind.AUTHENTICATOR_IMPORTED].append((user_id, detail))


def _number_of(row: CheckedRow) -> str | None:
    """Return the number by which a row names its user, if it has no address."""
    return row.changes.get("phone_number") if row.email_key is None else None
