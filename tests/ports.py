"""Free ports, for servers that are told where to listen."""

from __future__ import annotations

import os
import random
import socket
import threading

_FIRST, _END = 20_000, 32_000
"""Below what Linux gives to whoever asks for any port, so that no call on its way takes one."""
_PER_WORKER = 1_000
_lock = threading.Lock()
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % ((_END - _FIRST) // _PER_WORKER)
_start = _FIRST + _worker * _PER_WORKER
_next = random.randrange(_PER_WORKER)  # noqa: S311 (another run may be under way on this machine)


def free_port() -> int:
    """Return a port of this machine that nobody listens at, and that nobody else is given."""
    global _next
    with _lock:
        for _ in range(_PER_WORKER):
            _next = (_next + 1) % _PER_WORKER
            port = _start + _next
            if _is_free(port):
                return port
    raise OSError("no port is free")


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
