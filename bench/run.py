"""Measures how fast Gatehouse is: `make bench`, or `make bench-full` for all parts.

Each part has a row in `PARTS` and servers of its own, and comes to figures, some with a target
(`part.py`); `results.py` makes the table of them. The bench shares the machine with the servers.

    make bench
    .venv/bin/python bench/run.py --database sqlite --part visits
    .venv/bin/python bench/run.py --full --small --minutes 0.2
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from time import monotonic

import admin
import contention
import enrollment
import growth
import hosts
import messages
import pages
import results
import start
import verifications
import visits
from load import WrongAnswer
from part import Figure, Options, Part, on_stage
from playwright.sync_api import Error as BrowserError
from sqlalchemy.exc import SQLAlchemyError as DatabaseError
from stage import DATABASES

PARTS = (
    Part(1, "verification", "Verification", on_stage(verifications.measure), short=True),
    Part(1, "visits", "Sign-in", on_stage(visits.measure), short=True),
    Part(2, "enrollment", "Enrollment and passkeys", enrollment.measure, short=True),
    Part(3, "growth", "Growth", growth.measure),
    Part(4, "contention", "Contention", contention.measure, short=True),
    Part(5, "messages", "Messages", on_stage(messages.measure)),
    Part(6, "pages", "Hosted pages", pages.measure, short=True),
    Part(7, "admin", "Admin area", on_stage(admin.measure)),
    Part(8, "start", "Start and memory", start.measure),
    Part(9, "hosts", "Several hosts", hosts.measure, kinds=("postgresql",)),
)
"""In the order of the table."""


def main() -> None:
    """Measure, and print what came out; the exit status tells whether all parts ran."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so the servers end, too
    chosen = [one for one in PARTS if _wanted(one, options)]
    told: results.Told = {}
    failed = []
    for part in chosen:
        for kind in [options.database] if options.database else part.kinds:
            asked = Options(kind, small=options.small, minutes=options.minutes)
            try:
                told.setdefault(part.name, {})[kind] = _measure(part, asked, quiet=options.json)
            except (WrongAnswer, AssertionError, OSError, BrowserError, DatabaseError) as error:
                failed.append(f"{part.name}, {kind}: {error}")
                print(f"\n{part.title}, {kind} failed: {error}", file=sys.stderr)
        if not (options.part or options.database or options.small):
            results.write([one for one in chosen if one.name in told], told)
    if options.json:
        print(json.dumps({"processors": os.cpu_count()} | results.as_json(told)))
    if failed:
        sys.exit("\n".join(failed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure how fast Gatehouse is.")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.add_argument("--database", choices=DATABASES, help="only this one (default: both)")
    parser.add_argument(
        "--part",
        action="append",
        choices=[one.name for one in PARTS],
        help="only this one; may be given several times (default: the short ones)",
    )
    parser.add_argument("--full", action="store_true", help="all parts")
    parser.add_argument("--small", action="store_true", help="little of each, to see that it runs")
    parser.add_argument("--minutes", type=float, default=10, help="under load (default: 10)")
    return parser


def _wanted(part: Part, options: argparse.Namespace) -> bool:
    if options.database and options.database not in part.kinds:
        return False
    return part.name in options.part if options.part else options.full or part.short


def _measure(part: Part, asked: Options, *, quiet: bool) -> list[Figure]:
    began = monotonic()
    figures = part.measure(asked)
    if not quiet:
        print(f"\n{part.title}, {asked.kind} ({monotonic() - began:.0f} s)")
        for one in figures:
            target = f"  {one.target}{'' if one.met else ': missed'}" if one.target else ""
            print(f"  {one.what:<48}{one.told:>14}{target}", flush=True)
    return figures


if __name__ == "__main__":
    main()
