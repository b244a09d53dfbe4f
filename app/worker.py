"""The worker: what Gatehouse does by itself, beside the web workers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from app.deadlines import Deadline
from app.services.seals import BATCH
from app.wiring import Services

_LAST_WORDS_SECONDS = 20.0
"""So long all that is under way may take when the worker is to end."""

log = structlog.get_logger("gatehouse.worker")


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something that is done again and again.

    Attributes:
        every: seconds of rest after there was nothing to do, or after a failure.
        run: does a part of it, and tells whether there is more to do at once. It is safe in
            several workers at the same time, and whenever it is cut off.
        end: waits, when the worker is to end, for what `run` left on its way, at most so many
            seconds.
    """

    name: str
    every: float
    run: Callable[[Services], bool]
    end: Callable[[Services, float], None] = lambda services, seconds: None


SEND = Job(
    name="send_messages",
    every=0.5,
    run=lambda services: services.sender.send_some(),
    end=lambda services, seconds: services.sender.finish(seconds=seconds),
)
TELL = Job(
    name="send_webhooks",
    every=0.5,
    run=lambda services: services.webhook_sender.send_some(),
    end=lambda services, seconds: services.webhook_sender.finish(seconds=seconds),
)
CALLS_OUT = (SEND, TELL)
"""What a worker leaves to others that is to call nobody."""
JOBS: tuple[Job, ...] = (
    SEND,
    TELL,
    Job(name="seal_events", every=2, run=lambda services: services.seals.seal() == BATCH),
    Job(name="count_days", every=600, run=lambda services: services.tallies.count_finished()),
    Job(name="import_users", every=1, run=lambda services: services.import_jobs.run_next()),
    Job(name="retention", every=3600, run=lambda services: services.retention.purge()),
)
"""All of them; each runs in a thread of its own, so that a long one holds up no other."""


class Worker:
    """Runs jobs until it is stopped."""

    def __init__(self, services: Services, jobs: Sequence[Job] = JOBS) -> None:
        self._services = services
        self._jobs = jobs
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let each job end the part that it is at, and begin no other."""
        self._stopped.set()

    def run(self, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Run the jobs until `stop` is called, or until nobody wants it any more.

        Args:
            is_wanted: asked every second, such as whether the server is still there.
        """
        threads = [
            threading.Thread(target=self._repeat, args=(job,), name=job.name, daemon=True)
            for job in self._jobs
        ]
        for thread in threads:
            thread.start()
        while not self._stopped.wait(1):
            if not is_wanted():
                self.stop()
        end = Deadline(_LAST_WORDS_SECONDS)
        for thread in threads:
            thread.join(end.left)

    def _repeat(self, job: Job) -> None:
        while not self._stopped.is_set():
            if not self._run(job):
                self._stopped.wait(job.every)
        job.end(self._services, _LAST_WORDS_SECONDS)

    def _run(self, job: Job) -> bool:
        try:
            return job.run(self._services)
        except Exception:
            log.exception("job_failed", job=job.name)
            return False
