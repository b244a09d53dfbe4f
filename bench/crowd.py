"""A crowd: 100,000 users, and 1,000,000 each of what they did in ninety days, in bulk SQL."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.clock import SystemClock
from app.models import (
    Application,
    Authenticator,
    Event,
    Organization,
    RecoveryCode,
    Seal,
    User,
    Verification,
)
from app.wiring import Services

USERS = 100_000
DEEDS = 1_000_000
"""Verifications, and as many events."""
DAYS = 90
_CODES = 5
_SEAL = uuid.UUID(int=1)


@dataclass(frozen=True)
class Dialect:
    """How one database says what both can do.

    Attributes:
        id: a UUID made of a number `i` and a digit that tells tables apart.
        ago: the moment so many seconds ago.
    """

    id: str
    ago: str
    padded: str


SQLITE = Dialect(
    id="printf('%x%031x', {kind}, {i})",
    ago="strftime('%Y-%m-%d %H:%M:%f', 'now', (-({seconds})) || ' seconds') || '000'",
    padded="printf('%07d', {i})",
)
POSTGRESQL = Dialect(
    id="({kind}::text || lpad(to_hex({i}), 31, '0'))::uuid",
    ago="now() - ({seconds}) * interval '1 second'",
    padded="lpad(({i})::text, 7, '0')",
)


def fill(wired: Services, organization: Organization, application: Application) -> None:
    """Put the crowd into the organization, as if all of it had come through the application."""
    bulk = Bulk(wired, organization.id, application.id)
    for put in (bulk.users, bulk.authenticators, bulk.codes, bulk.verifications, bulk.events):
        with wired.database.writing() as tx:
            put(tx)
    while wired.tallies.count_finished():
        pass
    tidy(wired.database.engine)


def tidy(engine: sa.Engine) -> None:
    """Do what each database does by itself when there is time."""
    tidy = {"sqlite": "PRAGMA wal_checkpoint(TRUNCATE)", "postgresql": "VACUUM ANALYZE"}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(tidy[engine.dialect.name])


class Bulk:
    """Statements that make rows out of numbers.

    Args:
        users: how many there are to be.
        deeds: verifications, and as many events.
        after: how many users there are already; only the others are put in.
    """

    def __init__(
        self,
        wired: Services,
        organization: uuid.UUID,
        application: uuid.UUID,
        *,
        users: int = USERS,
        deeds: int = DEEDS,
        after: int = 0,
    ) -> None:
        self._users, self._deeds, self._after = users, deeds, after
        name = wired.database.engine.dialect.name
        self._in = SQLITE if name == "sqlite" else POSTGRESQL
        self._ours = {"organization_id": sa.literal(organization, sa.Uuid())}
        self._application = sa.literal(application, sa.Uuid())

    def users(self, tx: Session) -> None:
        """Every twentieth has nothing enrolled; every five hundredth is locked."""
        given = "('name' || (i % 997))"
        family = "('family' || (i % 4999))"
        self._insert(
            tx,
            User,
            self._users,
            {
                **self._ours,
                "id": self._id(1),
                "email": self._sql("'user' || i || '@harbor.example'"),
                "email_key": self._sql("'user' || i || '@harbor.example'"),
                "phone_number": self._sql(f"'+336' || {self._in.padded.format(i='i')} || '0'"),
                "external_id": self._sql("'crm-' || i"),
                "profile": self._json(
                    f"""'{{"given_name":"' || {given} || '","family_name":"' || {family} || '"}}'"""
                ),
                "name_key": self._sql(f"{given} || ' ' || {family}"),
                "family_name_key": self._sql(family),
                "enrolled": self._sql("i % 20 <> 0"),
                "last_verified_at": self._ago("i * 60"),
                "failures": self._sql("CASE WHEN i % 500 = 1 THEN 100 ELSE 0 END"),
                "created_at": self._ago(f"i + {DAYS * 86400}"),
                "updated_at": self._ago("i"),
            },
            after=self._after,
        )

    def authenticators(self, tx: Session) -> None:
        """Each who is enrolled has an app."""
        self._insert(
            tx,
            Authenticator,
            self._users,
            {
                "id": self._id(2),
                "user_id": self._id(1),
                "kind": self._sql("'totp'"),
                "status": self._sql("'active'"),
                "secret": self._sql("'sealed'"),
                "parameters": self._json("'{}'"),
                "created_at": self._ago("i"),
                "confirmed_at": self._ago("i"),
            },
            after=self._after,
            where="i % 20 <> 0",
        )

    def codes(self, tx: Session) -> None:
        """And recovery codes, one of which was used."""
        self._insert(
            tx,
            RecoveryCode,
            self._users * _CODES,
            {
                "id": self._id(3),
                "user_id": self._id(1, f"1 + i % {self._users}"),
                "code_hash": self._sql("'hash' || i"),
                "length": sa.literal(16),
                "used_at": sa.case(
                    (self._sql(f"i < {self._users}"), self._ago("i")), else_=sa.null()
                ),
                "created_at": self._ago("i"),
            },
        )

    def verifications(self, tx: Session) -> None:
        """Four in a hundred are refused."""
        self._insert(
            tx,
            Verification,
            self._deeds,
            {
                **self._ours,
                "id": self._id(4),
                "user_id": self._id(1, f"1 + i % {self._users}"),
                "application_id": self._application,
                "kind": self._sql(
                    "CASE i % 10 WHEN 0 THEN 'recovery_code' WHEN 1 THEN 'sms' ELSE 'totp' END"
                ),
                "purpose": self._sql("CASE i % 10 WHEN 0 THEN 'recovery' ELSE 'verification' END"),
                "accepted": self._sql("i % 25 <> 3"),
                "reason": self._sql("CASE i % 25 WHEN 3 THEN 'wrong' END"),
                "took_ms": self._sql("3000 + (i % 9973) * 7919 % 40000"),
                "at": self._ago(self._spread()),
            },
        )

    def events(self, tx: Session) -> None:
        """All of them sealed, or the worker would be busy with it while others are measured."""
        tx.add(
            Seal(
                id=_SEAL,
                chain=str(self._ours["organization_id"].value),
                number=self._deeds,  # after whatever the worker sealed before
                event_ids=f"1-{self._deeds}",
                count=self._deeds,
                content_digest="",
                previous_digest="",
                digest="",
                created_at=SystemClock().now(),
            )
        )
        tx.flush()
        self._insert(
            tx,
            Event,
            self._deeds,
            {
                **self._ours,
                "at": self._ago(self._spread()),
                "kind": self._sql(
                    "CASE i % 25 WHEN 3 THEN 'verification:refused' WHEN 4 THEN 'user:updated' "
                    "ELSE 'verification:accepted' END"
                ),
                "actor": self._sql("CASE i % 25 WHEN 4 THEN 'operator' ELSE 'user' END"),
                "user_id": self._id(1, f"1 + i % {self._users}"),
                "application_id": self._application,
                "address": self._sql("'10.' || (i % 251) || '.' || (i % 241) || '.7'"),
                "detail": self._json(
                    """'{"kind":"totp","purpose":"verification","reason":null}'"""
                ),
                "seal_id": sa.literal(_SEAL, sa.Uuid()),
            },
        )

    def _insert(
        self,
        tx: Session,
        model: type[User | Authenticator | RecoveryCode | Verification | Event],
        number: int,
        columns: dict[str, sa.ColumnElement[Any]],
        *,
        after: int = 0,
        where: str = "",
    ) -> None:
        first = sa.select(sa.literal(after + 1).label("i")).cte("numbers", recursive=True)
        source = first.union_all(sa.select(first.c.i + 1).where(first.c.i < number))
        chosen = sa.select(*columns.values()).select_from(source)
        if where:
            chosen = chosen.where(sa.text(where))
        tx.execute(sa.insert(model).from_select(list(columns), chosen))

    def _id(self, kind: int, number: str = "i") -> sa.ColumnElement[Any]:
        return self._sql(self._in.id.format(kind=kind, i=f"({number})"))

    def _ago(self, seconds: str) -> sa.ColumnElement[Any]:
        return self._sql(self._in.ago.format(seconds=seconds))

    def _json(self, sql: str) -> sa.ColumnElement[Any]:
        return self._sql(sql if self._in is SQLITE else f"({sql})::json")

    def _sql(self, sql: str) -> sa.ColumnElement[Any]:
        return sa.literal_column(sql)

    def _spread(self) -> str:
        """Return how long ago the one with a number happened: the first ninety days."""
        return f"({self._deeds} - i) * {DAYS * 86400 / self._deeds}"
