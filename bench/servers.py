"""Which server runs Gatehouse best: gunicorn's workers and granian, with the same settings.

All run at the same time, two workers each, on one database; each gets a slice in turn, and every
ratio is to the slice of `gatehouse serve`'s choice in the same round. Then each is stopped with
eight requests under way, and has a worker killed under load.

granian is in no lock: `uv pip install --target FOLDER granian`, and name the folder.

    .venv/bin/python bench/servers.py --granian FOLDER --database sqlite
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from threading import Event
from time import monotonic, sleep
from typing import Any

import floor
import stage
import verifications
from flight import Flight, request
from load import Connections
from stage import DATABASES, WORKERS, Stage, set_up
from verifications import SLICE, USERS, Device
from visits import Visit

from app.cli.serve import THREADS

ROOT = Path(__file__).parent.parent
CHOSEN = f"gthread, {THREADS} threads"
ROUNDS = 5
VISITS = 8
IN_FLIGHT = 8
START_WITHIN = 300  # seconds
HELD = 3.0  # seconds that eight requests are under way when the server is stopped
UNDER_LOAD = 8.0  # seconds in which a worker is killed


class Anew(Flight):
    """Connects for each request, as gunicorn's sync workers want it: they keep no connection."""

    def _send(self, connection: Any, requests: Iterator[bytes]) -> bool:
        connection.socket.close()
        connection._open()
        return super()._send(connection, requests)


