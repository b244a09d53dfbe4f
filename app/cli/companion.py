"""The worker that `gatehouse serve` runs beside its web workers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from gunicorn.arbiter import Arbiter

_PAUSE_SECONDS = 5
"""A worker that ends at once is not started again before this."""

_LAST_WORDS_SECONDS = 25


class Companion:
    """Keeps one `gatehouse worker` running as a child of this process.

    Args:
        options: of that command.
    """

    def __init__(self, options: Sequence[str] = ()) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0

    def keep(self) -> None:
        """Start it, if it isn't running."""
        gone = self._process is None or self._process.poll() is not None
        if gone and time.monotonic() >= self._not_before:
            self._not_before = time.monotonic() + _PAUSE_SECONDS
            # It ends by itself when this process is no longer its parent, however that came.
            words = ["worker", "--parent", str(os.getpid()), *self._options]
            run = "from app.cli import main; main()"
            self._process = subprocess.Popen([sys.executable, "-c", run, *words])  # noqa: S603

    def end(self) -> None:
        """Ask it to end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self) -> None:
        """Wait until it has ended, and end it by force if that takes too long."""
        if self._process is None:
            return
        try:
            self._process.wait(_LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class KeepingArbiter(Arbiter):  # type: ignore[misc]
    """Gunicorn's master process, which looks after the companion as after its web workers."""

    def __init__(self, app: Any, options: Sequence[str] = ()) -> None:
        super().__init__(app)
        self._companion = Companion(options)

    def manage_workers(self) -> None:
        """Replace what died."""
        super().manage_workers()
        self._companion.keep()

    def stop(self, graceful: bool = True) -> None:
        """End all of them."""
        self._companion.end()
        super().stop(graceful)
        self._companion.wait()
