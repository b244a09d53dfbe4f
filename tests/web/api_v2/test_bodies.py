"""Whatever is sent to a call that reads a body: an answer, in the API's shape, never a crash."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from time import monotonic, process_time, sleep
from typing import Any
from urllib.parse import urlsplit

import pytest

from app.web.api_v2 import MOST_BYTES
from app.web.support import forms
from tests.actors import keep_secret
from tests.conftest import ONE_DATABASE, PATIENCE, REDIRECT_URI, Harbor
from tests.web.api_v2.shapes import FORM, JSON, MULTIPART, is_refused, raw

SESSION = "/org/harbor/gateway-sessions"


def calls(harbor: Harbor) -> Iterator[tuple[str, str]]:
    """Every call that reads a body."""
    yield "POST", "/organizations"
    yield "POST", "/org/harbor/users"
    yield "PUT", "/org/harbor/totp-connection"
    yield "POST", SESSION
    yield "POST", f"{SESSION}/{harbor.notes.opens(harbor.ada)['id']}/redeem"


def padded(size: int) -> bytes:
    """A JSON object of exactly this many bytes."""
    frame = len(json.dumps({"filler": ""}))
    return json.dumps({"filler": "x" * (size - frame)}).encode()


UNREADABLE: list[tuple[str, bytes, int, str]] = [
    # malformed, or not an object
    (JSON, b"{", 400, "invalid_request"),
    (JSON, b"nope", 400, "invalid_request"),
    (JSON, b"null", 400, "invalid_request"),
    (JSON, b"[]", 400, "invalid_request"),
    (JSON, b"[{}]", 400, "invalid_request"),
    (JSON, b'"text"', 400, "invalid_request"),
    (JSON, b"123456", 400, "invalid_request"),
    (JSON, b"1e5", 400, "invalid_request"),
    (JSON, b"true", 400, "invalid_request"),
    (JSON, b"{'a': 1}", 400, "invalid_request"),
    (JSON, b'{"a": 1,}', 400, "invalid_request"),
    (JSON, b'{"a": NaN}', 400, "invalid_request"),
    (JSON, b"\xff\xfe{", 400, "invalid_request"),
    (JSON, b'{"a": "\xff"}', 400, "invalid_request"),
    (JSON, b"a=1", 400, "invalid_request"),
    (FORM, b"{", 400, "invalid_request"),
    (FORM, b'{"a": 1, "a": 2}', 400, "invalid_request"),
    # nested beyond any use
    (JSON, b"[" * MOST_BYTES, 400, "invalid_request"),
    (JSON, b'{"a":' * 200_000, 400, "invalid_request"),
    (JSON, b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b"}", 400, "invalid_request"),
    (JSON, b'{"a":' + b"[" * 900 + b"]" * 900 + b"}", 400, "invalid_request"),
    (JSON, b'{"a":' + b"[" * 20 + b"]" * 20 + b"}", 400, "invalid_request"),
    (FORM, b"a" + b"[b]" * 1000 + b"=1", 400, "invalid_request"),
    (FORM, b"a" + b"[b]" * 300_000 + b"=1", 400, "invalid_request"),
    # twice
    (JSON, b'{"a": 1, "b": 2, "a": 1}', 400, "invalid_request"),
    (JSON, b'{"a": {"b": 1, "b": 1}}', 400, "invalid_request"),
    (FORM, b"a=1&a=1", 400, "invalid_request"),
    (FORM, b"a[]=1&a=1", 400, "invalid_request"),
    (FORM, b"a=1&a[b]=1", 400, "invalid_request"),
    (FORM, b"[=1", 400, "invalid_request"),
    # text that no database takes
    (JSON, b'{"a": "\\u0000"}', 422, "invalid_request"),
    (JSON, b'{"a": "\\ud800"}', 422, "invalid_request"),
    (JSON, b'{"\\udc00": 1}', 422, "invalid_request"),
    (JSON, b'{"a": ["x", {"b": "\\udbff"}]}', 422, "invalid_request"),
    (JSON, b'{"a": 1e999}', 422, "invalid_request"),
    (FORM, b"a=%00", 422, "invalid_request"),
    (FORM, b"%00=a", 422, "invalid_request"),
    # another kind of content
    ("text/plain", b'{"a": 1}', 415, "unsupported_media_type"),
    ("application/xml", b"<a/>", 415, "unsupported_media_type"),
    ("", b'{"a": 1}', 415, "unsupported_media_type"),
    ("application/octet-stream", b"\x00", 415, "unsupported_media_type"),
    ("*/*; q=\xff", b"a=1", 415, "unsupported_media_type"),
    # too much
    (JSON, padded(MOST_BYTES + 1), 413, "too_large"),
    (FORM, b"a=" + b"x" * MOST_BYTES, 413, "too_large"),
    ("text/plain", b"x" * (MOST_BYTES + 1), 413, "too_large"),
]


@ONE_DATABASE
def test_a_body_that_can_t_be_read_is_refused_by_every_call(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    for method, path in calls(harbor):
        for content_type, body, status, code in UNREADABLE:
            with subtests.test(f"{path} {content_type} {body[:40]!r}"):
                began = monotonic()
                reply = harbor.backend.calls(method, path, **raw(body, content_type))
                is_refused(reply, status, code, *(["body: "] if status == 422 else []))
                assert len(reply.text) < 1000
                assert monotonic() - began < 5


@ONE_DATABASE
def test_an_empty_body_lacks_the_first_field(harbor: Harbor) -> None:
    names = ["name", "email", "active", "user_id", "result"]
    for (method, path), name in zip(calls(harbor), names, strict=True):
        for body, content_type in ((b"", JSON), (b"", ""), (b"{}", JSON), (b"", FORM)):
            reply = harbor.backend.calls(method, path, **raw(body, content_type))
            is_refused(reply, 422, "invalid_request", name)


@ONE_DATABASE
def test_a_body_of_exactly_a_mebibyte_is_read(harbor: Harbor) -> None:
    assert MOST_BYTES == 1024 * 1024
    for number, (head, tail, content_type) in enumerate(
        (
            (b'{"email": "n0@harbor.example", "filler": "', b'"}', JSON),
            (b"email=n1@harbor.example&filler=", b"", FORM),
        )
    ):
        body = head + b"x" * (MOST_BYTES - len(head) - len(tail)) + tail
        reply = harbor.backend.calls("POST", "/org/harbor/users", **raw(body, content_type))
        assert reply.status == 201, reply.text
        assert reply.json["email"] == f"n{number}@harbor.example"
        reply = harbor.backend.calls("POST", "/org/harbor/users", **raw(body + b" ", content_type))
        is_refused(reply, 413, "too_large")


@ONE_DATABASE
def test_a_part_of_a_multipart_body_may_be_that_large_too(harbor: Harbor) -> None:
    parts = {"email": "n@harbor.example", "filler": "x" * (MOST_BYTES - 1000)}
    body = "".join(
        f'--limit\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts.items()
    )
    sent = raw(f"{body}--limit--\r\n".encode(), f"{MULTIPART}; boundary=limit")
    reply = harbor.backend.calls("POST", "/org/harbor/users", **sent)
    assert reply.status == 201, reply.text


@ONE_DATABASE
def test_who_has_not_proved_itself_yet_is_not_listened_to_for_long(harbor: Harbor) -> None:
    for path in ("/oauth/token", "/api/v2/oauth/token", "/api/v2/magic-link-challenge/token"):
        reply = harbor.wire.request("POST", path, **raw(padded(forms.MOST_BYTES + 1)))
        is_refused(reply, 413, "too_large")
        assert harbor.wire.request("POST", path, **raw(padded(forms.MOST_BYTES))).status < 413


@ONE_DATABASE
def test_a_hundred_thousand_fields_are_no_work(harbor: Harbor) -> None:
    """F23: the work grows with the body, not with its square."""
    shapes = {JSON: (b'"%d":0', b",", b"{%s}"), FORM: (b"%d=0", b"&", b"%s")}
    for content_type, (field, between, frame) in shapes.items():
        few, many = (
            frame % between.join(field % number for number in range(count))
            for count in (MOST_BYTES // 110, MOST_BYTES // 11)
        )
        assert MOST_BYTES * 0.7 < len(many) <= MOST_BYTES
        spent = []
        for body in (few, many):
            began = process_time()
            reply = harbor.backend.calls("POST", "/org/harbor/users", **raw(body, content_type))
            is_refused(reply, 422, "invalid_request", "email")
            spent.append(process_time() - began)
        assert spent[1] < 30 * spent[0] + 0.5  # ten times the fields; the square would be 100


@ONE_DATABASE
def test_a_form_of_too_many_parts_is_refused(harbor: Harbor) -> None:
    parts = {f"f{number}": "x" for number in range(301)}
    sent: dict[str, Any] = {"data": parts, "headers": {"Content-Type": MULTIPART}}
    is_refused(harbor.backend.calls("POST", "/org/harbor/users", **sent), 413, "too_large")


@ONE_DATABASE
def test_a_multipart_body_without_its_boundary_creates_nothing(harbor: Harbor) -> None:
    for content_type in (MULTIPART, f"{MULTIPART}; boundary=x", f"{MULTIPART}; boundary="):
        for body in (b"--y\r\n\r\n", b"x", b"--x\r\n", b"--x\r\nContent-Disposition: form-data"):
            reply = harbor.backend.calls("POST", "/org/harbor/users", **raw(body, content_type))
            assert 400 <= reply.status < 500, (content_type, body, reply.text)
            is_refused(reply, reply.status, reply.error)


@ONE_DATABASE
def test_what_is_not_there_is_told_in_json(harbor: Harbor) -> None:
    for path in (
        "/api/v2/nothing",
        "/api/v3/organizations",
        "/api/v2/org/harbor",
        "/api/v2/organizations/",
        "/api/v2/org//users",
        "/api/v2/org/harbor/users/",
        "/oauth/nothing",
        "/.well-known/nothing",
    ):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            is_refused(harbor.wire.request(method, path), 404, "not_found")
        head = harbor.wire.request("HEAD", path)
        assert (head.status, head.text) == (404, "")
        assert head.headers["content-type"] == "application/json"


@ONE_DATABASE
def test_a_wrong_method_is_told_in_json_with_the_right_ones(harbor: Harbor) -> None:
    for method, path, allowed in (
        ("GET", "/oauth/token", "POST"),
        ("DELETE", "/api/v2/organizations", "POST"),
        ("PATCH", "/api/v2/org/harbor/users", "POST"),
        ("POST", "/api/v2/org/harbor/totp-connection", "PUT"),
        ("GET", "/api/v2/org/harbor/gateway-sessions/x/redeem", "POST"),
        ("POST", "/.well-known/jwks.json", "GET"),
    ):
        reply = harbor.wire.request(method, path)
        is_refused(reply, 405, "method_not_allowed")
        assert allowed in reply.headers["allow"].split(", ")


def test_an_organization_or_a_session_that_nobody_could_have_is_404(harbor: Harbor) -> None:
    odd = ["%00", "harbor%00", "HARBOR", "harbor%20", "har%25", "_arbor", "..%2fharbor", "x" * 3000]
    for domain in odd:
        reply = harbor.backend.calls("GET", f"/org/{domain}/totp-connection")
        is_refused(reply, 404, "not_found")
    for session in ["gateway-session_", "%00", "x", "gateway-session_%00", "' or 1=1", "x" * 3000]:
        is_refused(harbor.backend.calls("GET", f"{SESSION}/{session}"), 404, "not_found")


@ONE_DATABASE
def test_every_answer_of_the_api_carries_an_id_and_is_not_kept(harbor: Harbor) -> None:
    ids = set()
    for method, path in [*calls(harbor), ("GET", "/nothing"), ("GET", "/organizations")]:
        reply = harbor.backend.calls(method, path, **({} if method == "GET" else raw(b"{")))
        assert reply.headers["cache-control"] == "no-store"
        assert reply.headers["x-content-type-options"] == "nosniff"
        ids.add(reply.headers["x-request-id"])
    assert len(ids) == 7


def test_a_slow_sender_holds_nobody_up(live_harbor: Harbor) -> None:
    """Half a body: whatever waits for the rest, no lock of the database does."""
    host = urlsplit(live_harbor.base_url)
    with socket.create_connection((host.hostname, host.port), timeout=PATIENCE) as slow:
        body = json.dumps({"user_id": live_harbor.ada, "redirect_uri": REDIRECT_URI}).encode()
        lines = [
            f"POST /api/v2{SESSION} HTTP/1.1",
            f"Host: {host.netloc}",
            f"Authorization: {live_harbor.notes.basic()['Authorization']}",
            f"Content-Type: {JSON}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        slow.sendall("\r\n".join([*lines, "", ""]).encode() + body[:10])
        sleep(0.5)
        began = monotonic()
        for _ in range(2):
            live_harbor.notes.opens(live_harbor.ada)
        assert monotonic() - began < 10
        slow.sendall(body[10:])
        answer = b"".join(iter(lambda: slow.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 201 ")
    keep_secret(re.findall(rb"token=([A-Za-z0-9_-]+)", answer)[0].decode())
