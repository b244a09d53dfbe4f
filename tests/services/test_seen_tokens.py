"""One-time tokens that others sign: each is used once, also by many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from app.models import SeenToken
from app.wiring import Services
from tests.conftest import FixedClock


class Uses:
    """Uses tokens, each in a transaction of its own."""

    def __init__(self, services: Services, clock: FixedClock) -> None:
        self.services = services
        self.clock = clock

    def __call__(self, issuer: str, token_id: str, seconds: int = 300) -> bool:
        until = self.clock.now() + timedelta(seconds=seconds)
        with self.services.database.writing() as tx:
            return self.services.seen_tokens.use(tx, issuer, token_id, until=until)

    @property
    def kept(self) -> int:
        with self.services.database.reading() as tx:
            return tx.scalar(sa.select(sa.func.count()).select_from(SeenToken)) or 0


@pytest.fixture
def use(services: Services, clock: FixedClock) -> Uses:
    return Uses(services, clock)


def test_a_token_is_used_once(use: Uses) -> None:
    assert use("duo one", "a")
    assert not use("duo one", "a")


def test_what_one_issuer_used_another_may_use(use: Uses) -> None:
    assert use("duo one", "a")
    assert use("duo two", "a")
    assert use("duo one", "A")


@pytest.mark.parametrize("token_id", ["", "\x00", "\ud800", "é" * 5000], ids=ascii)
def test_any_name_will_do(use: Uses, token_id: str) -> None:
    assert use("duo one", token_id)
    assert not use("duo one", token_id)


def test_of_many_at_once_one_is_the_first(use: Uses) -> None:
    together = Barrier(8)

    def attempt(_: int) -> bool:
        together.wait()
        return use("duo one", "a")

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == [False] * 7 + [True]


def test_what_is_undone_was_not_used(use: Uses) -> None:
    until = use.clock.now() + timedelta(seconds=300)
    with pytest.raises(RuntimeError), use.services.database.writing() as tx:
        assert use.services.seen_tokens.use(tx, "duo one", "a", until=until)
        raise RuntimeError
    assert use("duo one", "a")


def test_it_is_kept_until_it_is_over_and_then_forgotten(use: Uses) -> None:
    use("duo one", "a", seconds=300)
    use.clock.advance(299)
    use("duo one", "b")
    assert use.kept == 2
    use.clock.advance(1)
    use("duo one", "c")
    assert use.kept == 2
