"""One user's page and the inbox, where there are many of everything: indexes answer."""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Base
from app.models import (
    BypassCode,
    EnrollmentInvitation,
    Event,
    Message,
    MessageStatus,
    Purpose,
    RecoveryCode,
    User,
    Verification,
)
from tests.conftest import Harbor
from tests.web.admin.furniture import furnish
from tests.web.admin.test_users import crowds, listening, plan

pytestmark = pytest.mark.both_databases

LARGE = (
    "users|authenticators|recovery_codes|enrollment_invitations|bypass_codes|events|"
    "verifications|messages"
)
FEW = r"(?! USING (COVERING )?INDEX ix_\w+_(unsealed|refused|suspended)\b)"
"""These hold few, however many rows there are."""
HERS, OTHERS = 300, 6000


def scans(found: str) -> list[str]:
    """Return the steps of a plan that read all of a table that may be large, or sort all of it."""
    whole = re.compile(rf"(SCAN|Seq Scan on) ({LARGE})(_\d+)?\b{FEW}")
    return [line for line in found.splitlines() if whole.search(line)]


def sorts(found: str) -> list[str]:
    return re.findall(r"USE TEMP B-TREE FOR ORDER BY|Sort Key:.*", found)


def much(harbor: Harbor, client_id: str) -> None:
    """Give Ada a long history, and everybody together one that is longer still."""
    crowds(harbor, organizations=2, each=1000)
    application = uuid.UUID(client_id)
    with harbor.services.database.writing() as tx:
        for table, rows in rows_of(harbor, application).items():
            tx.execute(sa.insert(table), rows)
    with harbor.services.database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    # SQLite's connections plan by the figures that there were when they were opened.
    harbor.services.database.engine.dispose()


def rows_of(harbor: Harbor, application: uuid.UUID) -> dict[type[Base], list[dict[str, Any]]]:
    """Return many rows of each table, more of them Ada's than anybody's."""
    now, organization_id = harbor.clock.now(), harbor.organization.id
    others = [row.id for row in harbor.rows(sa.select(User.id).limit(1000))]
    found: dict[type[Base], list[dict[str, Any]]] = defaultdict(list)
    for number in range(HERS + OTHERS):
        hers = number < HERS
        user = {"user_id": uuid.UUID(harbor.ada) if hers else others[number % len(others)]}
        mine = {**user, "organization_id": organization_id}
        at = now - timedelta(minutes=number)
        found[Event].append(
            {**mine, "at": at, "kind": "verification:refused", "actor": "user", "detail": {}}
        )
        found[Verification].append(
            {**mine, "at": at, "kind": "totp", "purpose": Purpose.VERIFICATION, "accepted": False}
        )
        found[Message].append(
            {
                **mine,
                "channel": "sms" if number % 3 else "email",
                "recipient": "somebody@harbor.example",
                "name": "code",
                "subject": "Your code",
                "status": MessageStatus.CAPTURED,
                "created_at": at,
            }
        )
        kept = {**user, "created_at": at}
        if hers and number % 30:
            continue  # nobody has more than a few of these
        found[RecoveryCode].append({**kept, "code_hash": f"hash {number}", "length": 16})
        until = {"expires_at": at, "used_at": at}
        found[BypassCode].append({**kept, **until, "code_hash": f"hash {number}"})
        found[EnrollmentInvitation].append(
            {**kept, **until, "application_id": application, "token_hash": f"hash {number}"}
        )
    return found


def test_one_user_s_page_and_the_inbox_read_no_whole_table(harbor: Harbor) -> None:
    ids = furnish(harbor)
    much(harbor, ids["client_id"])
    nadia, judged = harbor.administrator(), 0
    is_sqlite = harbor.services.database.engine.dialect.name == "sqlite"
    user = f"/users/{harbor.ada}"
    for path in (
        user,
        f"/users/{ids['invited']}",
        f"{user}/reset",
        f"{user}/delete",
        "/inbox",
        f"/inbox?user={harbor.ada}",
        "/inbox?user=ada%40harbor.example",
        f"/inbox?sms={harbor.clock.now().isoformat()}~{uuid.UUID(int=2**127).hex}".replace(
            "+", "%2B"
        ),
    ):
        with listening(harbor) as heard:
            assert nadia.at(path).status == 200, path
        for statement, parameters in heard:
            if re.search(rf"\b({LARGE})\b", statement):
                found = plan(harbor, statement, parameters)
                assert scans(found) == [], f"{path}\n{statement}\n{found}"
                # Of these a user may have many; and PostgreSQL sorts where it expects few.
                if is_sqlite and re.search("FROM (events|messages|verifications)", statement):
                    assert sorts(found) == [], f"{path}\n{statement}\n{found}"
                judged += 1
    assert judged > 35


def test_the_look_at_these_plans_would_find_a_scan_and_a_sort(harbor: Harbor) -> None:
    for statement in (
        "SELECT id FROM messages WHERE recipient = 'ada@harbor.example'",
        "SELECT id FROM events WHERE reason = 'why'",
        "SELECT id FROM verifications WHERE challenge_id = 'one'",
    ):
        assert scans(plan(harbor, statement, ())), statement
    assert sorts(plan(harbor, "SELECT id FROM messages ORDER BY recipient, id", ()))
