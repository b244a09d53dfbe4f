"""A tally: how many verifications of each sort there were, and how long the visits took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from app.models import Purpose

_STEP = math.log(1.01)
"""Times are kept in steps of one percent."""


@dataclass(frozen=True, order=True)
class Cell:
    """What verifications are told apart by.

    Attributes:
        application: its id, or nothing for an answer that a backend brought.
        kind: of the factor.
    """

    application: str
    purpose: str
    kind: str
    accepted: bool


@dataclass(frozen=True)
class Tally:
    """How many verifications there were of each sort, and how long the accepted visits took.

    Attributes:
        counts: by sort.
        times: how many visits took about so long, by application and step of the time.
    """

    counts: Counter[Cell] = field(default_factory=Counter)
    times: Counter[tuple[str, int]] = field(default_factory=Counter)

    def total(
        self,
        *,
        accepted: bool | None = None,
        kind: str | None = None,
        purposes: Iterable[Purpose] = (Purpose.VERIFICATION, Purpose.RECOVERY),
    ) -> int:
        """Return how many there were.

        Args:
            accepted: only accepted, or only refused ones.
            kind: only those of one factor.
            purposes: only those for one of these.
        """
        wanted = {purpose.value for purpose in purposes}
        return sum(
            number
            for cell, number in self.counts.items()
            if cell.purpose in wanted
            and accepted in (None, cell.accepted)
            and kind in (None, cell.kind)
        )

    @property
    def kinds(self) -> set[str]:
        """The factors that were used to verify."""
        others = {one.value for one in Purpose} - {
            Purpose.VERIFICATION.value,
            Purpose.RECOVERY.value,
        }
        return {cell.kind for cell in self.counts if cell.purpose not in others}

    def took_at_most(self, share: float) -> float | None:
        """Return the seconds within which this share of the accepted visits was over."""
        wanted = math.ceil(share * self.times.total())
        steps: Counter[int] = Counter()
        for (_, step), number in self.times.items():
            steps[step] += number
        for step in sorted(steps):
            wanted -= steps[step]
            if wanted <= 0:
                return math.exp(step * _STEP) / 1000
        return None

    def of(self, application: str | None) -> Tally:
        """Return what came from one application; None means all."""
        if application is None:
            return self
        return Tally(
            Counter({c: n for c, n in self.counts.items() if c.application == application}),
            Counter({t: n for t, n in self.times.items() if t[0] == application}),
        )

    def add(self, other: Tally) -> None:
        """Add what another one counted."""
        self.counts.update(other.counts)
        self.times.update(other.times)

    def written(self) -> dict[str, Any]:
        """Return what `read` reads."""
        times: dict[str, dict[str, int]] = {}
        for (application, step), number in sorted(self.times.items()):
            times.setdefault(application, {})[str(step)] = number
        counts = [
            [cell.application, cell.purpose, cell.kind, cell.accepted, number]
            for cell, number in sorted(self.counts.items())
        ]
        return {"counts": counts, "times": times}

    @classmethod
    def read(cls, written: dict[str, Any]) -> Tally:
        """Return what was written."""
        times = {
            (application, int(step)): number
            for application, steps in written["times"].items()
            for step, number in steps.items()
        }
        counts = {Cell(*names): number for *names, number in written["counts"]}
        return cls(Counter(counts), Counter(times))


@lru_cache(100_000)
def step_of(took_ms: int) -> int:
    """Return the step of a time."""
    return round(math.log(max(took_ms, 1)) / _STEP)
