"""What `gatehouse serve` runs beside its web workers: a worker, and who answers Prometheus."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gunicorn.arbiter import Arbiter

_PAUSE_SECONDS = 5
"""What ends at once is not started again before this."""

_LAST_WORDS_SECONDS = 25


class Companion:
    """Keeps one command running as a child of this process.

    Args:
        words: of that command, which takes `--parent` and ends with it.
    """

    def __init__(self, *words: str) -> None:
        self._words = words
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0

    def keep(self) -> None:
        """Start it, if it isn't running."""
        gone = self._process is None or self._process.poll() is not None
        if gone and time.monotonic() >= self._not_before:
            self._not_before = time.monotonic() + _PAUSE_SECONDS
            # It ends by itself when this process is no longer its parent, however that came.
            words = [*self._words, "--parent", str(os.getpid())]
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
    """Gunicorn's master process, which looks after companions as after its web workers.

    Args:
        folder: what is removed when all have ended.
    """

    def __init__(self, app: Any, companions: Sequence[Companion], folder: Path | None) -> None:
        super().__init__(app)
        self._companions = companions
        self._folder = folder

    def manage_workers(self) -> None:
        """Replace what died."""
        super().manage_workers()
        for one in self._companions:
            one.keep()

    def stop(self, graceful: bool = True) -> None:
        """End all of them."""
        for one in self._companions:
            one.end()
        super().stop(graceful)
        for one in self._companions:
            one.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
