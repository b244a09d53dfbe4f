"""Where the process's logs go, and in what form: one event a line, no line break inside."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from pathlib import Path

import structlog
from structlog.typing import EventDict, WrappedLogger

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""What ends a line or steers a terminal; the line feed is left to the renderer."""


def start(log_format: str) -> None:
    """Send all logs of the process to standard error, one event a line."""
    # Both renderers escape line feeds, and JSON everything else, so that no input forges a line.
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])
    )
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _escape_controls,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if getattr(one, "gatehouse", False)]:
        root.removeHandler(old)
    handler.gatehouse = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def place_of(error: Exception) -> str:
    """Return what failed and where, without the error's own words: they may tell a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{Path(one.filename).name}:{one.lineno}" for one in reversed(frames))
    return f"{type(error).__name__} at {where}"


def _escape_controls(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _CONTROL.sub(lambda mark: ascii(mark[0])[1:-1], value)
    return event
