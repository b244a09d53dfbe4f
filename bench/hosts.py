"""Two gateway hosts, a database host, and nginx before them, of which one after the other breaks.

Gatehouse needs nothing else: queues are rows, and limits that safety rests on are rows, so there is
no Redis to break. A gateway is killed and started again, as a service manager would; one is cut off
from everybody, and then from the database alone; PostgreSQL crashes. People come all the time, and
what they were told is held against the database afterwards: a run in which anything acknowledged
was lost, a code counted twice, or a request failed when nothing was broken, fails.

    .venv/bin/python bench/hosts.py
    .venv/bin/python bench/hosts.py --fault "a gateway is killed"

It needs root, for hosts of its own (`network.py`), and nginx.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

import network
from load import WrongAnswer
from part import Figure, Options

FAULTS = (
    "a gateway is killed",
    "a gateway is cut off",
    "a gateway is cut off from PostgreSQL",
    "PostgreSQL crashes",
)
PATIENCE = 30
"""Seconds that nobody may wait longer than."""
_SCRIPT = Path(__file__).with_name("host_faults.py")


def measure(_options: Options) -> list[Figure]:
    """Run all faults; where that can't be, the figure says why."""
    if reason := _why_not():
        return [Figure(f"not run: {reason}", 0, " runs", at_least=1)]
    return figures(_run(FAULTS))


def figures(told: dict[str, Any]) -> list[Figure]:
    """Return the lines of the table."""
    lines = []
    for name, felt in told["faults"].items():
        lines += [
            Figure(f"{name}, for", felt["lasted"], " s"),
            Figure(f"{name}: requests meanwhile", felt["requests"]),
            Figure(f"{name}: failed", felt["failed"]),
            Figure(f"{name}: seconds with failures", felt["seconds_with_failures"], " s"),
            Figure(f"{name}: longest wait", felt["longest"], " s", at_most=PATIENCE),
        ]
    kept = told["acknowledged"]
    return [
        *lines,
        *(Figure(f"{name} acknowledged, none lost", number) for name, number in kept.items()),
        Figure("codes sent to both hosts at once, none accepted twice", told["to_both_hosts"]),
    ]


def _run(chosen: tuple[str, ...]) -> dict[str, Any]:
    done = network.alone([sys.executable, str(_SCRIPT), *chosen])
    if done.returncode:
        raise WrongAnswer(f"hosts: {done.stderr[-4000:]}")
    return dict(json.loads(done.stdout))


def _why_not() -> str | None:
    return network.why_not(("nginx",))


def main() -> None:
    """Run it, or say why that can't be."""
    parser = argparse.ArgumentParser(description="Break hosts of Gatehouse under load.")
    parser.add_argument("--fault", choices=FAULTS, help="only this one (default: all)")
    chosen = parser.parse_args().fault
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if reason := _why_not():
        print(f"hosts: not run, {reason}")
        return
    try:
        print(json.dumps(_run((chosen,) if chosen else FAULTS), indent=1))
    except WrongAnswer as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
