"""Starts `gatehouse` on a machine whose clock is off by as many seconds as a file says.

All that asks the time in this process and its children gets it so: ours by `SystemClock`, and
libraries by `time`. Only what counts monotonically goes on as it does when a real clock is set.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from app.cli import main
from app.clock import SystemClock

OFFSET = "GATEHOUSE_TEST_CLOCK_OFFSET"
_file = Path(os.environ.get(OFFSET, os.devnull))
_real: Callable[[], float] = time.time  # noqa: TID251


def _time() -> float:
    return _real() + float(_file.read_text() or 0)


def _now(_clock: SystemClock) -> datetime:
    return datetime.fromtimestamp(_time(), tz=UTC)


if __name__ == "__main__":
    time.time = _time  # noqa: TID251
    time.time_ns = lambda: int(_time() * 10**9)  # noqa: TID251
    SystemClock.now = _now  # type: ignore[method-assign, assignment]
    sys.argv[0] = "gatehouse"
    main()
