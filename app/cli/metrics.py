"""What Prometheus reads, at an address of its own and never at the public one."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import click
import structlog
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from app import logs, metrics
from app.cli.desk import Address, services
from app.services.queues import Queue
from app.wiring import Services

log = structlog.get_logger("gatehouse.metrics")


class Surroundings(Collector):
    """What is not counted by any process: what waits in the database, and what runs."""

    def __init__(self, wired: Services) -> None:
        self._wired = wired

    def collect(self) -> Iterator[Metric]:
        """Look, once for each time that Prometheus asks."""
        labels = ["version", "python", "database"]
        build = GaugeMetricFamily("gatehouse_build_info", "What runs; always 1.", labels=labels)
        database = self._wired.database.engine.dialect.name
        build.add_metric([version("gatehouse"), platform.python_version(), database], 1)
        yield build
        found = self._queues()
        up = "Whether the database answers: 1, or 0."
        yield GaugeMetricFamily("gatehouse_database_up", up, value=float(bool(found)))
        waiting = GaugeMetricFamily("gatehouse_queue_waiting", "What waits.", labels=["queue"])
        oldest = GaugeMetricFamily(
            "gatehouse_queue_oldest_seconds",
            "For how long the oldest of what is due has been due; 0 if nothing is.",
            labels=["queue"],
        )
        for name, queue in found.items():
            waiting.add_metric([name], queue.waiting)
            oldest.add_metric([name], queue.oldest_seconds)
        yield waiting
        yield oldest

    def _queues(self) -> dict[str, Queue]:
        """Return what waits, by the name of the queue; {} if the database does not answer."""
        queues = self._wired.queues
        looks: dict[str, Callable[[], Queue]] = {
            "messages": queues.messages,
            "webhooks": queues.deliveries,
            "seals": queues.unsealed,
        }
        try:
            return {name: look() for name, look in looks.items()}
        except SQLAlchemyError as error:
            log.warning("metrics_without_database", problem=type(error).__name__)
            return {}


@contextlib.contextmanager
def listening(wired: Services, address: Address, folder: Path | None) -> Iterator[None]:
    """Answer Prometheus at an address until the block ends.

    Args:
        folder: where processes count; None for what is in the database alone.

    Raises:
        click.ClickException: nobody can listen there.
    """
    registry = CollectorRegistry()
    registry.register(Surroundings(wired))
    if folder is not None:
        MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    try:
        server, thread = start_http_server(address.port, address.host, registry)
    except OSError as error:
        raise click.ClickException(f"--metrics {address}: {error.strerror}.") from None
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@click.command("metrics", hidden=True)
@click.argument("bind")
@click.option("--parent", type=int, help="End when this process is not ours.")
def command(bind: str, parent: int | None) -> None:
    """Answer Prometheus for the processes of one server, which runs this by itself."""
    wired, ended = services(migrated=False), threading.Event()
    logs.start(wired.config.log_format)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if folder := metrics.shared_folder():
        metrics.share(folder)
    with listening(wired, Address.parse(bind), folder):
        while not ended.wait(1) and (parent is None or os.getppid() == parent):
            pass
    wired.database.engine.dispose()