class Servers:
    """All candidates, before one database."""

    def __init__(self, made: Stage, folder: Path, granian: str | None) -> None:
        self.made = made
        self.devices = verifications.Turns(verifications.enroll(made, USERS))
        self._folder, self._granian = folder, granian
        self._host = f"localhost:{made.port}"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = dict(zip(self.names, [made.port, *stage._free_ports(9)], strict=False))

    @property
    def names(self) -> list[str]:
        """What is compared; the first is what `gatehouse serve` runs."""
        threads = [f"gthread, {one} threads" for one in (2, 4, 8)]
        others = ["sync", *(one for one in threads if one != CHOSEN)]
        return [CHOSEN, *others, *([f"granian, {THREADS} threads"] if self._granian else [])]

    def start(self) -> None:
        """Start all, and wait until each answers."""
        for name, port in self.ports.items():
            paths = {**os.environ, "PYTHONPATH": f"{ROOT}:{self._granian or ROOT}"}
            with self._log(port).open("wb") as file:
                self.running[name] = subprocess.Popen(
                    self._command(name, port),
                    stdout=file,
                    stderr=file,
                    cwd=ROOT,
                    env=paths,
                    start_new_session=True,
                )
        end = monotonic() + START_WITHIN
        while not all(stage._answers(port) for port in self.ports.values()):
            if monotonic() > end:
                sys.exit("A server did not start: " + self._log(self.made.port).read_text())
            sleep(0.2)

    def end(self) -> None:
        """End those that still run."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait(60)

    def _log(self, port: int) -> Path:
        return self._folder / f"{port}.log"

    def _command(self, name: str, port: int) -> list[str]:
        kind, _, threads = name.partition(", ")
        number = threads.partition(" ")[0]
        if kind == "granian":
            plain = f"granian --interface wsgi --workers {WORKERS} --blocking-threads {number}"
            more = f"--respawn-failed-workers --no-ws --http 1 --log-level warning --port {port}"
            return [sys.executable, "-m", *plain.split(), *more.split(), "wsgi:app"]
        some = f"--threads {number}" if number else ""
        plain = f"gunicorn --workers {WORKERS} --worker-class {kind} {some} --log-level error"
        more = f"--no-control-socket --bind 127.0.0.1:{port}"
        return [sys.executable, "-m", *plain.split(), *more.split(), "app:create_app()"]

    def codes(self, bearer: str) -> Iterator[bytes]:
        """Ask to judge right codes, by API."""
        headers = {"Authorization": bearer, "Content-Type": "application/json"}
        for one in self.devices:
            yield request("POST", self._place(one), self._host, headers, _body(one))

    def pages(self, calls: list[Any]) -> Iterator[bytes]:
        """Ask for pages, over and over."""
        while True:
            for one in calls:
                yield request("GET", one.path, self._host, one.headers, b"")

    def ask(self, name: str, bearer: str) -> str:
        """Have one right code judged, and tell what became of it."""
        one = next(iter(self.devices))
        headers = {"Authorization": bearer, "Content-Type": "application/json", "Host": self._host}
        to = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=60)
        try:
            to.connect()
        except OSError:
            return "refused"
        try:
            to.request("POST", self._place(one), _body(one), headers)
            return str(to.getresponse().status)
        except (OSError, http.client.HTTPException):
            return "cut"
        finally:
            to.close()

    def _place(self, one: Device) -> str:
        domain = self.made.demo["organization"]["domain"]
        return f"/api/v2/org/{domain}/totp-challenge/validation/{one.user_id}"


def _body(one: Device) -> bytes:
    return json.dumps({"code": floor.code(one.secret, floor.step_now())}).encode()


def rates(servers: Servers, bearer: str, calls: list[Any]) -> dict[str, Any]:
    """Give each its slices in turn, and return rates, ratios and tails."""
    told: dict[str, dict[str, list[Any]]] = {}
    with ExitStack() as stack:
        flights = {
            name: (Anew if name == "sync" else Flight)(port) for name, port in servers.ports.items()
        }
        for one in flights.values():
            stack.callback(one.close)
        for number in range(ROUNDS + 1):
            names = list(flights)
            turn = number % len(names)
            for name in [*names[turn:], *names[:turn]]:
                to = flights[name]
                code = to.measure(servers.codes(bearer), holds=b'"success":true', seconds=SLICE)
                page = to.measure(servers.pages(calls), holds=b"csrf_token", seconds=SLICE / 2)
                if number:  # the first warms up
                    kept = told.setdefault(name, {"codes": [], "pages": []})
                    kept["codes"].append(code)
                    kept["pages"].append(page)
    return {name: {of: _line(told, name, of) for of in kept} for name, kept in told.items()}


def _line(told: dict[str, dict[str, list[Any]]], name: str, of: str) -> dict[str, float]:
    samples, others = told[name][of], told[CHOSEN][of]
    times = [took for one in samples for took in one.times]
    pairs = zip(samples, others, strict=True)
    return {
        "per_second": round(median(one.rate for one in samples), 1),
        "ratio": round(median(one.rate / other.rate for one, other in pairs), 3),
        "p50_ms": round(median(times) * 1000, 1),
        "p99_ms": round(quantiles(times, n=100)[-1] * 1000, 1),
    }


def stopped(servers: Servers, name: str, bearer: str) -> dict[str, Any]:
    """Tell it to stop while eight requests wait for the database, and see what they are told."""
    process = servers.running[name]
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        release = _hold(servers)
        asked = [pool.submit(servers.ask, name, bearer) for _ in range(IN_FLIGHT)]
        sleep(HELD / 2)
        process.send_signal(signal.SIGTERM)
        sleep(HELD / 2)
        release()
        answers = Counter(one.result() for one in asked)
    began = monotonic()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # a master that is killed leaves its workers behind
        process.wait()
    return {"answers": dict(answers), "ended_after_s": round(monotonic() - began, 1)}


def _hold(servers: Servers) -> Any:
    """Keep everybody from writing, until what is returned is called."""
    engine = servers.made.wired.database.engine
    if engine.dialect.name == "sqlite":
        held = sqlite3.connect(engine.url.database or "", isolation_level=None)
        held.execute("BEGIN IMMEDIATE")
        return held.rollback
    connection = engine.connect()
    connection.exec_driver_sql("LOCK TABLE verifications IN EXCLUSIVE MODE")

    def release() -> None:
        connection.rollback()
        connection.close()

    return release


def killed(servers: Servers, name: str, bearer: str) -> dict[str, Any]:
    """Kill one of its workers under load, and see who noticed, and when it was made up for."""
    process = servers.running[name]
    workers = _children(process.pid)
    end, answers = Event(), Counter[str]()

    def repeat() -> None:
        while not end.is_set():
            answers[servers.ask(name, bearer)] += 1

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        for _ in range(IN_FLIGHT):
            pool.submit(repeat)
        sleep(2)
        os.kill(workers[0], signal.SIGKILL)
        began, took = monotonic(), 0.0
        while monotonic() < began + UNDER_LOAD:
            living = set(_children(process.pid)) - {workers[0]}
            if not took and len(living) == len(workers):
                took = monotonic() - began
            sleep(0.05)
        end.set()
    return {"answers": dict(answers), "replaced_after_s": round(took, 1) or None}


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def compare(kind: str, granian: str | None) -> dict[str, Any]:
    """Compare them on one kind of database."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-servers-") as name, ExitStack() as stack:
        folder, [port] = Path(name), stage._free_ports(1)
        folder.chmod(0o755)
        many = {"GATEHOUSE_ADDRESS_LIMIT": "9999 per second"}
        setting = stack.enter_context(set_up(kind, folder, port, many))
        made = Stage(setting.demo, setting.wired, port=port, floor_port=port, server=0)
        servers = Servers(made, folder, granian)
        stack.callback(servers.end)
        servers.start()
        bearer, calls = verifications._bearer(made), _looks(made)
        told = rates(servers, bearer, calls)
        print(json.dumps({kind: told}), file=sys.stderr, flush=True)
        for one in servers.names:
            told[one]["killed"] = killed(servers, one, bearer)
            told[one]["stopped"] = stopped(servers, one, bearer)
            print(json.dumps({one: told[one]}), file=sys.stderr, flush=True)
    return told


def _looks(made: Stage) -> list[Any]:
    """Return looks at the page that asks for a code, each by another browser."""
    with Connections(made.port) as to:
        visits = [Visit(made, person) for person in made.enroll(VISITS)]
        for step in (Visit.open, Visit.enter):
            to.measure([step(visit) for visit in visits], 60)
    return [visit.look() for visit in visits]


def main() -> None:
    """Compare, and print what came out."""
    parser = argparse.ArgumentParser(description="Compare servers for Gatehouse.")
    parser.add_argument("--granian", help="folder that granian was installed into")
    parser.add_argument("--database", choices=DATABASES, help="only this one (default: both)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    kinds = [options.database] if options.database else list(DATABASES)
    print(json.dumps({kind: compare(kind, options.granian) for kind in kinds}, indent=1))


if __name__ == "__main__":
    main()
