"""`gatehouse audit verify`, as an operator runs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.config import Config
from app.models import Event, Seal
from app.wiring import Services, wire
from tests.cli.test_cli import Operator, Terminal, bare, terminal  # noqa: F401 (a fixture)
from tests.conftest import environment_of

pytestmark = pytest.mark.both_databases


@pytest.fixture
def operator(config: Config, terminal: Terminal, tmp_path: Path) -> Operator:  # noqa: F811
    given = environment_of(config)
    return Operator(
        terminal, tmp_path, **{name: given[name] for name in given if name.startswith("GATEHOUSE_")}
    )


@pytest.fixture
def wired(config: Config, operator: Operator) -> Iterator[Services]:
    """Two organizations, all of whose events are sealed."""
    for name, environment in (("Harbor", "sandbox"), ("Pier", "production")):
        operator.gets("organizations", "create", name, "--environment", environment)
    found = wire(config)
    while found.seals.seal():
        pass
    yield found
    found.database.engine.dispose()


def tamper(wired: Services) -> None:
    with wired.database.writing() as tx:
        tx.execute(sa.update(Event).values(address="192.0.2.1"))


def test_a_record_that_is_as_it_was_written_is_said_to_be(
    wired: Services, operator: Operator
) -> None:
    told = operator.gets("audit", "verify")
    assert told["intact"] is True
    assert told["breaks"] == []
    names = {(one["organization"], one["environment"]) for one in told["chains"]}
    assert names == {("harbor", "sandbox"), ("pier", "production")}
    for chain in told["chains"]:
        assert chain["unsealed"] == 0
        assert chain["head"].startswith("test:")
    for person in (operator.types("audit", "verify").stdout,):
        assert "harbor (sandbox)" in person
        assert told["chains"][0]["head"] in person
        assert "All sealed events are as they were written." in person


def test_what_waits_for_a_seal_is_named(wired: Services, operator: Operator) -> None:
    operator.gets("organizations", "create", "Quay")
    quay = next(
        one for one in operator.gets("audit", "verify")["chains"] if one["organization"] == "quay"
    )
    assert quay["unsealed"] == 2
    assert quay["unsealed_since"].endswith("Z")
    told = operator.types("audit", "verify").stdout
    assert f"2 events wait for a seal, from event {quay['unsealed_from']} of " in told


def test_a_break_is_told_and_is_exit_code_1(wired: Services, operator: Operator) -> None:
    tamper(wired)
    done = operator.types("audit", "verify")
    assert done.returncode == 1
    assert "BROKEN: harbor (sandbox), seal 1: one of the events 1-2 was changed." in done.stdout
    assert "BROKEN: pier (production), seal 1: " in done.stdout
    assert "as they were written" not in done.stdout
    done = operator.types("audit", "verify", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["intact"] is False
    assert {one["kind"] for one in told["breaks"]} == {"event_changed"}


def test_one_organization_is_checked_by_itself(wired: Services, operator: Operator) -> None:
    with wired.database.writing() as tx:
        tx.execute(sa.delete(Event).where(Event.id == 1))
    pier = ("--organization", "pier", "--environment", "production")
    assert operator.gets("audit", "verify", *pier)["intact"] is True
    assert operator.types("audit", "verify", "--organization", "harbor").returncode == 1
    assert "No such organization" in operator.fails("audit", "verify", "--organization", "nobody")


def test_a_digest_that_was_kept_is_looked_for(wired: Services, operator: Operator) -> None:
    heads = [one["head"] for one in operator.gets("audit", "verify")["chains"]]
    both = ("--expect", heads[0], "--expect", heads[1])
    assert operator.gets("audit", "verify", *both)["intact"] is True
    with wired.database.writing() as tx:
        tx.execute(sa.delete(Seal))
        tx.execute(sa.delete(Event))
    assert operator.types("audit", "verify").returncode == 0
    done = operator.types("audit", "verify", *both)
    assert done.returncode == 1
    assert f"no seal has the expected digest {heads[0]}" in done.stdout
