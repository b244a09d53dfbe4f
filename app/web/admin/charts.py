"""The chart of verifications: bars and a scale, as numbers that a macro draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import format_date

from app.services.overview import Figures, Slice
from app.services.tallies import DAY

_LINES = 3
"""Above the base."""
_SHORT, _LONG = 15, 8
"""So many labels fit on a wide screen, and a third of them on a phone: days alone, or more."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One slice of the time.

    Attributes:
        name: when it was, in full.
        label: the same below the bar, or nothing if there is no room for it.
        is_minor: whether a phone has no room for the label.
    """

    name: str
    label: str
    is_minor: bool
    accepted: int
    refused: int


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the scale."""

    label: str
    value: int


@dataclass(frozen=True, kw_only=True)
class Chart:
    """All of it.

    Attributes:
        title: what it shows, and of when.
        span: what one bar stands for: `day` or `hour`.
        lines: of the scale, from nothing on.
        kinds: factors with a column of their own in the table.
    """

    title: str
    span: str
    bars: Sequence[Bar]
    lines: Sequence[Line]
    slices: Sequence[Slice]
    kinds: Sequence[str]

    @property
    def top(self) -> int:
        """What the highest line stands for."""
        return self.lines[-1].value


def chart_of(figures: Figures, kind: str | None) -> Chart:
    """Return the chart of a period.

    Args:
        kind: the only factor to draw; None means all.
    """
    slices, is_daily = figures.slices, figures.period.width == DAY
    every = 1 if is_daily and len(slices) <= _SHORT else -(-len(slices) // _LONG)
    bars = [
        Bar(
            name=_name(one.at, is_daily),
            label="" if number % every else _label(one.at, is_daily, every),
            is_minor=bool(number // every % 3),
            accepted=one.tally.total(accepted=True, kind=kind),
            refused=one.tally.total(accepted=False, kind=kind),
        )
        for number, one in enumerate(slices)
    ]
    return Chart(
        title=f"Verifications by {'day' if is_daily else 'hour'}",
        span="day" if is_daily else "hour",
        bars=bars,
        lines=_scale(max(bar.accepted + bar.refused for bar in bars)),
        slices=slices,
        kinds=[one.kind for one in figures.methods],
    )


def _scale(most: int) -> list[Line]:
    """Return lines at round numbers, the last of them at or above the highest bar."""
    unit = 1
    while unit * 10 * _LINES < most:
        unit *= 10
    step = next(unit * times for times in (1, 2, 5, 10) if unit * times * _LINES >= most)
    return [Line(label=_short(step * n), value=step * n) for n in range(_LINES + 1)]


def _short(number: int) -> str:
    """Return a number in so few characters that it fits beside the chart."""
    for size, letter in ((1_000_000, "M"), (1000, "k")):
        if number >= size:
            return f"{number / size:g}{letter}"
    return str(number)


def _name(at: datetime, is_daily: bool) -> str:
    if is_daily:
        return str(format_date(at, "d MMMM"))
    return f"{format_date(at, 'd MMMM')}, {at:%H:%M} to {at + timedelta(hours=1):%H:%M}"


def _label(at: datetime, is_daily: bool, every: int) -> str:
    if not is_daily:
        return f"{at:%H:%M}"
    return str(format_date(at, "d" if every == 1 else "d MMM"))
