"""Slices of a call right beside slices of `/healthz`.

One number a second says more about the machine than about the code; the ratio of the two, over the
same connections, is what to compare between two versions of the code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat
from statistics import median, quantiles

from load import Call, Connections, Sample
from part import Figure

HEALTH = Call("GET", "/healthz", 200)
HEALTH_ROW = "GET /healthz"
SLICE = 0.12  # seconds of /healthz beside each slice


@dataclass
class Row:
    """What all slices of one call came to."""

    times: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    """Of the rate of /healthz beside."""

    @property
    def p95(self) -> float:
        """The time that 19 of 20 calls stayed under, in milliseconds."""
        times = self.times * 2 if len(self.times) == 1 else self.times
        return quantiles(times, n=20)[-1] * 1000


@dataclass
class Besides:
    """Calls by name, each measured beside /healthz."""

    rows: dict[str, Row] = field(default_factory=dict)

    def measure(
        self,
        name: str,
        to: Connections,
        calls: Iterable[Call],
        seconds: float,
        *,
        gateway: Connections | None = None,
    ) -> Sample:
        """Measure calls right beside a slice of /healthz.

        Args:
            gateway: connections to Gatehouse, if `to` are to another server.
        """
        health = (gateway or to).measure(repeat(HEALTH), SLICE)
        sample = to.measure(calls, seconds)
        self._keep(HEALTH_ROW, health, health)
        self._keep(name, sample, health)
        return sample

    def _keep(self, name: str, sample: Sample, health: Sample) -> None:
        row = self.rows.setdefault(name, Row())
        row.times += sample.times
        row.rates.append(sample.rate)
        row.ratios.append(sample.rate / health.rate)

    def figures(self) -> list[Figure]:
        """Return how each call's time compares with /healthz; medians over the slices."""
        found = []
        for name, row in self.rows.items():
            mid = median(row.times) * 1000
            found.append(Figure(f"{name}: median", mid, " ms"))
            found.append(Figure(f"{name}: p95", row.p95, " ms"))
            if name != HEALTH_ROW:
                found.append(Figure(f"{name}: rate, of /healthz", median(row.ratios)))
        return found
