"""Breaks the hosts of `hosts.py` one after the other, in namespaces that are there already."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import network
import sqlalchemy as sa
from host_servers import (
    BALANCED,
    BASE_URL,
    FIRST,
    ROOT,
    SECOND,
    TAKE,
    Database,
    Gateway,
    balancer,
    is_up,
    wait,
)
from visitors import Asked, Timed, Visitors, course

from app import db
from app.clock import SystemClock
from app.wiring import Services, wire
from tests.conftest import FixedClock, Harbor, environment_of, make_config

CALM = 8.0  # seconds without any fault, before the first and after each
DOWN = 3.0  # seconds until a service manager starts again what died
CUT = 25.0  # seconds
AFTERWARDS = 12.0  # seconds after its end in which a fault may still be felt
PATIENCE = 30.0  # seconds; nobody may wait longer than this
PEOPLE = 120


@dataclass
class Stage:
    """All hosts, and who comes."""

    net: network.Network
    data: network.Host
    database: Database
    gateways: list[Gateway]
    load: Visitors
    felt: dict[str, dict[str, Any]] = field(default_factory=dict)

    def calm(self) -> dict[str, float]:
        """Let some time pass without any fault, and tell how it went."""
        began = monotonic()
        sleep(CALM)
        return course(self.load.asked, began, monotonic())

    def fault(self, name: str, act: Callable[[], None], mend: Callable[[], None]) -> None:
        """Break something and mend it again, and see that people go on by themselves."""
        began = monotonic()
        act()
        mend()
        ended = monotonic()
        self.load.goes_on()
        sleep(AFTERWARDS)
        self.felt[name] = {"began": began, "ended": ended, "after": self.calm()}

    def proves(self) -> None:
        """Hold what people met against what is allowed, and what they were told as well."""
        failed = [one for one in self.load.asked if one.failed]
        times = [(one["began"], one["ended"] + AFTERWARDS) for one in self.felt.values()]
        odd = [one for one in failed if not any(a <= one.ended <= b for a, b in times)]
        assert not odd, f"requests failed when nothing was broken: {odd[:5]}"
        slow = [one for one in self.load.asked if one.took > PATIENCE]
        assert not slow, f"people had to wait: {slow[:5]}"
        self.load.proves()

    def told(self) -> dict[str, dict[str, Any]]:
        """Return what was felt of each fault, in seconds."""
        return {name: self._felt(**one) for name, one in self.felt.items()}

    def _felt(self, *, began: float, ended: float, **more: Any) -> dict[str, Any]:
        until = ended + AFTERWARDS
        during = [one for one in self.load.asked if began <= one.ended <= until]
        failed = [one for one in during if one.failed]
        return more | {
            "lasted": round(ended - began, 1),
            "requests": len(during),
            "failed": len(failed),
            "seconds_with_failures": len({int(one.ended - began) for one in failed}),
            "last_failure": round(max((one.ended - began for one in failed), default=0), 1),
            "longest": round(max(one.took for one in during), 1),
            "statuses": sorted({one.status for one in failed}),
        }


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Put up all hosts, and have people come."""
    net = network.Network()
    data, *two = (net.host(name) for name in ("data", "one", "two"))
    with ExitStack() as stack:
        database = Database(data, folder)
        stack.callback(database.end)
        database.start()
        wired = _prepared(database, folder)
        stack.callback(wired.database.engine.dispose)
        environment = environment_of(wired.config) | {
            "GATEHOUSE_TRUSTED_PROXIES": net.front.address
        }
        gateways = [Gateway(host, folder, environment) for host in two]
        for gateway in gateways:
            stack.callback(gateway.end)
            gateway.start()
        stack.enter_context(balancer(gateways, folder))
        asked: list[Asked] = []
        ways = [Timed(BASE_URL, f"localhost:{port}", asked) for port in (BALANCED, FIRST, SECOND)]
        harbor = Harbor(ways[0], wired, FixedClock(SystemClock().now()), BASE_URL)
        wait(lambda: is_up(ways[0]), "nginx", folder / "nginx.log")
        load = Visitors(harbor, people=PEOPLE, two=(ways[1], ways[2]), asked=asked)
        yield Stage(net, data, database, gateways, load)


