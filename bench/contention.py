"""Others of an organization while eight clients hammer one of its users, sixteen in flight in all.

Slices in which all sixteen are others take turns with slices in which half of them hammer; each
figure is the median of slices, so that one moment in which the disk stands still spoils one slice.
"""

from __future__ import annotations

from contextlib import ExitStack
from itertools import repeat
from statistics import median, quantiles
from threading import Thread

from flight import Flight
from load import Sample
from part import Figure, Options, opened
from stage import Stage
from verifications import USERS, Asks, Turns, enroll

IN_FLIGHT = 16
HAMMERS = 8
ROUNDS = 4
SLICE = 4.0  # seconds
MOST = 1.5
"""Times the others' p99 when nobody hammers."""
ACCEPTED = b'"success":true'


def measure(options: Options) -> list[Figure]:
    """Measure the others' tail with and without the hammering."""
    with opened(options.kind) as made:
        return _measure(made, 1 if options.small else ROUNDS)


def _measure(made: Stage, rounds: int) -> list[Figure]:
    victim, *others = enroll(made, USERS)
    asks, turns = Asks(made), Turns(others)
    alone, beside, hammered = list[Sample](), list[Sample](), list[Sample]()
    with ExitStack() as stack:
        all_, half, hammers = (
            Flight(made.port, number) for number in (IN_FLIGHT, IN_FLIGHT - HAMMERS, HAMMERS)
        )
        for one in (all_, half, hammers):
            stack.callback(one.close)

        def hammer() -> None:
            """Have one user's code judged over and over; whatever the answer is."""
            codes = asks.codes(repeat(victim))
            hammered.append(hammers.measure(codes, holds=b"HTTP/1.1 ", seconds=SLICE))

        all_.measure(asks.codes(turns), holds=ACCEPTED, seconds=SLICE)  # warms up
        for _ in range(rounds):
            alone.append(all_.measure(asks.codes(turns), holds=ACCEPTED, seconds=SLICE))
            beside_it = Thread(target=hammer)
            beside_it.start()
            beside.append(half.measure(asks.codes(turns), holds=ACCEPTED, seconds=SLICE))
            beside_it.join()
    quiet, busy = _p99(alone), _p99(beside)
    return [
        Figure("others, sixteen in flight: median", _median(alone), " ms"),
        Figure("others, sixteen in flight: p99", quiet, " ms"),
        Figure("eight hammer one user: rate", median(one.rate for one in hammered), "/s"),
        Figure("others, meanwhile: median", _median(beside), " ms"),
        Figure("others, meanwhile: p99", busy, " ms"),
        Figure("others' p99, meanwhile / before", busy / quiet, at_most=MOST),
    ]


def _median(samples: list[Sample]) -> float:
    return median(median(one.times) for one in samples) * 1000


def _p99(samples: list[Sample]) -> float:
    return median(quantiles(one.times, n=100)[-1] for one in samples) * 1000
