"""The table of ratios in `results.md`, with what it was measured on."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
from importlib.metadata import version
from pathlib import Path
from typing import Any

from app.clock import SystemClock

PLACE = Path(__file__).with_name("results.md")
_PACKAGES = ("flask", "gunicorn", "sqlalchemy", "psycopg")
_HEAD = """# Results

Made by `make bench`; `bench/README.md` says what each line is, and where the time goes. Rates are
medians of slices that took turns with slices of the floor: the least that a Flask view with a
database does to accept a code, under the same server, with the same settings and durability.
"""


def write(told: dict[str, dict[str, Any]]) -> None:
    """Write the table.

    Args:
        told: by kind of database, what was measured.
    """
    parts = [_HEAD, _machine()]
    parts += [_table(kind, one) for kind, one in told.items()]
    PLACE.write_text("\n".join(parts))


def _machine() -> str:
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"{SystemClock().now():%Y-%m-%d}, {os.cpu_count()} x {cpu[1] if cpu else 'processor'}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}; "
        "2 workers of gunicorn (gthread) with 4 threads each.\n"
    )


def _table(kind: str, one: dict[str, Any]) -> str:
    lines = [f"## {kind}\n", "| | a second | of the floor | p50 ms | p99 ms | p99 / p50 |"]
    lines.append("|---|---:|---:|---:|---:|---:|")
    for name, line in one["verification"].items():
        lines.append(
            f"| {name} | {line['per_second']:.0f} | {line['of_floor']:.2f} | {line['p50_ms']:.1f} "
            f"| {line['p99_ms']:.1f} | {line['p99_to_p50']:.1f} |"
        )
    if one["page_to_floor"] is not None:
        lines.append(f"\nThe page and its form run at {one['page_to_floor']:.2f} of two checks.")
    return "\n".join(lines) + "\n"
