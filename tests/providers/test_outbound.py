"""Calls to addresses that customers name (F76): where they go, and when they end."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from threading import Event

import pytest

from app.addresses import NotAllowed, host_name, is_public, target
from app.exchanges import Answer, CallFailed
from app.outbound import Outbound
from tests.actors import keep_secret
from tests.providers.servers import LOOPBACK, Authority, Web, drips, floods, hangs, misbehaving, web

SECONDS = 1


class Names:
    """A name service that says something else each time, and counts who asks."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def call(calls: Outbound, url: str, seconds: float = 5, **more: int) -> Answer:
    return calls.request("POST", url, headers={}, body=b"hello", seconds=seconds, **more)


# Where they go


PRIVATE = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",  # noqa: S104
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "9.9.9.9",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "2620:fe::fe",
    "::ffff:9.9.9.9",
    "64:ff9b::909:909",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused_however_it_is_written(address: str) -> None:
    assert not is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(NotAllowed):
        Outbound().check(f"https://{host}/")
    with pytest.raises(NotAllowed):
        call(Outbound(), f"https://{host}/")
    named = Outbound(resolve=Names([address]))
    with pytest.raises(NotAllowed):
        named.check("https://gateway.example/")
    with pytest.raises(NotAllowed):
        call(named, "https://gateway.example/")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken(address: str) -> None:
    assert is_public(ip_address(address))
    Outbound(resolve=Names([address])).check("https://gateway.example/")


