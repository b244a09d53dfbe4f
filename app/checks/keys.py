"""Whether all keys are there: those that sign, and those that encrypt what is at rest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import product

from app.checks.findings import Finding, fine, problem, warning
from app.crypto import Sealed, UnknownKey
from app.models import KeyState, KeyUse
from app.wiring import Services

OLD = timedelta(days=365)
"""A key that has signed for longer should make room for the next."""


def check_signing_keys(services: Services) -> Iterator[Finding]:
    """See whether each use has a key that signs, which opens, and one that follows."""
    with services.database.reading() as tx:
        standing = services.signing_keys.standing(tx)
    there = {(one.use, one.state) for one in standing}
    lacking = [
        f"{state} key for {use}"
        for use, state in product(KeyUse, (KeyState.ACTIVE, KeyState.NEXT))
        if (use, state) not in there
    ]
    if lacking:
        yield problem(
            "signing_keys", f"There is no {', no '.join(lacking)}.", "Run: gatehouse init"
        )
        return
    shut = [use for use in KeyUse if not _opens(services, use)]
    if shut:
        yield problem(
            "signing_keys",
            f"The keys that sign for {', '.join(shut)} can't be read: they are encrypted under a "
            "key that GATEHOUSE_ENCRYPTION_KEYS lacks, or were changed.",
            "Put the old encryption key back, behind the others. If it is lost: gatehouse "
            "signing-keys rotate, twice.",
        )
        return
    began = {one.use: one.since for one in standing if one.state is KeyState.ACTIVE}
    age = services.clock.now() - min(began.values())
    if age > OLD:
        yield warning(
            "signing_keys",
            f"A key has signed for {age.days} days.",
            "Run: gatehouse signing-keys rotate",
        )
        return
    yield fine("signing_keys", f"All sign; the oldest has for {age.days} days. The next are there.")


def check_encryption_keys(services: Services) -> Iterator[Finding]:
    """See whether every key is there that something needs, and whether old ones may go."""
    uses = services.encryption_keys.uses()
    lost = [one for one in uses if not one.known]
    for one in lost:
        yield problem(
            "encryption_keys",
            f"{one.sealed + sum(one.hashed.values())} values need the key {one.key_id}, which is "
            "not in GATEHOUSE_ENCRYPTION_KEYS.",
            "Put it back, behind the others, from where you keep a copy.",
        )
    old = [one for one in uses if one.known and not one.writes]
    for one in old:
        if one.sealed:
            yield warning(
                "encryption_keys",
                f"{one.sealed} values are still encrypted under the old key {one.key_id}.",
                "Run: gatehouse encryption-keys rotate",
            )
        elif one.is_free:
            yield warning(
                "encryption_keys",
                f"Nothing needs the old key {one.key_id} any more.",
                "Take it out of GATEHOUSE_ENCRYPTION_KEYS, and restart every process.",
            )
    if not lost:
        waiting = [one.key_id for one in old if one.hashed and not one.sealed]
        told = f" {', '.join(waiting)} must stay for hashes that nobody can make anew."
        yield fine(
            "encryption_keys", "Every key is there that something needs." + told * bool(waiting)
        )


def _opens(services: Services, use: KeyUse) -> bool:
    try:
        with services.database.reading() as tx:
            services.signing_keys.signer(tx, use)
    except (UnknownKey, Sealed, ValueError):
        return False
    return True
