"""What makes it cheaper to measure the branches of `app`.

While a trace function is set, Python 3.11 runs at half its speed, in every library, too. So it is
taken away while a library works for itself, and calls nothing of `app` but what listens to
connections.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from typing import Any

from jinja2 import Environment
from sqlalchemy.engine import IteratorResult
from sqlalchemy.orm import Session
from sqlalchemy.orm.strategies import _LazyLoader

MEASURES_OTHERS = "COVERAGE_PROCESS_CONFIG"
"""By this variable `coverage` measures processes that are started."""
_OWN_WORK: Sequence[tuple[type[Any], str]] = (
    (Session, "_execute_internal"),
    (Session, "_get_impl"),
    (Session, "_flush"),
    (_LazyLoader, "_load_for_state"),
    (IteratorResult, "_fetchall_impl"),
    (IteratorResult, "_fetchone_impl"),
    (Environment, "compile"),
    (HTMLParser, "feed"),
)


def spare_libraries() -> None:
    """Have no library's own work traced."""
    for owner, name in _OWN_WORK:
        setattr(owner, name, _untraced(getattr(owner, name)))


def _untraced(work: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(work)
    def untraced(*args: Any, **more: Any) -> Any:
        trace = sys.gettrace()
        if trace is None:
            return work(*args, **more)
        sys.settrace(None)
        try:
            return work(*args, **more)
        finally:
            sys.settrace(trace)
            _nothing()  # a tracer of C takes over again when a function is called

    return untraced


def _nothing() -> None:
    pass