REFUSED = [
    "",
    "https://",
    "https:///path",
    "gateway.example",
    "//gateway.example/",
    "gopher://gateway.example/",
    "file:///etc/passwd",
    "ftp://gateway.example/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "https://user@gateway.example/",
    "https://user:password@gateway.example/",
    "https://gateway.example@127.0.0.1/",
    "https://@gateway.example/",
    "https://gateway.example/#fragment",
    "https://gateway.example:25/",
    "https://gateway.example:22/",
    "https://gateway.example:1023/",
    "https://gateway.example:0/",
    "https://gateway.example:65536/",
    "https://gateway.example:port/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.0.0.1./",
    "https://127.0.0.0x1/",
    "https://gateway.example./",
    "https://-gateway.example/",
    "https://gate way.example/",
    "https://gateway.example\\@127.0.0.1/",
    "https://gateway.example/\r\nHost: inside",
    "https://gateway.example\t/",
    " https://gateway.example/",
    "https://gateway。example/",
    "https://①②⑦.0.0.1/",
    "https://gateway%2eexample/",
    "https://[::1/",
    "https://[fe80::1%25eth0]/",
    "https://" + "a" * 64 + ".example/",
    "https://" + ".".join(["a" * 60] * 5) + "/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_of_another_kind_is_refused_before_anything_is_looked_up(url: str) -> None:
    names = Names(["93.184.216.34"])
    for calls in (Outbound(resolve=names), Outbound(LOOPBACK, resolve=names)):
        with pytest.raises(NotAllowed):
            calls.check(url)
        with pytest.raises(NotAllowed):
            call(calls, url)
    assert names.asked == []


def test_a_usual_address_is_taken_apart() -> None:
    found = target("HTTPS://Gateway.Example:8443/send?to=1")
    assert (found.scheme, found.host, found.port) == ("https", "gateway.example", 8443)
    assert (found.path, found.authority) == ("/send?to=1", "gateway.example:8443")
    assert target("https://gateway.example").path == "/"
    assert target("https://gateway.example:443/").authority == "gateway.example"
    assert target("https://[2620:fe::9]/").authority == "[2620:fe::9]"
    assert host_name("sms_1.example") == "sms_1.example"


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    calls = Outbound(resolve=Names(["93.184.216.34", "10.0.0.1"]))
    with pytest.raises(NotAllowed):
        calls.check("https://gateway.example/")


def test_nothing_is_connected_where_nothing_is_allowed(gateway: Web) -> None:
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(NotAllowed):
            call(Outbound(), f"https://{host}:{gateway.port}/")
    assert gateway.came == []


def test_a_name_that_moves_inside_after_the_check_is_refused(gateway: Web) -> None:
    """DNS rebinding: what was public when it was saved is judged anew when it is called."""
    names = Names(["93.184.216.34"], ["127.0.0.1"])
    calls = Outbound(resolve=names)
    calls.check(f"https://gateway.example:{gateway.port}/")
    with pytest.raises(NotAllowed):
        call(calls, f"https://gateway.example:{gateway.port}/")
    assert gateway.came == []


def test_the_connection_goes_to_the_address_that_was_judged(
    authority: Authority,
) -> None:
    """Looked up once: a second look, as most clients take, would find another address."""
    names = Names(["127.0.0.1"], ["127.0.0.99"])
    with web(authority.server("gateway.example")) as gateway:
        calls = Outbound(LOOPBACK, ca_file=authority.file, resolve=names)
        assert call(calls, f"https://gateway.example:{gateway.port}/send").status == 200
        assert gateway.only.headers["host"] == f"gateway.example:{gateway.port}"
    assert names.asked == ["gateway.example"]


def test_an_address_that_can_t_be_reached_leaves_the_others_their_turn(
    gateway: Web, authority: Authority
) -> None:
    names = Names(["127.0.0.99", "127.0.0.1"])
    calls = Outbound(LOOPBACK, ca_file=authority.file, resolve=names)
    assert call(calls, f"https://localhost:{gateway.port}/").status == 200


def test_the_certificate_is_the_one_of_the_name(authority: Authority, outbound: Outbound) -> None:
    with web(authority.server("other.example")) as gateway:
        with pytest.raises(CallFailed) as failed:
            call(outbound, gateway.url)
        assert failed.value.code == "certificate"
        assert gateway.came == []


def test_the_certificate_is_one_that_is_trusted(gateway: Web) -> None:
    with pytest.raises(CallFailed) as failed:
        call(Outbound(LOOPBACK), gateway.url)
    assert failed.value.code == "certificate"
    assert gateway.came == []


def test_a_redirect_is_an_answer_and_not_followed(gateway: Web, outbound: Outbound) -> None:
    with web() as inside:
        gateway.answers(302, b"", Location=f"{inside.url}/latest/meta-data")
        assert call(outbound, gateway.url).status == 302
        assert inside.came == []


def test_without_tls_only_a_network_that_is_allowed_is_called(outbound: Outbound) -> None:
    public = Outbound(resolve=Names(["93.184.216.34"]))
    with pytest.raises(NotAllowed, match="TLS"):
        public.check("http://gateway.example/")
    with pytest.raises(NotAllowed, match="TLS"):
        call(public, "http://gateway.example/")
    with web() as inside:
        assert call(outbound, inside.url).status == 200


def test_what_wraps_an_allowed_network_is_allowed(gateway: Web, authority: Authority) -> None:
    calls = Outbound(LOOPBACK, ca_file=authority.file, resolve=Names(["::ffff:127.0.0.1"]))
    assert call(calls, f"https://localhost:{gateway.port}/").status == 200


def test_no_proxy_of_the_environment_is_asked(
    gateway: Web, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert call(outbound, gateway.url).status == 200
        assert proxy.came == []


def test_an_unknown_name_is_told() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError

    calls = Outbound(resolve=unknown)
    with pytest.raises(NotAllowed, match="unknown"):
        calls.check("https://gateway.example/")
    with pytest.raises(CallFailed) as failed:
        call(calls, "https://gateway.example/")
    assert failed.value.code == "unresolvable"


# What is said and answered


def test_a_request_arrives_as_it_was_made(gateway: Web, outbound: Outbound) -> None:
    gateway.answers(202, b"taken", **{"X-Id": "7"})
    answer = outbound.request(
        "POST",
        f"{gateway.url}/send?a=b",
        headers={"Content-Type": "text/plain", "X-More": "é"},
        body="héllo".encode(),
        seconds=5,
    )
    assert (answer.status, answer.body, answer.headers["x-id"]) == (202, b"taken", "7")
    came = gateway.only
    assert (came.method, came.path, came.body) == ("POST", "/send?a=b", "héllo".encode())
    assert came.headers["content-type"] == "text/plain"
    assert came.headers["user-agent"] == "Gatehouse"


def test_a_header_can_t_be_forged(gateway: Web, outbound: Outbound) -> None:
    for value in ("x\r\nX-Evil: 1", "x\nX-Evil: 1", "€"):
        with pytest.raises(CallFailed) as failed:
            outbound.request("POST", gateway.url, headers={"X-Own": value}, seconds=5)
        assert failed.value.code == "malformed_request"
    assert gateway.came == []


# When they end


@pytest.fixture
def timed() -> Iterator[None]:
    """The whole test ends long before the server would: what a busy machine adds is not tested."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < SECONDS + 20


HEAD = b"HTTP/1.1 200 OK\r\n"
SLOW = {
    "says nothing": hangs,
    "drips its first line": drips(b"", b"H"),
    "drips headers": drips(HEAD, b"X-Drop: 1\r\n"),
    "says again and again to go on": drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    "drips a body of a known length": drips(HEAD + b"Content-Length: 1000\r\n\r\n"),
    "drips a body without a length": drips(HEAD + b"\r\n"),
    "drips chunks": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "drips the length of a chunk": drips(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
}


@pytest.mark.parametrize("way", SLOW)
def test_a_server_that_never_ends_is_left_in_time(
    way: str, outbound: Outbound, timed: None
) -> None:
    with misbehaving(SLOW[way]) as port:
        with pytest.raises(CallFailed) as failed:
            call(outbound, f"http://127.0.0.1:{port}/", SECONDS)
        assert (failed.value.code, failed.value.said) == ("timeout", True)


def test_a_handshake_that_never_ends_is_left_in_time(outbound: Outbound, timed: None) -> None:
    with misbehaving(hangs) as port:
        with pytest.raises(CallFailed) as failed:
            call(outbound, f"https://localhost:{port}/", SECONDS)
        assert (failed.value.code, failed.value.said) == ("timeout", False)


def test_a_name_service_that_never_answers_is_left_in_time(timed: None) -> None:
    over = Event()

    def never(host: str, port: int) -> Sequence[str]:
        over.wait(60)
        return []

    with pytest.raises(CallFailed) as failed:
        call(Outbound(resolve=never), "https://gateway.example/", SECONDS)
    assert (failed.value.code, failed.value.said) == ("timeout", False)
    over.set()


HUGE = {
    "of a known length": floods(HEAD + b"Content-Length: 99999999\r\n\r\n", b"a" * 65536),
    "of no length": floods(HEAD + b"\r\n", b"a" * 65536),
    "in chunks": floods(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"a" * 65536 + b"\r\n"
    ),
}


@pytest.mark.parametrize("way", HUGE)
def test_an_answer_that_is_too_large_is_not_read_to_its_end(way: str, outbound: Outbound) -> None:
    with misbehaving(HUGE[way]) as port:
        with pytest.raises(CallFailed) as failed:
            call(outbound, f"http://127.0.0.1:{port}/", most_bytes=1000)
        assert (failed.value.code, failed.value.said) == ("answer_too_large", True)


def test_a_body_that_nobody_wants_is_not_waited_for(outbound: Outbound, timed: None) -> None:
    with misbehaving(SLOW["drips a body of a known length"]) as port:
        answer = call(outbound, f"http://127.0.0.1:{port}/", most_bytes=0)
        assert (answer.status, answer.body) == (200, b"")


def test_endless_headers_are_refused(outbound: Outbound) -> None:
    for talk in (floods(HEAD, b"X-Drop: 1\r\n" * 1000), floods(HEAD + b"X: ", b"a" * 65536)):
        with misbehaving(talk) as port:
            with pytest.raises(CallFailed) as failed:
                call(outbound, f"http://127.0.0.1:{port}/")
            assert failed.value.said


HALF = [
    HEAD + b"Content-Length: 9\r\n\r\nhalf",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    HEAD[:9],
    b"",
    b"SSH-2.0-OpenSSH_9.2\r\n",
]


@pytest.mark.parametrize("half", HALF)
def test_half_an_answer_is_none(half: bytes, outbound: Outbound) -> None:
    def talk(line: socket.socket, over: Event) -> None:
        line.sendall(half)

    with misbehaving(talk) as port:
        with pytest.raises(CallFailed) as failed:
            call(outbound, f"http://127.0.0.1:{port}/")
        assert failed.value.code == "unreachable"


def test_nobody_there_is_told(outbound: Outbound) -> None:
    with misbehaving(hangs) as port:
        pass
    with pytest.raises(CallFailed) as failed:
        call(outbound, f"http://127.0.0.1:{port}/")
    assert (failed.value.code, failed.value.said) == ("unreachable", False)


# What is told of them


def test_neither_logs_nor_errors_tell_what_was_said(
    gateway: Web, outbound: Outbound, no_secret_in_logs: io.StringIO
) -> None:
    """F70: the address's query, the headers and the bodies are nobody's."""
    code, token, query = map(keep_secret, ("582914", "Bearer of-the-tests", "to=33612345678"))
    gateway.answers(500, f"no {code}".encode())
    answer = outbound.request(
        "POST",
        f"{gateway.url}/send?{query}",
        headers={"Authorization": token},
        body=code.encode(),
        seconds=5,
    )
    told = repr(answer) + repr(target(f"{gateway.url}/send?{query}"))
    with pytest.raises(CallFailed) as failed, misbehaving(hangs) as port:
        outbound.request(
            "POST",
            f"http://127.0.0.1:{port}/send?{query}",
            headers={"Authorization": token},
            body=code.encode(),
            seconds=0.2,
        )
    told += str(failed.value) + repr(failed.value) + no_secret_in_logs.getvalue()
    assert code not in told
    assert token not in told
    assert query not in told
