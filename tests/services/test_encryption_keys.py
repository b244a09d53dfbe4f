"""What is sealed under an older key is sealed anew, beside everything else, and stays readable."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event as Signal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from app import create_app, crypto
from app.config import Config
from app.models import Authenticator, SigningKey
from app.services.encryption_keys import HASHED, SEALED, EncryptionKeys, name_of
from app.wiring import Services, wire
from tests.conftest import ENCRYPTION_KEYS, PATIENCE, FixedClock, Harbor, InProcess

ROOT = Path(__file__).parents[2]
NEW = "new:" + "bmV3IGtleSBmb3IgdGhlIHRlc3RzIG9mIHJvdGF0aW8="
BOTH = f"{NEW},{ENCRYPTION_KEYS}"


def with_keys(config: Config, clock: FixedClock, keys: str) -> Services:
    return wire(Config.model_validate({**config.model_dump(), "encryption_keys": keys}), clock)


def seeds(harbor: Harbor) -> list[str]:
    found = harbor.rows(sa.select(Authenticator.secret).where(Authenticator.secret.is_not(None)))
    return [row.secret for row in found]


def test_every_column_that_is_sealed_is_known(harbor: Harbor) -> None:
    """The places of sealed values stand in the code; a new one belongs into the list, too."""
    code = "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    places = set(re.findall(r'f"([a-z_]+\.(?:[a-z_]+|\{column\})):\{', code))
    known = {name_of(column) for column in SEALED}
    several = {place.partition("{")[0] for place in places if "{" in place}
    named = {name for name in known if not name.startswith(tuple(several) or "-")}
    assert {place for place in places if "{" not in place} == named
    assert all(any(name.startswith(table) for name in known) for table in several)


def test_every_hash_that_is_kept_for_long_is_known() -> None:
    columns = {name_of(column) for column in HASHED}
    assert len(columns) == len(HASHED)
    for name in ("api_keys.secret_hash", "recovery_codes.code_hash", "seals.digest"):
        assert name in columns


def test_after_a_rotation_nothing_needs_the_old_key_to_be_opened(
    harbor: Harbor, config: Config, clock: FixedClock
) -> None:
    harbor.enrolls()
    wired = with_keys(config, clock, BOTH)
    before = {uses.key_id: uses for uses in wired.encryption_keys.uses()}
    assert before["test"].sealed > 0
    assert before["new"].sealed == 0
    done = wired.encryption_keys.rotate()
    assert (done.changed, done.unknown) == (before["test"].sealed, 0)
    after = {uses.key_id: uses for uses in wired.encryption_keys.uses()}
    assert (after["test"].sealed, after["new"].sealed) == (0, done.changed)
    assert not after["test"].is_free  # hashes of secrets that nobody keeps
    assert after["test"].hashed["recovery_codes.code_hash"] == 5
    assert after["new"].writes
    assert wired.encryption_keys.rotate().changed == 0
    wired.database.engine.dispose()


@pytest.fixture
def renewed(harbor: Harbor, config: Config, clock: FixedClock) -> Iterator[Harbor]:
    """The same cast before processes that have a new key in front of the old one."""
    both = Config.model_validate({**config.model_dump(), "encryption_keys": BOTH})
    app = create_app(both, clock=clock)
    wired: Services = app.extensions["gatehouse"]
    made = copy.copy(harbor)
    made.wire = InProcess(app.test_client(use_cookies=False))
    made.services = wired
    made.notes = replace(harbor.notes, wire=made.wire)
    made.backend = replace(harbor.backend, wire=made.wire)
    yield made
    wired.database.engine.dispose()


def test_users_confirm_and_results_are_signed_after_a_rotation(
    harbor: Harbor, renewed: Harbor
) -> None:
    phone = harbor.enrolls()
    renewed.services.encryption_keys.rotate()
    private = {row.private.split(":")[1] for row in harbor.rows(sa.select(SigningKey.private))}
    assert private == {"new"}
    browser = renewed.visits(renewed.ada)
    browser.types(renewed.code(phone))
    assert renewed.notes.checks(browser.back["result"])


def test_users_confirm_while_everything_is_sealed_anew(harbor: Harbor, renewed: Harbor) -> None:
    """Each process has both keys by then; what it reads opens, whichever key it is under."""
    users = [harbor.person(f"user{number}@harbor.example") for number in range(8)]
    phones = [harbor.enrolls(user) for user in users]
    stop, moved = Signal(), [0]

    def rotates() -> None:
        while not stop.is_set():
            moved[0] += renewed.services.encryption_keys.rotate().changed

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(rotates)
        try:
            for user, phone in zip(users, phones, strict=True):
                told = renewed.backend.calls(
                    "POST",
                    f"/org/harbor/totp-challenge/validation/{user}",
                    json={"code": renewed.code(phone)},
                )
                assert told.json["success"] is True, told.text
        finally:
            stop.set()
            running.result(timeout=PATIENCE)
    assert moved[0] >= len(users)
    assert all(secret.startswith("v1:new:") for secret in seeds(harbor))


def test_what_is_written_at_the_same_moment_wins(
    harbor: Harbor, renewed: Harbor, monkeypatch: pytest.MonkeyPatch
) -> None:
    harbor.enrolls()
    read = EncryptionKeys._batches

    def is_overtaken(
        self: EncryptionKeys, column: InstrumentedAttribute[Any]
    ) -> Iterator[list[tuple[Any, str]]]:
        for batch in read(self, column):
            if column is Authenticator.secret:
                harbor.executes(sa.update(Authenticator).values(secret="v1:new:written meanwhile"))
            yield batch

    monkeypatch.setattr(EncryptionKeys, "_batches", is_overtaken)
    renewed.services.encryption_keys.rotate()
    assert seeds(harbor) == ["v1:new:written meanwhile"]


def test_a_value_whose_key_is_lost_stays_and_is_told(
    harbor: Harbor, config: Config, clock: FixedClock
) -> None:
    harbor.enrolls()
    lost = with_keys(config, clock, NEW)
    done = lost.encryption_keys.rotate()
    assert (done.changed, done.unknown > 0) == (0, True)
    [kept] = seeds(harbor)
    assert kept.startswith("v1:test:")
    missing = {uses.key_id: uses for uses in lost.encryption_keys.uses()}["test"]
    assert (missing.known, missing.sealed) == (False, done.unknown)
    lost.database.engine.dispose()


def test_a_value_from_another_row_stops_the_rotation(
    harbor: Harbor, config: Config, clock: FixedClock
) -> None:
    """Sealing it anew would make what was moved there good."""
    harbor.enrolls()
    harbor.enrolls(harbor.person("bo@harbor.example"))
    first, second = seeds(harbor)
    harbor.executes(
        sa.update(Authenticator).where(Authenticator.secret == first).values(secret=second)
    )
    wired = with_keys(config, clock, BOTH)
    with pytest.raises(crypto.Sealed):
        wired.encryption_keys.rotate()
    wired.database.engine.dispose()
