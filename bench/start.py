"""How soon a server answers, what its workers hold in memory, and whether that grows under load.

Memory is PSS: what is shared between processes is divided among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import monotonic

from flight import IN_FLIGHT, Flight
from part import Figure, Options, opened
from stage import Stage, served
from verifications import USERS, Asks, Turns, enroll

STARTS = 5
WARM = 20.0  # seconds of load until all is loaded that a worker loads as it goes
SAMPLES = 10
SLICE = 5.0  # seconds
MOST_GROWTH, MOST_GROWTH_LATER = 10, 2
"""Percent of what a process held when it was warm, and half-way: what an allocator keeps fills
up, as does what a connection keeps of a growing database, and is full."""


def measure(options: Options) -> list[Figure]:
    """Start servers, and keep one under load."""
    with opened(options.kind) as made:
        starts = [_start() for _ in range(1 if options.small else STARTS)]
        return [
            Figure("start to the first answer", median(starts), " s"),
            *_loaded(made, options.minutes * 60, WARM / 10 if options.small else WARM),
        ]


def _start() -> float:
    """Start one more server on the same database, and return how long it took to answer."""
    began = monotonic()
    with served():
        return monotonic() - began


def _loaded(made: Stage, seconds: float, warm: float) -> list[Figure]:
    devices = enroll(made, USERS)
    asks, turns = Asks(made), Turns(devices)
    fresh = memory(made.server)
    with _flight(made) as flight:

        def load(for_: float) -> int:
            sample = flight.measure(asks.codes(turns), holds=b'"success":true', seconds=for_)
            return len(sample.times)

        load(warm)
        held, judged, began = [memory(made.server)], 0, monotonic()
        for number in range(1, SAMPLES + 1):
            end = began + seconds * number / SAMPLES
            while (left := end - monotonic()) > 0:
                judged += load(min(SLICE, left))
            held.append(memory(made.server))
        took = monotonic() - began
    return [
        Figure("memory of a worker, fresh", max(fresh.values()), " MB"),
        Figure("memory of a worker, warm", max(held[0].values()), " MB"),
        Figure("minutes under load", took / 60),
        Figure("right codes meanwhile", judged / took, "/s"),
        Figure("memory of a worker, afterwards", max(held[-1].values()), " MB"),
        Figure("growth meanwhile", _growth(held[0], held[-1]), " %", at_most=MOST_GROWTH),
        Figure(
            "growth in the second half",
            _growth(held[SAMPLES // 2], held[-1]),
            " %",
            at_most=MOST_GROWTH_LATER,
        ),
    ]


def _growth(before: dict[int, float], after: dict[int, float]) -> float:
    """Return the percents by which the one that grew most has grown."""
    return max(after[pid] / held - 1 for pid, held in before.items()) * 100


@contextmanager
def _flight(made: Stage) -> Iterator[Flight]:
    flight = Flight(made.port, IN_FLIGHT)
    try:
        yield flight
    finally:
        flight.close()


def memory(server: int) -> dict[int, float]:
    """Return the megabytes of each process under a server, its workers among them."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    return {pid: _pss(pid) for pid in map(int, children)}


def _pss(pid: int) -> float:
    found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    return int(found[1]) / 1024 if found else 0.0
