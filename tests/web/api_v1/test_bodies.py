"""What a body may look like: the guide's one string, forms, JSON; everything else is refused."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from app.models import User
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v1.backend import EMAIL, FORM, PHONE, Devrift

JSON = "application/json"


@pytest.fixture
def backend(harbor: Harbor) -> Devrift:
    return Devrift(harbor)


def parts(**fields: str) -> tuple[bytes, str]:
    text = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return f"{text}--x--\r\n".encode(), "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (f"User={PHONE}, Type=SMS", FORM),  # the guide, to the letter
        (f"User={PHONE},Type=SMS", FORM),
        (f"  User={PHONE} ,  Type=SMS\n", FORM),
        (f"Type=SMS, User={PHONE}", FORM),
        (f"User={PHONE}, Type=SMS, Extra=1", FORM),
        (f"User={PHONE}, Type=SMS", f"{FORM}; charset=utf-8"),
        (f"User={quote(PHONE)}&Type=SMS", FORM),
        (f"Type=SMS&User={quote(PHONE)}&Extra=1", FORM),
        (f"User={PHONE}&Type=SMS", FORM),  # a plus that decoding made a space
        (json.dumps({"User": PHONE, "Type": "SMS"}), JSON),
        (json.dumps({"User": PHONE, "Type": "SMS", "Extra": {"a": [1]}}), JSON),
        (json.dumps({"User": PHONE, "Type": "SMS"}), FORM),  # curl -d with JSON
        (json.dumps({"User": PHONE, "Type": "SMS"}), "application/vnd.devrift+json"),
        parts(User=PHONE, Type="SMS"),
    ],
)
@ONE_DATABASE
def test_every_spelling_of_a_body_means_the_same(
    backend: Devrift, body: str | bytes, kind: str
) -> None:
    reply = backend.calls("/mfa", body, kind)
    assert reply.status == 200, reply.text
    assert len(backend.messages(PHONE)) == 1


@ONE_DATABASE
def test_the_guide_s_string_is_never_decoded(harbor: Harbor, backend: Devrift) -> None:
    plus = "ada+box@harbor.example"
    assert backend.asks(plus, "EMAIL").status == 200
    assert len(backend.messages(plus)) == 1
    ampersand = "r&d@harbor.example"
    assert backend.asks(ampersand, "EMAIL").status == 200
    assert backend.asks("bo%40harbor.example", "EMAIL").error == "invalid_phone_number"
    found = {row.email for row in harbor.rows(sa.select(User.email))}
    assert found == {EMAIL, plus, ampersand}


@ONE_DATABASE
def test_a_plus_that_a_form_lost_is_mended_in_numbers_and_told_in_addresses(
    backend: Devrift,
) -> None:
    dual = backend.calls("/mfa", f"User={EMAIL}:{PHONE}&Type=DUAL")
    assert dual.status == 200, dual.text
    lost = backend.calls("/mfa", "User=ada+box@harbor.example&Type=EMAIL")
    assert (lost.status, lost.error) == (422, "invalid_email")
    assert "write a plus as %2B" in lost.json["error"]["message"]
    assert backend.calls("/mfa", "User=++33612345678&Type=SMS").error == "invalid_phone_number"


@ONE_DATABASE
def test_two_codes_may_be_parted_by_a_comma_in_the_guide_s_string(backend: Devrift) -> None:
    backend.sends(f"{EMAIL}:{PHONE}", "DUAL", EMAIL)
    code = backend.code(EMAIL)
    both = f"User={EMAIL}:{PHONE}, Type=DUAL, Code={code}, {code}"
    assert backend.calls("/mfa/verify", both).error == "invalid_code"
    one = f"User={EMAIL}:{PHONE}, Type=DUAL, Code={code[:3]} {code[3:]}"
    assert backend.calls("/mfa/verify", one).status == 200


@pytest.mark.parametrize(
    ("body", "kind", "status", "error"),
    [
        ("", FORM, 422, "invalid_request"),
        ("User", FORM, 422, "invalid_request"),
        (f"User={EMAIL}", FORM, 422, "invalid_request"),
        ("User=, Type=EMAIL", FORM, 422, "invalid_request"),
        (f"User={EMAIL}, Type=", FORM, 422, "invalid_request"),
        (f"user={EMAIL}, type=EMAIL", FORM, 422, "invalid_request"),
        (f"User={EMAIL}, Type=EMAIL, Type=SMS", FORM, 400, "invalid_request"),
        (f"User={EMAIL}, User={EMAIL}, Type=EMAIL", FORM, 400, "invalid_request"),
        (f"{EMAIL}, Type=EMAIL", FORM, 400, "invalid_request"),
        (f"User={EMAIL}, Type=EMAIL&Code=1", FORM, 400, "invalid_request"),
        (f"User={EMAIL}&User={EMAIL}&Type=EMAIL", FORM, 400, "invalid_request"),
        (f"User[]={EMAIL}&Type=EMAIL", FORM, 422, "invalid_request"),
        (b"User=\xff\xfe@harbor.example, Type=EMAIL", FORM, 400, "invalid_request"),
        (b"User=%FF%FE@harbor.example&Type=EMAIL", FORM, 400, "invalid_request"),
        (b"User=a\x00b@harbor.example, Type=EMAIL", FORM, 422, "invalid_request"),
        (f"User={EMAIL}, Type=email", FORM, 422, "invalid_type"),
        (f"User={EMAIL}, Type=HSM", FORM, 422, "invalid_type"),
        (f"User={EMAIL}, Type={'x' * 41}", FORM, 422, "invalid_request"),
        (f"User={'x' * 401}, Type=EMAIL", FORM, 422, "invalid_request"),
        ("{", JSON, 400, "invalid_request"),
        ("[]", JSON, 400, "invalid_request"),
        ("null", JSON, 400, "invalid_request"),
        (f'{{"User": "{EMAIL}", "User": "x", "Type": "EMAIL"}}', JSON, 400, "invalid_request"),
        ('{"User": NaN}', JSON, 400, "invalid_request"),
        ("[" * 50_000, JSON, 400, "invalid_request"),
        (f"User={EMAIL}, Type=EMAIL", "text/plain", 415, "unsupported_media_type"),
        (f"User={EMAIL}, Type=EMAIL", "", 415, "unsupported_media_type"),
        ("<User/>", "application/xml", 415, "unsupported_media_type"),
        (f"User={EMAIL}, Type=EMAIL", "multipart/form-data", 422, "invalid_request"),
        ("x" * 70_000, FORM, 413, "too_large"),
        ("&".join(f"a{n}=1" for n in range(2000)), FORM, 400, "invalid_request"),
    ],
)
@ONE_DATABASE
def test_what_can_not_be_read_is_refused_in_the_envelope(
    harbor: Harbor, backend: Devrift, body: str | bytes, kind: str, status: int, error: str
) -> None:
    """F20, F23."""
    begun = time.monotonic()
    reply = backend.calls("/mfa", body, kind)
    assert time.monotonic() - begun < 20
    assert (reply.status, reply.error) == (status, error), reply.text
    assert set(reply.json) == {"error"}
    assert set(reply.json["error"]) == {"type", "message"}
    assert len(harbor.rows(sa.select(User.id).where(User.email.is_not(None)))) == 1


@pytest.mark.parametrize(
    "value", [None, "", [], ["000000", "000001"], {"$ne": 1}, True, 123456, 1e5]
)
@pytest.mark.parametrize("field", ["User", "Type", "Code"])
@ONE_DATABASE
def test_only_text_is_a_value(backend: Devrift, field: str, value: Any) -> None:
    """F20: no number, no list of codes."""
    backend.sends(EMAIL, "EMAIL")
    body = {"User": EMAIL, "Type": "EMAIL", "Code": "000000", field: value}
    reply = backend.calls("/mfa/verify", json.dumps(body), JSON)
    assert (reply.status, reply.error) == (422, "invalid_request"), reply.text
    assert reply.json["error"]["message"].startswith(f"{field}: ")
    missing = {name: text for name, text in body.items() if name != field}
    assert backend.calls("/mfa/verify", json.dumps(missing), JSON).status == 422


@pytest.mark.parametrize("code", ["0" * 1001, "x" * 60_000])
@ONE_DATABASE
def test_a_long_code_is_refused_before_it_is_judged(backend: Devrift, code: str) -> None:
    """F23."""
    backend.sends(EMAIL, "EMAIL")
    reply = backend.verifies(EMAIL, "EMAIL", code)
    assert (reply.status, reply.error) == (422, "invalid_request")


@pytest.mark.parametrize(
    "code",
    ["12345", "1234567", "abcdef", "\uff11\uff12\uff13\uff14\uff15\uff16", "12 34", "💥" * 6],
)
@ONE_DATABASE
def test_what_can_not_be_a_code_is_wrong(backend: Devrift, code: str) -> None:
    backend.sends(EMAIL, "EMAIL")
    assert backend.verifies(EMAIL, "EMAIL", code).error == "invalid_code"


@pytest.mark.parametrize(
    ("given", "status"),
    [(None, 200), ("2023-01-01", 200), ("2022-01-01", 400), ("", 400), ("x" * 3000, 400)],
)
@ONE_DATABASE
def test_a_version_is_echoed_and_an_unknown_one_refused(
    backend: Devrift, given: str | None, status: int
) -> None:
    headers = {} if given is None else {"DevRIFT-Version": given}
    reply = backend.calls("/mfa", f"User={EMAIL}, Type=EMAIL", **headers)
    assert reply.status == status, reply.text
    assert reply.headers["devrift-version"] == "2023-01-01"
    if status == 400:
        assert reply.error == "unsupported_version"
        assert "2023-01-01" in reply.json["error"]["message"]
