"""Hosts on one switch, as network namespaces of this process's own.

`alone` starts a program where it has namespaces of its own for the network, for mounts and for
processes: whatever the program makes in there, processes included, ends with it, however it ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SWITCH = "switch"
_FIRST_BYTES = "10.77.0"
RANGE = f"{_FIRST_BYTES}.0/24"
TOOLS = ("unshare", "setpriv", "ip", "bridge", "mount")
_ALONE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
_WITH_US = ("setpriv", "--pdeathsig", "KILL")
_NAMES = Path("/run/netns")
_NOBODY = "02:00:00:00:ff:ff"  # a hardware address that no host has
_DROP, _PASS = "0", "3"  # states of a port of the switch


def why_not(tools: Sequence[str] = ()) -> str | None:
    """Tell what keeps this machine from it, or return None.

    Args:
        tools: further commands that are needed.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root on Linux can make hosts of its own"
    if missing := [tool for tool in (*TOOLS, *tools) if shutil.which(tool) is None]:
        return f"these commands are missing: {', '.join(missing)}"
    _NAMES.mkdir(exist_ok=True)
    script = f"mount -t tmpfs none {_NAMES} && ip netns add probe && ip link add probe type bridge"
    tried = subprocess.run([*_ALONE, "sh", "-c", script], capture_output=True, text=True)
    return f"this machine forbids it: {tried.stderr.strip()}" if tried.returncode else None


def alone(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a program in namespaces of its own, which ends when this process does."""
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    whole = [*_WITH_US, *_ALONE, *command]
    return subprocess.run(whole, capture_output=True, text=True, env=paths, check=False)


@dataclass(frozen=True)
class Host:
    """A host of the network.

    Attributes:
        name: of its namespace.
        address: in the network.
        hardware: its address on the wire.
    """

    name: str
    address: str
    hardware: str

    def command(self, *words: str | Path) -> list[str]:
        """Return how a command is run on it."""
        return ["ip", "netns", "exec", self.name, *map(str, words)]


class Network:
    """A switch, to which this process's own host is plugged in, too.

    Every host knows the others' hardware addresses from the start: when one is cut off, nobody is
    told that it is gone, as is usual with a router or a firewall between.
    """

    def __init__(self) -> None:
        _run(f"mount -t tmpfs none {_NAMES}")
        _run("ip link set lo up")
        _run(f"ip link add {SWITCH} type bridge")
        self.front = Host("", f"{_FIRST_BYTES}.1", "02:00:00:00:00:01")
        _run(f"ip link set {SWITCH} address {self.front.hardware} up")
        _run(f"ip address add {self.front.address}/24 dev {SWITCH}")
        self._hosts: list[Host] = []

    def host(self, name: str) -> Host:
        """Plug in another host."""
        number = len(self._hosts) + 2
        made = Host(name, f"{_FIRST_BYTES}.{number}", f"02:00:00:00:00:{number:02x}")
        _run(f"ip netns add {name}")
        _run(f"ip link add {name} type veth peer name eth0 netns {name}")
        _run(f"ip link set {name} master {SWITCH} up")
        within = f"ip -n {name}"
        _run(f"{within} link set lo up")
        _run(f"{within} link set eth0 address {made.hardware} up")
        _run(f"{within} address add {made.address}/24 dev eth0")
        for other in (self.front, *self._hosts):
            _introduce(within, "eth0", other)
            _introduce(*_place(other), made)
        self._hosts.append(made)
        return made

    def cut(self, host: Host) -> None:
        """Drop whatever it sends, and whatever is sent to it, without a word."""
        _run(f"bridge link set dev {host.name} state {_DROP}")

    def join(self, host: Host) -> None:
        """Let everything pass again."""
        _run(f"bridge link set dev {host.name} state {_PASS}")

    def part(self, one: Host, other: Host) -> None:
        """Drop what these two send each other, without a word; others still reach both."""
        for place, gone in ((one, other), (other, one)):
            _introduce(*_place(place), Host(gone.name, gone.address, _NOBODY))

    def unite(self, one: Host, other: Host) -> None:
        """Let it pass again."""
        _introduce(*_place(one), other)
        _introduce(*_place(other), one)


def _place(host: Host) -> tuple[str, str]:
    return (f"ip -n {host.name}", "eth0") if host.name else ("ip", SWITCH)


def _introduce(within: str, device: str, other: Host) -> None:
    who = f"{other.address} lladdr {other.hardware}"
    _run(f"{within} neighbour replace {who} dev {device} nud permanent")


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True)
