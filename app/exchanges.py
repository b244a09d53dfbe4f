"""Exchanges by HTTP over a connection that is there: one request, and its whole answer or none."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.addresses import Target
from app.deadlines import Deadline

MOST_BYTES = 64 * 1024
"""Of an answer's body."""


class CallFailed(Exception):
    """A call that got no answer.

    Args:
        code: `timeout`, `unresolvable`, `unreachable`, `certificate`, `answer_too_large` or
            `malformed_request`.
        detail: one sentence for an administrator.
        said: everything was said, so the other side may have acted on it.
    """

    def __init__(self, code: str, detail: str, *, said: bool = False) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.said = said


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server answered.

    Attributes:
        headers: names in lower case.
        body: whole, or b"" if it was not asked for.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass
class Asking:
    """A request, whichever connection it goes over.

    Attributes:
        keeps: whether the other side is asked to keep the connection.
        said: whether everything was said.
    """

    called: Target = field(repr=False)
    method: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    most_bytes: int
    deadline: Deadline
    keeps: bool
    said: bool = False

    def over(self, line: socket.socket) -> tuple[Answer, bool]:
        """Return what is answered over a connection, and whether it can carry another request."""
        line.settimeout(self.deadline.left)
        connection = _Pinned(self.called, line)
        connection.ask(self.method, self.headers, self.body, keeps=self.keeps)
        self.said = True
        response = connection.getresponse()
        with response:
            answer = _read(response, self.most_bytes, self.deadline)
            return answer, self.keeps and response.isclosed() and not response.will_close


class _Pinned(http.client.HTTPConnection):
    """Speaks HTTP over a connection that is there already, and opens none by itself."""

    auto_open = 0

    def __init__(self, called: Target, line: socket.socket) -> None:
        super().__init__(called.host, called.port)
        self._called = called
        self.sock = line

    def ask(self, method: str, headers: Mapping[str, str], body: bytes, *, keeps: bool) -> None:
        own = {
            "Host": self._called.authority,
            "Accept-Encoding": "identity",
            "Connection": "keep-alive" if keeps else "close",
            "User-Agent": "Gatehouse",
        }
        self.request(method, self._called.path, body, {**own, **headers})


def _read(response: http.client.HTTPResponse, most: int, deadline: Deadline) -> Answer:
    """Read an answer to its end, which must be there in time and in size.

    Raises:
        CallFailed: it is not.
    """
    body = response.read(most + 1) if most else b""
    if most and (deadline.over or response.length) and len(body) <= most:
        raise http.client.IncompleteRead(b"")
    if len(body) > most:
        raise CallFailed("answer_too_large", f"It answered more than {most} bytes.", said=True)
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(status=response.status, headers=headers, body=body)


def failure(error: Exception, deadline: Deadline, *, said: bool) -> CallFailed:
    """Return what to tell of an error of the network."""
    if deadline.over or isinstance(error, TimeoutError):
        return CallFailed("timeout", "It did not answer in time.", said=said)
    if isinstance(error, ssl.SSLCertVerificationError):
        return CallFailed("certificate", f"Its certificate is refused: {error.verify_message}.")
    if isinstance(error, ssl.SSLError):
        return CallFailed("unreachable", "It does not speak TLS as it should.", said=said)
    if isinstance(error, ValueError):
        return CallFailed("malformed_request", "A header holds what HTTP can't carry.")
    if said:
        return CallFailed("unreachable", "It hung up without a whole answer.", said=True)
    return CallFailed("unreachable", "It can't be reached.")
