"""Connections that are kept for the next request: when they are, and what never comes of it."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterator
from threading import Event

import pytest

from app import lines
from app.exchanges import Answer, CallFailed
from app.outbound import Outbound
from tests.conftest import wait_for
from tests.providers.servers import LOOPBACK, Authority, Web, misbehaving, web

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"


@pytest.fixture
def keeping(authority: Authority) -> Outbound:
    return Outbound(LOOPBACK, ca_file=authority.file, keeps=True)


@pytest.fixture
def vendor(certificate: ssl.SSLContext) -> Iterator[Web]:
    with web(certificate, keeps=True) as made:
        yield made


def call(calls: Outbound, url: str, seconds: float = 5, **more: int) -> Answer:
    return calls.request("POST", url, headers={}, body=b"hello", seconds=seconds, **more)


def hear(line: socket.socket) -> bytes:
    """Read one whole request, or b"" if the other side hung up."""
    line.settimeout(20)
    heard = b""
    while not heard.endswith(b"hello") and (more := line.recv(1000)):
        heard += more
    return heard


def test_one_request_after_the_other_goes_over_one_connection(
    vendor: Web, keeping: Outbound
) -> None:
    for number in range(3):
        vendor.answers(200, f"{number}".encode())
        assert call(keeping, f"{vendor.url}/{number}").body == f"{number}".encode()
    assert [one.path for one in vendor.came] == ["/0", "/1", "/2"]
    assert vendor.connections == 1


def test_what_is_on_its_way_at_the_same_time_has_connections_of_its_own(
    vendor: Web, keeping: Outbound
) -> None:
    vendor.decides = lambda came: (
        call(keeping, f"{vendor.url}/b").status if came.path == "/a" else 201
    )
    assert call(keeping, f"{vendor.url}/a").status == 201
    assert vendor.connections == 2


def test_a_connection_leads_to_its_own_host_alone(vendor: Web, keeping: Outbound) -> None:
    for host in ("127.0.0.1", "localhost"):
        assert call(keeping, f"https://{host}:{vendor.port}/").status == 200
    assert vendor.connections == 2


def test_nothing_is_kept_where_the_answer_is_left_unread_or_nobody_asked_for_it(
    vendor: Web, keeping: Outbound, outbound: Outbound
) -> None:
    for _ in range(2):
        call(keeping, vendor.url, most_bytes=0)
        call(outbound, vendor.url)
    assert vendor.connections == 4
    assert {one.headers["connection"] for one in vendor.came} == {"close"}


def test_an_old_connection_is_not_used_again(
    vendor: Web, keeping: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_LIFE_SECONDS", 0)
    for _ in range(2):
        call(keeping, vendor.url)
    assert vendor.connections == 2


def test_an_idle_connection_ends_by_itself(
    keeping: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_IDLE_SECONDS", 0.1)
    ended = Event()

    def talk(line: socket.socket, over: Event) -> None:
        hear(line)
        line.sendall(ANSWER + b"good")
        if hear(line) == b"":
            ended.set()

    with misbehaving(talk) as port:
        assert call(keeping, f"http://127.0.0.1:{port}/").body == b"good"
        wait_for(ended.is_set)


def test_a_server_that_hung_up_meanwhile_is_called_anew(keeping: Outbound) -> None:
    def talk(line: socket.socket, over: Event) -> None:
        hear(line)
        line.sendall(ANSWER + b"good")
        gone.set()

    gone = Event()
    with misbehaving(talk) as port:
        for _ in range(3):
            assert call(keeping, f"http://127.0.0.1:{port}/").body == b"good"
            gone.wait(5)
            wait_for(lambda: something_came(keeping))


def something_came(calls: Outbound) -> bool:
    """Tell whether the end of what is kept, or anything else, is there to be read."""
    kept = [line.socket for one in calls._lines._idle.values() for line in one]
    return select.select(kept, [], [], 0)[0] == kept


def test_an_answer_to_nothing_is_not_taken_for_the_next_one(keeping: Outbound) -> None:
    """A server, or whoever speaks through it, that says more than it was asked."""
    calls = iter((b"good", b"last"))

    def talk(line: socket.socket, over: Event) -> None:
        hear(line)
        line.sendall(ANSWER + next(calls))
        answered.wait(5)
        line.sendall(ANSWER + b"evil")
        forged.set()

    answered, forged = Event(), Event()
    with misbehaving(talk) as port:
        assert call(keeping, f"http://127.0.0.1:{port}/").body == b"good"
        answered.set()
        forged.wait(5)
        wait_for(lambda: something_came(keeping))
        assert call(keeping, f"http://127.0.0.1:{port}/").body == b"last"


def test_a_kept_connection_has_a_deadline_too(keeping: Outbound) -> None:
    def talk(line: socket.socket, over: Event) -> None:
        hear(line)
        line.sendall(ANSWER + b"good")
        hear(line)
        while not over.wait(0.05):
            line.sendall(b"H")

    with misbehaving(talk) as port:
        assert call(keeping, f"http://127.0.0.1:{port}/").body == b"good"
        with pytest.raises(CallFailed) as failed:
            call(keeping, f"http://127.0.0.1:{port}/", 0.6)
    assert (failed.value.code, failed.value.said) == ("timeout", True)


def test_a_kept_connection_that_ends_without_an_answer_leaves_a_doubt(keeping: Outbound) -> None:
    """Whether the request was taken is not known, so it is not said again unasked."""
    came: list[bytes] = []

    def talk(line: socket.socket, over: Event) -> None:
        came.append(hear(line))
        line.sendall(ANSWER + b"good")
        came.append(hear(line))

    with misbehaving(talk) as port:
        assert call(keeping, f"http://127.0.0.1:{port}/").body == b"good"
        with pytest.raises(CallFailed) as failed:
            call(keeping, f"http://127.0.0.1:{port}/")
    assert (failed.value.code, failed.value.said) == ("unreachable", True)
    assert len(came) == 2
