"""gatehouse serve: the production server."""

from __future__ import annotations

import gc
import importlib
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.util import import_app

from app import logs, metrics
from app.cli.companion import Companion, KeepingArbiter
from app.cli.desk import Address, metrics_option, services

THREADS = 4


class ServerLogs(Logger):  # type: ignore[misc]
    """What gunicorn itself has to say goes where all other logs go; requests we log ourselves."""

    def setup(self, cfg: object) -> None:
        """Hand everything to the root logger."""
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)
        self.access_log.disabled = True

    def warning(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Tell why a request can't be read without quoting it: it may hold a secret."""
        super().warning(": ".join(str(msg).split(": ")[:2]), *args, **kwargs)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Tell what failed without the query of the address: it may hold a token."""
        super().exception(msg, *(str(arg).partition("?")[0] for arg in args), **kwargs)


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn with threads, set up from the command line alone."""

    def __init__(
        self, options: dict[str, Any], companions: Sequence[Companion], folder: Path | None
    ) -> None:
        self._options = options
        self._companions = companions
        self._folder = folder
        super().__init__()

    def load_config(self) -> None:
        """Hand gunicorn its settings."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        """Serve until the process is told to stop."""
        KeepingArbiter(self, self._companions, self._folder).run()

    def load(self) -> Any:
        """Build the application, once in each worker: no connection crosses a fork."""
        return import_app("app:create_app()")


@click.command("serve", short_help="Serve the gateway.")
@click.option("--bind", default="127.0.0.1:8000", show_default=True, help="HOST:PORT to listen on.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 128))
@click.option("--certfile", type=click.Path(exists=True, dir_okay=False), help="PEM, for HTTPS.")
@click.option("--keyfile", type=click.Path(exists=True, dir_okay=False), help="PEM, for HTTPS.")
@click.option(
    "--worker/--no-worker",
    "with_worker",
    default=True,
    show_default=True,
    help="Run `gatehouse worker` beside them.",
)
@click.option(
    "--sender/--no-sender",
    "with_sender",
    default=True,
    show_default=True,
    help="Let that worker send the messages and webhooks that wait.",
)
@metrics_option
def command(
    bind: str,
    workers: int,
    certfile: str | None,
    keyfile: str | None,
    with_worker: bool,
    with_sender: bool,
    metrics_at: Address | None,
) -> None:
    """Serve the gateway until it is told to stop (SIGTERM or Ctrl-C)."""
    if (certfile is None) != (keyfile is None):
        raise click.UsageError("--certfile and --keyfile go together.")
    importlib.import_module("app.web.doors")  # before the fork, so that web workers share it
    companions, folder = [], None
    if with_worker:
        companions.append(Companion("worker", *([] if with_sender else ["--no-sender"])))
    if metrics_at:
        folder = Path(tempfile.mkdtemp(prefix="gatehouse-metrics-"))
        metrics.share(folder)
        companions.append(Companion("metrics", str(metrics_at)))
    wired = services()
    wired.database.engine.dispose()
    logs.start(wired.config.log_format)
    # Workers share the memory of all that is here now, until they write to it; a collection would
    # write to every object that it looks at.
    gc.collect()
    gc.freeze()
    click.echo(f"Gatehouse serves {wired.config.base_url} on {bind}.", err=True)
    Server(
        {
            "bind": bind,
            "workers": workers,
            "threads": THREADS,
            "worker_class": "gthread",
            "certfile": certfile,
            "keyfile": keyfile,
            "logger_class": ServerLogs,
            # Proxies are judged by GATEHOUSE_TRUSTED_PROXIES alone.
            "forwarded_allow_ips": "",
            "control_socket_disable": True,
        },
        companions,
        folder,
    ).run()
