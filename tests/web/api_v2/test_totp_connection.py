"""/api/v2/org/{domain}/totp-connection: whether an organization offers authenticator apps."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.models import Environment, Event
from app.services.audit import OPERATOR
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.api_v2.shapes import FORM, JSON, WAYS, is_refused, raw

PIER = "/org/pier/totp-connection"


@pytest.fixture
def pier(harbor: Harbor) -> Harbor:
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    harbor.backend.calls("POST", "/org/pier/users", json={"email": "pia@pier.example"})
    harbor.notes.organization = "pier"
    return harbor


def test_it_is_there_from_the_start_and_inactive(pier: Harbor) -> None:
    assert pier.backend.calls("GET", PIER).json == {
        "__type__": "TotpConnection",
        "__domain__": "pier",
        "__environment__": "sandbox",
        "active": False,
        "methods": ["app"],
        "issuer": "Pier",
        "digits": 6,
        "period": 30,
        "algorithm": "SHA1",
        "window": 1,
        "strict": False,
        "recovery_codes": 5,
        "recovery_code_length": 16,
        "sms_delivery": "application",
    }
    begun = pier.backend.calls("POST", "/org/pier/totp-enrollment/pia@pier.example", json={})
    is_refused(begun, 422, "totp_connection_inactive", "pier")


@ONE_DATABASE
@pytest.mark.parametrize("way", WAYS)
def test_the_guide_s_call_switches_it_on_and_off(pier: Harbor, way) -> None:
    for wanted in ("true", "false", "true"):
        reply = pier.backend.calls("PUT", PIER, **way({"active": wanted}))
        assert reply.status == 200, reply.text
        assert reply.json["active"] is (wanted == "true")
        assert pier.backend.calls("GET", PIER).json == reply.json
    assert pier.notes.asks("pia@pier.example").status == 201
    assert pier.backend.calls("GET", "/org/harbor/totp-connection").json["active"] is True


@ONE_DATABASE
def test_json_may_say_it_with_a_real_boolean(pier: Harbor) -> None:
    assert pier.backend.calls("PUT", PIER, json={"active": True}).json["active"] is True
    assert pier.backend.calls("PUT", PIER, json={"active": False}).json["active"] is False


ODD_FIELDS = [
    (JSON, b"{}", 422),
    (JSON, b'{"active": null}', 422),
    (JSON, b'{"active": ""}', 422),
    (JSON, b'{"active": []}', 422),
    (JSON, b'{"active": [true]}', 422),
    (JSON, b'{"active": {"$ne": 1}}', 422),
    (JSON, b'{"active": 123456}', 422),
    (JSON, b'{"active": 1e5}', 422),
    (JSON, b'{"active": "perhaps"}', 422),
    (JSON, b'{"active": true, "active": false}', 400),
    (FORM, b"active=true&active=false", 400),
    (FORM, b"active[]=true", 422),
    (FORM, b"active=", 422),
    (FORM, b"inactive=true", 422),
]


@ONE_DATABASE
def test_odd_values_are_refused_by_name_and_change_nothing(
    pier: Harbor, subtests: pytest.Subtests
) -> None:
    for content_type, body, status in ODD_FIELDS:
        with subtests.test(repr(body)):
            reply = pier.backend.calls("PUT", PIER, **raw(body, content_type))
            is_refused(reply, status, "invalid_request", "active")
    assert pier.backend.calls("GET", PIER).json["active"] is False


def test_only_a_change_is_recorded(pier: Harbor) -> None:
    for wanted in (True, True, False, False, True):
        pier.backend.calls("PUT", PIER, json={"active": wanted})
    changes = sa.select(Event.detail).where(
        Event.kind == "method_setting:changed", Event.actor != "operator"
    )
    told = [detail for (detail,) in pier.rows(changes.order_by(Event.id))]
    assert [detail["active"] for detail in told] == [True, False, True]


def test_reading_it_writes_nothing(pier: Harbor) -> None:
    before = pier.rows(sa.select(sa.func.count()).select_from(Event))
    pier.backend.calls("GET", PIER)
    assert pier.rows(sa.select(sa.func.count()).select_from(Event)) == before


BAD = [
    ("digits", 5),
    ("digits", 9),
    ("digits", True),
    ("period", 14),
    ("period", 121),
    ("algorithm", "MD5"),
    ("algorithm", "sha1"),
    ("window", -1),
    ("window", 6),
    ("recovery_codes", 0),
    ("recovery_codes", 21),
    ("recovery_code_length", 15),
    ("recovery_code_length", 33),
    ("sms_delivery", "pigeon"),
    ("methods", []),
    ("methods", ["app", "app"]),
    ("methods", ["email"]),
    ("methods", "app"),
    ("issuer", "a:b"),
    ("issuer", "x" * 101),
    ("issuer", " "),
]


@ONE_DATABASE
@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_setting_out_of_range_is_refused_by_name(pier: Harbor, name: str, value: object) -> None:
    before = pier.backend.calls("GET", PIER).json
    reply = pier.backend.calls("PUT", PIER, json={"active": True, name: value})
    is_refused(reply, 422, "invalid_request", name)
    assert pier.backend.calls("GET", PIER).json == before


@ONE_DATABASE
def test_what_is_not_named_stays(pier: Harbor) -> None:
    pier.backend.calls("PUT", PIER, json={"digits": 8, "issuer": "Pier Bank"})
    shown = pier.backend.calls("PATCH", PIER, json={"active": True, "issuer": ""}).json
    assert (shown["active"], shown["digits"], shown["issuer"]) == (True, 8, "Pier")


@ONE_DATABASE
def test_codes_are_ours_to_send_only_where_somebody_carries_them(harbor: Harbor) -> None:
    backend = harbor.key(Environment.PRODUCTION)
    backend.calls("POST", "/organizations", json={"name": "Pier"})
    reply = backend.calls("PUT", PIER, json={"sms_delivery": "gateway"})
    is_refused(reply, 422, "channel_unavailable", "sms_delivery")


@ONE_DATABASE
def test_whoever_lets_us_send_switches_the_channel_on(pier: Harbor) -> None:
    pier.backend.calls("PUT", PIER, json={"sms_delivery": "gateway", "methods": ["sms"]})
    changed = sa.select(Event).where(Event.kind == "method_setting:changed")
    told = [row[0].detail for row in pier.rows(changed) if row[0].detail["kind"] == "sms"]
    assert [one["active"] for one in told] == [True]
    # And once only: it may be switched off since.
    with pier.services.database.writing() as tx:
        found = pier.services.organizations.find(tx, Environment.SANDBOX, "pier")
        pier.services.channels.change(tx, OPERATOR, found, "sms", active=False)
    pier.backend.calls("PUT", PIER, json={"sms_delivery": "gateway"})
    with pier.services.database.reading() as tx:
        found = pier.services.organizations.find(tx, Environment.SANDBOX, "pier")
        assert "sms" not in pier.services.method_settings.channels(tx, found)
