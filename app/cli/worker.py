"""gatehouse worker: what is done beside answering requests."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from app import logs, metrics
from app.cli.desk import Address, metrics_option, services
from app.cli.metrics import listening
from app.wiring import Services
from app.worker import CALLS_OUT, JOBS, Worker


@click.command("worker", short_help="Do what is due: send messages, seal events.")
@click.option(
    "--sender/--no-sender",
    "sends",
    default=True,
    show_default=True,
    help="Send the messages and webhooks that wait.",
)
@metrics_option
@click.option("--parent", type=int, hidden=True, help="End when this process is not ours.")
def command(parent: int | None, sends: bool, metrics_at: Address | None) -> None:
    """Do what is due beside answering requests, until it is told to stop (SIGTERM or Ctrl-C).

    `gatehouse serve` runs one by itself. Any number may run at once, on any machine.
    """
    with ExitStack() as ending:
        if metrics_at:
            folder = Path(ending.enter_context(TemporaryDirectory(prefix="gatehouse-metrics-")))
            metrics.share(folder)
        elif shared := metrics.shared_folder():
            metrics.share(shared)
        wired = services()
        if metrics_at:
            ending.enter_context(listening(wired, metrics_at, folder))
        _work(wired, parent, sends)


def _work(wired: Services, parent: int | None, sends: bool) -> None:
    logs.start(wired.config.log_format)
    worker = Worker(wired, [job for job in JOBS if sends or job not in CALLS_OUT])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    worker.run(lambda: parent is None or os.getppid() == parent)
    wired.database.engine.dispose()
