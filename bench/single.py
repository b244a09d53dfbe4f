"""Single requests in this process and thread: what one takes of the processor, and what it sends.

Time is that of the thread, so what else the machine does spoils little.
"""

from __future__ import annotations

import io
import logging
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import floor
import sqlalchemy as sa
from load import WrongAnswer, address
from stage import Setting, set_up

from app import create_app
from app.clock import SystemClock

PORT = 8000
STEP = timedelta(seconds=floor.PERIOD)
FORM = "application/x-www-form-urlencoded"
_callers = count(1)


class Standing:
    """A clock that stands until it is moved on, when each user has another code."""

    def __init__(self) -> None:
        self._moment = SystemClock().now()

    def now(self) -> datetime:
        """Return the moment."""
        return self._moment

    def move(self, by: timedelta) -> None:
        """Move it on."""
        self._moment += by


@dataclass
class Ask:
    """A request as a server hands it over, and the status that is expected."""

    path: str
    status: int
    body: bytes | None = None
    kind: str = FORM
    headers: dict[str, str] = field(default_factory=dict)
    method: str = ""

    def environ(self) -> dict[str, Any]:
        """Return the WSGI environment."""
        path, _, query = self.path.partition("?")
        body = self.body or b""
        return {
            "REQUEST_METHOD": self.method or ("GET" if self.body is None else "POST"),
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": str(PORT),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_X_FORWARDED_FOR": address(next(_callers)),
            "HTTP_HOST": f"localhost:{PORT}",
            "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko Firefox/140.0",
            "CONTENT_LENGTH": str(len(body)),
            "CONTENT_TYPE": self.kind,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            **self.headers,
        }


@dataclass
class Told:
    """An answer."""

    headers: list[tuple[str, str]]
    body: bytes
    took: float
    waited: float = 0.0
    """Seconds on the wall, the database's included."""

    def header(self, name: str) -> str:
        """Return the value of a header."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it sets."""
        set_ = [value for key, value in self.headers if key == "Set-Cookie"]
        pairs = [one.partition(";")[0].partition("=") for one in set_]
        return {name: value for name, _, value in pairs}

    @property
    def csrf(self) -> str:
        """The token of its form."""
        found = re.search(rb'name="csrf_token" value="([^"]+)"', self.body)
        return found[1].decode() if found else ""


def send(app: Any, ask: Ask) -> Told:
    """Have an application answer, and time it."""
    began_with: list[Any] = []
    environ = ask.environ()
    began, at = thread_time(), perf_counter()
    parts = app(environ, lambda status, headers, error=None: began_with.append((status, headers)))
    body = b"".join(parts)
    if hasattr(parts, "close"):
        parts.close()
    took, waited = thread_time() - began, perf_counter() - at
    status, headers = began_with[0]
    if int(status[:3]) != ask.status:
        said = re.sub(rb"<[^>]*>|\s+", b" ", body).decode()[-900:]
        raise WrongAnswer(f"{ask.path}: {status} for {ask.status}\n{said}")
    return Told(headers, body, took, waited)


def jar(cookies: dict[str, str]) -> str:
    """Return the header that a browser sends."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


@dataclass(frozen=True)
class Alone:
    """Gatehouse and the floor in this process, with one clock and fresh databases."""

    made: Setting
    clock: Standing
    app: Any
    floor_app: Any

    @property
    def engines(self) -> list[sa.Engine]:
        """Of both."""
        engine: sa.Engine = self.app.extensions["gatehouse"].database.engine
        return [engine, self.floor_app.extensions["engine"]]


@contextmanager
def alone(kind: str) -> Iterator[Alone]:
    """Set both up on a database of this kind, in a folder that goes afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatehouse-cost-")))
        made = stack.enter_context(set_up(kind, folder, PORT))
        stack.callback(_log_as_before())
        stack.enter_context(redirect_stderr(stack.enter_context((folder / "log").open("w"))))
        clock = Standing()
        found = Alone(made, clock, create_app(clock=clock), floor.create_app(clock))
        for engine in found.engines:
            stack.callback(engine.dispose)
        yield found


def _log_as_before() -> Callable[[], None]:
    """Return what undoes the changes that the application makes to this process's logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def undo() -> None:
        root.handlers[:] = handlers
        root.setLevel(level)

    return undo
