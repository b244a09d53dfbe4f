"""What a part of the bench is: its row in `run.py`, and the figures that it comes to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stage import DATABASES, Stage, stage


@dataclass(frozen=True)
class Options:
    """What one run of a part is asked for.

    Attributes:
        kind: the database, `sqlite` or `postgresql`.
        small: a part that takes long takes little of it, to see that it runs.
        minutes: how long the servers are kept under load.
    """

    kind: str
    small: bool = False
    minutes: float = 10


@dataclass(frozen=True)
class Figure:
    """A line of the table, and its target if it has one.

    Attributes:
        what: what was measured, as the table says it.
        unit: follows the number: `/s`, ` ms`, ` KB`; a ratio has none.
        at_least, at_most: the target.
    """

    what: str
    value: float
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def target(self) -> str:
        """The target in words, or nothing."""
        if self.at_least is not None:
            return f"at least {self.at_least:g}{self.unit}"
        return f"at most {self.at_most:g}{self.unit}" if self.at_most is not None else ""

    @property
    def met(self) -> bool:
        """Whether the target is met; it is where there is none."""
        low = self.at_least is not None and self.value < self.at_least
        high = self.at_most is not None and self.value > self.at_most
        return not low and not high

    @property
    def told(self) -> str:
        """The value with its unit, in three digits or more."""
        size = abs(self.value)
        digits = 0 if size >= 100 or self.value == int(self.value) else 1 if size >= 10 else 2
        return f"{self.value:,.{digits}f}{self.unit}"


@dataclass(frozen=True)
class Part:
    """A part of the bench.

    Attributes:
        number: of the target that it stands for; several parts may share one.
        name: what `--part` calls it.
        title: what the table calls it.
        measure: measures with these options, on servers of its own.
        short: whether `make bench` runs it; `make bench-full` runs all.
        kinds: databases that it runs on.
    """

    number: int
    name: str
    title: str
    measure: Callable[[Options], list[Figure]]
    short: bool = False
    kinds: tuple[str, ...] = tuple(DATABASES)


@contextmanager
def opened(kind: str) -> Iterator[Stage]:
    """Start Gatehouse and the floor on fresh databases in a folder that goes afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as folder,
        stage(kind, Path(folder)) as made,
    ):
        yield made


def on_stage(measure: Callable[[Stage], list[Figure]]) -> Callable[[Options], list[Figure]]:
    """Give a part that needs nothing but Gatehouse and the floor a stage of its own."""

    def measure_there(options: Options) -> list[Figure]:
        with opened(options.kind) as made:
            return measure(made)

    return measure_there