def _prepared(database: Database, folder: Path) -> Services:
    url = sa.make_url(database.url).set(drivername="postgresql+psycopg")
    more = {"base_url": BASE_URL, "address_limit": "9999 per second"}
    wired = wire(make_config(url.render_as_string(hide_password=False), folder, **more))
    db.upgrade(wired.database.engine)
    with wired.database.writing() as tx:
        wired.signing_keys.ensure(tx)
    return wired


def breaks(made: Stage, chosen: list[str]) -> dict[str, Any]:
    """Break one thing after the other, and return how it goes when nothing is broken."""
    with made.load as load:
        load.goes_on()
        calm = made.calm()
        for name in chosen:
            FAULTS[name](made, name)
    return calm


def _killed(made: Stage, name: str) -> None:
    gateway = made.gateways[0]

    def start_again() -> None:
        sleep(DOWN)
        gateway.start()

    made.fault(name, gateway.kill, start_again)


def _cut_off(made: Stage, name: str) -> None:
    host = made.gateways[1].host

    def join() -> None:
        sleep(CUT)
        made.net.join(host)

    made.fault(name, lambda: made.net.cut(host), join)


def _parted(made: Stage, name: str) -> None:
    """Cut one off from the database alone, in the middle of a transaction that holds a row."""
    host, data = made.gateways[0].host, made.data
    free_after = 0.0

    def act() -> None:
        made.net.part(host, data)

    def unite() -> None:
        nonlocal free_after
        began = monotonic()
        while monotonic() < began + CUT:
            if not free_after and made.database.row_is_free():
                free_after = monotonic() - began
            sleep(0.2)
        made.net.unite(host, data)

    with _holding(made):
        made.fault(name, act, unite)
    assert free_after, "a gateway that was cut off kept a row for itself"
    made.felt[name]["row_free"] = round(free_after, 1)


def _crashes(made: Stage, name: str) -> None:
    def start_again() -> None:
        sleep(DOWN)
        made.database.start()

    made.fault(name, made.database.crash, start_again)


FAULTS = {
    "a gateway is killed": _killed,
    "a gateway is cut off": _cut_off,
    "a gateway is cut off from PostgreSQL": _parted,
    "PostgreSQL crashes": _crashes,
}


@contextmanager
def _holding(made: Stage) -> Iterator[None]:
    """Have a process on the first gateway's host take a row, as Gatehouse does, and keep it."""
    command = made.gateways[0].host.command(sys.executable, "-c", _HOLD, made.database.url)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        assert not made.database.row_is_free()
        yield
    finally:
        process.kill()
        process.wait()


_HOLD = f"""
import sys, time
from app.engines import opened
url = sys.argv[1].replace("postgresql:", "postgresql+psycopg:")
connection = opened(url).connect()
connection.exec_driver_sql("{TAKE} FOR NO KEY UPDATE")
print("taken", flush=True)
time.sleep(600)
"""


def run(chosen: list[str]) -> dict[str, Any]:
    """Run these faults, and return what was felt of them."""
    with tempfile.TemporaryDirectory(prefix="gatehouse-hosts-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        with stage(folder) as made:
            try:
                calm = breaks(made, chosen)
                made.proves()
            except BaseException:
                print(made.told(), made.load.counts, set(made.load.odd), file=sys.stderr)
                for log in folder.glob("*.log"):
                    print(f"{log.name}: {log.read_text()[-2000:]}", file=sys.stderr)
                raise
    load = made.load
    return {
        "calm": calm,
        "faults": made.told(),
        "acknowledged": {
            "verifications": len(load.signed_in) + len(load.taken),
            "enrollments": len(load.enrolled),
            "results": len(load.redeemed),
            "users": len(load.created),
        },
        "codes_sent_twice": load.twice,
        "to_both_hosts": load.apart,
    }


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1:] or list(FAULTS))))
