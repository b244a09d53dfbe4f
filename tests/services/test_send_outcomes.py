"""Outcomes are written down for many messages at once, and each counts for itself."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import MessageStatus
from app.services.send_claims import Claim
from app.services.send_outcomes import Outcome, Outcomes
from tests.conftest import wait_for
from tests.office import Office, Posted
from tests.providers.servers import Post

pytestmark = pytest.mark.both_databases

MANY = 8


class Gathered:
    """Outcomes that threads have at the same time, while another transaction is under way."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.outcomes = Outcomes(office.services.database, lambda: True)
        self.told: dict[uuid.UUID, bool | Exception] = {}
        self.transactions = 0

    def write(self, outcomes: list[Outcome]) -> None:
        threads = [threading.Thread(target=self._write, args=(one,)) for one in outcomes]
        engine = self.office.services.database.engine
        count = lambda _: setattr(self, "transactions", self.transactions + 1)  # noqa: E731
        with self.outcomes._writing:
            for thread in threads:
                thread.start()
            wait_for(lambda: len(self.outcomes._waiting) == len(outcomes))
            sa.event.listen(engine, "commit", count)
        for thread in threads:
            thread.join()
        sa.event.remove(engine, "commit", count)

    def _write(self, outcome: Outcome) -> None:
        try:
            self.told[outcome.message_id] = self.outcomes.write(outcome)
        except Exception as error:
            self.told[outcome.message_id] = error


@pytest.fixture
def gathered(office: Office) -> Gathered:
    return Gathered(office)


@pytest.fixture
def claims(office: Office, server: Post) -> list[Claim]:
    office.mail_server(server)
    office.codes(MANY)
    claims = office.services.sender._claims
    return list(claims.take(claims.due(limit=MANY)).values())


def sent(claim: Claim, **more: Any) -> Outcome:
    values = {"status": MessageStatus.SENT, "due_at": None, "body": None, **more}
    return Outcome(claim.message_id, claim.until, values)


def statuses(office: Office, claims: list[Claim]) -> set[str]:
    return {office.status(Posted(one.message_id, "", "", "")) for one in claims}


def test_what_gathers_is_kept_in_one_transaction(
    gathered: Gathered, claims: list[Claim], office: Office
) -> None:
    gathered.write(
        [sent(one) for one in claims[:5]] + [sent(one, error=None) for one in claims[5:]]
    )
    assert gathered.told == {one.message_id: True for one in claims}
    assert gathered.transactions == 1
    assert statuses(office, claims) == {"sent"}


def test_one_that_another_sender_has_by_now_is_left_to_it(
    gathered: Gathered, claims: list[Claim], office: Office
) -> None:
    office.clock.advance(20)
    others = office.services.sender._claims
    [again] = others.take(others.due(limit=1)).values()
    gathered.write([sent(one) for one in claims])
    assert gathered.told == {one.message_id: one.message_id != again.message_id for one in claims}
    assert statuses(office, [again]) == {"sending"}


def test_one_that_can_t_be_written_takes_no_other_with_it(
    gathered: Gathered, claims: list[Claim], office: Office
) -> None:
    gathered.write([sent(claims[0], sent_at="never"), *(sent(one) for one in claims[1:])])
    assert isinstance(gathered.told.pop(claims[0].message_id), sa.exc.StatementError)
    assert gathered.told == {one.message_id: True for one in claims[1:]}
    assert statuses(office, claims[1:]) == {"sent"}
    assert statuses(office, claims[:1]) == {"sending"}


def test_a_database_that_is_away_is_asked_once_for_all_of_them(
    gathered: Gathered, claims: list[Claim], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def away(outcomes: Any) -> Any:
        asked.append(len(outcomes))
        raise sa.exc.OperationalError("", {}, Exception())

    monkeypatch.setattr(gathered.outcomes, "_changed", away)
    gathered.write([sent(one) for one in claims])
    assert asked == [MANY]
    assert {type(one) for one in gathered.told.values()} == {sa.exc.OperationalError}
