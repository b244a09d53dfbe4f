"""One thread minds all deadlines: each in its time, none that was forgotten, in children too."""

from __future__ import annotations

import os
import threading
import time

from app.deadlines import forget, watch
from tests.conftest import wait_for


def test_what_is_due_is_done_in_the_order_of_its_time() -> None:
    done: list[str] = []
    for seconds, name in ((0.3, "last"), (0.1, "first"), (0.2, "next")):
        watch(seconds, lambda name=name: done.append(name))  # type: ignore[misc]
    wait_for(lambda: len(done) == 3)
    assert done == ["first", "next", "last"]


def test_what_is_forgotten_is_not_done() -> None:
    done: list[str] = []
    kept = watch(0.2, lambda: done.append("kept"))
    assert forget(watch(0.1, lambda: done.append("forgotten")))
    wait_for(lambda: bool(done))
    assert done == ["kept"]
    assert not forget(kept)


def test_many_take_one_thread() -> None:
    watched = [watch(60, lambda: None) for _ in range(50)]
    assert [one.name for one in threading.enumerate()].count("deadlines") == 1
    for one in watched:
        forget(one)


def test_a_child_has_a_thread_of_its_own() -> None:
    forget(watch(60, lambda: None))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        watch(0.05, lambda: os.write(writing, b"done"))
        time.sleep(20)
        os._exit(1)
    try:
        os.close(writing)
        assert os.read(reading, 4) == b"done"
    finally:
        os.close(reading)
        os.kill(child, 9)
        os.waitpid(child, 0)
