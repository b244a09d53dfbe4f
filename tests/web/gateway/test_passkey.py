"""Passkeys on the hosted pages: made, used, refused, lost (F59 to F62, F64)."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Authenticator, AuthenticatorStatus, Event, Verification
from app.services.audit import OPERATOR
from tests.actors import Browser, keep_secret
from tests.conftest import Harbor
from tests.software_authenticator import (
    BE,
    BS,
    UP,
    UV,
    Maker,
    SoftwareAuthenticator,
    b64,
    unb64,
)


@pytest.fixture(autouse=True)
def passkeys(harbor: Harbor) -> Iterator[None]:
    demand(harbor, active=True)
    yield


def demand(harbor: Harbor, **rules: Any) -> None:
    """Switch passkeys on or off, or demand something of them."""
    with harbor.services.database.writing() as tx:
        organization = tx.merge(harbor.organization)
        harbor.services.passkey_rules.change(tx, OPERATOR, organization, **rules)


def options(browser: Browser) -> dict[str, Any]:
    """Ask as the page's script does."""
    wire, address = browser.wire, browser.address("passkey")
    reply = wire.request(
        "POST", address, cookies=browser.cookies, data={"csrf_token": browser.form_token}
    )
    assert reply.status == 200, (reply.status, reply.location)
    return dict(reply.json)


def at_creation(harbor: Harbor, **ask: Any) -> Browser:
    browser = harbor.visits(harbor.ada, **ask)
    browser.sends("set-up", kind="passkey")
    assert browser.path.endswith("/enroll"), browser.path
    return browser


def creates(browser: Browser, device: SoftwareAuthenticator) -> None:
    browser.submits(credential=device.create(options(browser)))


def enrolls(harbor: Harbor, device: SoftwareAuthenticator | None = None) -> SoftwareAuthenticator:
    """Walk Ada through a first visit with a passkey."""
    device = device or SoftwareAuthenticator()
    browser = at_creation(harbor)
    creates(browser, device)
    assert browser.path.endswith("/recovery-codes"), browser.page.text
    browser.saves_codes()
    assert "result" in browser.back
    harbor.clock.advance(30)
    return device


def uses(harbor: Harbor, device: SoftwareAuthenticator, **ask: Any) -> Browser:
    """Have Ada come back, and answer with the device."""
    browser = harbor.visits(harbor.ada, **ask)
    assert browser.path.endswith("/verify"), browser.path
    forms = browser.page.forms
    place = next(n for n, form in enumerate(forms) if "credential" in form["fields"])
    browser.submits(place, credential=device.get(options(browser)))
    return browser


def is_in(browser: Browser) -> bool:
    return browser.reply.status == 303 and "result=" in browser.reply.location


def claims(harbor: Harbor, browser: Browser) -> dict[str, Any]:
    return harbor.notes.checks(browser.back["result"])


def statuses(harbor: Harbor, kind: str = "passkey") -> list[str]:
    found = sa.select(Authenticator.status).where(Authenticator.kind == kind)
    return sorted(row.status.value for row in harbor.rows(found))


# The ways that people go


def test_a_first_visit_offers_a_passkey_and_the_app(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    assert browser.path.endswith("/set-up")
    assert "Set up a passkey" in browser.page.text
    assert "Authenticator app" in browser.page.text


def test_a_new_organization_takes_passkeys(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        made = harbor.services.organizations.create(
            tx, OPERATOR, environment=harbor.organization.environment, name="Fresh"
        )
        assert harbor.services.method_settings.hosted(tx, made) == {"passkey"}


def test_a_passkey_is_made_with_its_codes_and_lets_its_owner_in(harbor: Harbor) -> None:
    device = enrolls(harbor)
    browser = uses(harbor, device)
    assert is_in(browser)
    found = claims(harbor, browser)
    assert found["mfa_method"] == "passkey"
    [row] = harbor.rows(sa.select(Authenticator))
    one = row.Authenticator
    assert one.credential_id == b64(device.credential_id)
    assert one.last_step == 1
    assert one.last_used_at is not None
    assert one.parameters["backup_eligible"] is False
    assert one.parameters["backed_up"] is False
    assert (found["acr"], found["amr"]) == ("phr", ["pop", "user", "mfa"])


@pytest.mark.parametrize("algorithm", [-7, -8, -257])
def test_each_algorithm_that_is_offered_works(harbor: Harbor, algorithm: int) -> None:
    browser = at_creation(harbor)
    assert [one["alg"] for one in options(browser)["pubKeyCredParams"]] == [-8, -7, -257]
    device = enrolls(harbor, SoftwareAuthenticator(algorithm=algorithm))
    assert is_in(uses(harbor, device))


def test_without_script_the_page_says_so_and_offers_the_rest(harbor: Harbor) -> None:
    browser = at_creation(harbor)
    assert "Passkeys need JavaScript" in browser.page.text
    assert any(link.endswith("/set-up") for link in browser.page.links)
    enrolls(harbor)
    browser = harbor.visits(harbor.ada)
    assert "Passkeys need JavaScript" in browser.page.text
    assert any(link.endswith("/recover") for link in browser.page.links)


def test_a_second_passkey_is_added_after_the_first_was_used(harbor: Harbor) -> None:
    first, second = enrolls(harbor), SoftwareAuthenticator()
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.submits(credential=first.get(options(browser)))
    browser.sends("set-up", kind="passkey")
    asked = options(browser)
    assert [one["id"] for one in asked["excludeCredentials"]] == [b64(first.credential_id)]
    browser.submits(credential=second.create(asked))
    assert is_in(browser)
    harbor.clock.advance(30)
    assert is_in(uses(harbor, first))
    assert is_in(uses(harbor, second))
    browser = harbor.visits(harbor.ada)
    allowed = [one["id"] for one in options(browser)["allowCredentials"]]
    assert sorted(allowed) == sorted([b64(first.credential_id), b64(second.credential_id)])


def test_several_passkeys_are_one_row_of_the_choice(harbor: Harbor) -> None:
    test_a_second_passkey_is_added_after_the_first_was_used(harbor)
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.address("choose"))
    assert browser.page.text.count("Your fingerprint, face, screen lock or security key") == 1


def test_options_name_the_gateway_of_the_settings_whatever_the_request_says(
    harbor: Harbor,
) -> None:
    browser = at_creation(harbor)
    asked = options(browser)
    assert asked["rp"] == {"name": "Harbor", "id": "localhost"}
    assert asked["attestation"] == "none"
    assert asked["authenticatorSelection"]["userVerification"] == "preferred"
    assert uuid.UUID(bytes=unb64(asked["user"]["id"])) == uuid.UUID(harbor.ada)
    assert len(unb64(asked["challenge"])) == 32


# Challenges (F59)


def test_a_challenge_works_once_even_if_the_answer_was_refused(harbor: Harbor) -> None:
    device = enrolls(harbor)
    browser = harbor.visits(harbor.ada)
    asked = options(browser)
    spoilt = dataclasses.replace(
        device, twist_signature=lambda data: data[:-1] + bytes([data[-1] ^ 1])
    )
    spoilt.key = device.key
    browser.submits(credential=spoilt.get(asked))
    assert browser.reply.status == 422
    assert "That passkey was not accepted." in browser.page.text
    browser.submits(credential=device.get(asked))
    assert browser.reply.status == 422
    assert "That answer was already used." in browser.page.text
    browser.submits(credential=device.get(options(browser)))
    assert is_in(browser)


def test_an_answer_does_not_work_twice_in_another_visit(harbor: Harbor) -> None:
    device = enrolls(harbor)
    browser = harbor.visits(harbor.ada)
    answer = device.get(options(browser))
    browser.submits(credential=answer)
    assert is_in(browser)
    other = harbor.visits(harbor.ada)
    other.submits(credential=answer)
    assert other.reply.status == 422


def test_a_double_tap_is_answered_like_the_first(harbor: Harbor) -> None:
    device = enrolls(harbor)
    browser = harbor.visits(harbor.ada)
    answer, path = device.get(options(browser)), browser.path
    data = {"csrf_token": browser.form_token, "credential": answer}
    browser.goes_to(path, "POST", data=data)
    assert is_in(browser)
    browser.goes_to(path, "POST", data=data)
    assert is_in(browser)


@pytest.mark.both_databases
def test_of_many_who_send_one_answer_at_once_one_is_let_in(harbor: Harbor) -> None:
    device = enrolls(harbor)
    visits = [harbor.visits(harbor.ada) for _ in range(1)]
    browser = visits[0]
    answer = device.get(options(browser))
    data = {"csrf_token": browser.form_token, "credential": answer}

    def sends(_: int) -> int:
        own = dataclasses.replace(browser, cookies=dict(browser.cookies))
        return own.goes_to(browser.path, "POST", data=data).status

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sends, range(8)))
    accepted = sa.select(sa.func.count()).where(
        Verification.purpose == "verification", Verification.accepted
    )
    assert harbor.rows(accepted)[0][0] == 1


def test_a_challenge_expires(harbor: Harbor) -> None:
    device = enrolls(harbor)
    browser = harbor.visits(harbor.ada)
    asked = options(browser)
    harbor.clock.advance(301)
    browser.submits(credential=device.get(asked))
    assert "That took too long." in browser.page.text


def test_a_challenge_works_in_its_own_visit_alone(harbor: Harbor) -> None:
    device = enrolls(harbor)
    asked = options(harbor.visits(harbor.ada))
    browser = harbor.visits(harbor.ada)
    browser.submits(credential=device.get(asked))
    assert browser.reply.status == 422
    assert not is_in(browser)


def test_a_challenge_to_use_a_passkey_makes_none(harbor: Harbor) -> None:
    first = enrolls(harbor)
    browser = harbor.visits(harbor.ada, intent="enroll")
    asked = options(browser)
    browser.submits(credential=first.get(options(browser)))
    browser.sends("set-up", kind="passkey")
    made = options(browser) | {"challenge": asked["challenge"]}
    browser.submits(credential=SoftwareAuthenticator().create(made))
    assert browser.reply.status == 422
    assert statuses(harbor) == ["active", "pending"]


@pytest.mark.parametrize("challenge", ["", b64(b"12345678"), b64(b"x" * 32)])
def test_a_challenge_that_was_never_sent_is_refused(harbor: Harbor, challenge: str) -> None:
    device = enrolls(harbor)
    browser = harbor.visits(harbor.ada)
    asked = options(browser) | {"challenge": challenge}
    browser.submits(credential=device.get(asked))
    assert browser.reply.status == 422


# What the browser and the device say (F60, F62)

LIES: dict[str, dict[str, Any]] = {
    "the type of the other ceremony": {"client": {"type": "webauthn.create"}},
    "no type": {"client": {"type": None}},
    "another scheme": {"origin": "https://localhost"},
    "another port": {"origin": "http://localhost:8443"},
    "a sub-domain": {"origin": "http://a.localhost"},
    "a look-alike": {"origin": "http://localhost.evil.example"},
    "a trailing dot": {"origin": "http://localhost."},
    "a null origin": {"origin": "null"},
    "upper case": {"origin": "HTTP://LOCALHOST"},
    "no origin": {"client": {"origin": None}},
    "another relying party": {"rp_id": "evil.example"},
    "a parent": {"rp_id": "host"},
    "a frame": {"client": {"crossOrigin": True}},
    "a frame of somebody": {"client": {"topOrigin": "https://evil.example"}},
    "nobody there": {"flags": UV},
    "a copy of what has none": {"flags": UP | UV | BS},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_an_answer_with_a_lie_is_refused(harbor: Harbor, lie: dict[str, Any]) -> None:
    device = enrolls(harbor)
    liar = dataclasses.replace(device, **lie)
    liar.key = device.key
    browser = uses(harbor, liar)
    assert browser.reply.status == 422, browser.reply.location
    assert "That passkey was not accepted." in browser.page.text
    assert is_in(uses(harbor, device))


@pytest.mark.parametrize(
    "lie",
    [
        {**one, "client": {"type": "webauthn.get"}} if n == 0 else one
        for n, one in enumerate(LIES.values())
    ],
    ids=LIES,
)
def test_a_new_passkey_with_a_lie_is_refused(harbor: Harbor, lie: dict[str, Any]) -> None:
    browser = at_creation(harbor)
    creates(browser, SoftwareAuthenticator(**lie))
    assert browser.reply.status == 422, browser.reply.location
    assert statuses(harbor) == ["pending"]


def test_a_passkey_that_can_be_copied_all_at_once_is_refused(harbor: Harbor) -> None:
    device = enrolls(harbor)
    changed = dataclasses.replace(device, flags=UP | UV | BE | BS)
    changed.key = device.key
    assert uses(harbor, changed).reply.status == 422


def test_of_a_synced_passkey_is_kept_whether_a_copy_exists(harbor: Harbor) -> None:
    device = enrolls(harbor, SoftwareAuthenticator(flags=UP | UV | BE, counts=False))
    device.flags |= BS
    found = claims(harbor, uses(harbor, device))
    assert (found["acr"], found["amr"]) == ("phr", ["swk", "user", "mfa"])
    [row] = harbor.rows(sa.select(Authenticator.parameters))
    assert row.parameters["backup_eligible"] is True
    assert row.parameters["backed_up"] is True


def test_a_touch_alone_is_enough_until_more_is_demanded(harbor: Harbor) -> None:
    device = enrolls(harbor, SoftwareAuthenticator(flags=UP))
    assert is_in(uses(harbor, device))
    found = claims(harbor, uses(harbor, device))
    assert (found["acr"], found["amr"]) == ("phr", ["pop", "user"])
    demand(harbor, user_verification="required")
    browser = harbor.visits(harbor.ada)
    assert options(browser)["userVerification"] == "required"
    browser = uses(harbor, device)
    assert browser.reply.status == 422
    device.flags |= UV
    assert is_in(uses(harbor, device))


# Signatures and forms (F61)

BAD: dict[str, dict[str, Any]] = {
    "an algorithm that was not offered": {"algorithm": -35},
    "RS1": {"algorithm": -65535},
    "a key of another type": {"twist_key": lambda key: {**key, 1: 3}},
    "no key": {"twist_key": lambda key: {}},
    "EdDSA on another curve": {
        "algorithm": -8,
        "twist_key": lambda key: {**key, -1: 7},
    },
    "a point beside the curve": {"twist_key": lambda key: {**key, -2: b"\x01" * 32}},
    "bytes after it": {"twist_object": lambda data: data + b"\x00"},
    "half of it": {"twist_object": lambda data: data[: len(data) // 2]},
    "no CBOR": {"twist_object": lambda data: b"\xff\xff"},
    "a key twice": {"twist_object": lambda data: b"\xa4" + data[1:] + b"\x63fmt\x64none"},
    "a length that is none": {"twist_object": lambda data: b"\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00"},
    "a statement with none": {"twist_statement": lambda statement: {"sig": b"x"}},
    "an unknown form": {"fmt": "homemade"},
    "an id too long": {"credential_id": b"x" * 1024},
    "no id": {"credential_id": b""},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_malformed_new_passkey_is_refused(harbor: Harbor, bad: dict[str, Any]) -> None:
    browser = at_creation(harbor)
    creates(browser, SoftwareAuthenticator(**bad))
    assert browser.reply.status == 422, browser.reply.location
    assert statuses(harbor) == ["pending"]


def test_an_id_may_be_as_long_as_the_standard_allows(harbor: Harbor) -> None:
    device = enrolls(harbor, SoftwareAuthenticator(credential_id=b"x" * 1023))
    assert is_in(uses(harbor, device))


def test_a_signature_by_another_key_is_refused(harbor: Harbor) -> None:
    device = enrolls(harbor)
    forger = dataclasses.replace(device)
    assert forger.key is not device.key
    assert uses(harbor, forger).reply.status == 422


ODD: tuple[str, ...] = (
    "",
    "{}",
    "[]",
    "null",
    "passkey",
    '{"id": 1}',
    '{"id": "a", "rawId": "a", "response": {"clientDataJSON": "!!"}}',
    '{"id": "\\ud800", "rawId": "a", "response": {"clientDataJSON": "e30"}}',
    "[" * 10_000,
    "x" * 40_000,
)


@pytest.mark.parametrize("odd", ODD, ids=[str(number) for number in range(len(ODD))])
def test_what_is_no_answer_is_a_clear_error_and_costs_no_try(harbor: Harbor, odd: str) -> None:
    device = enrolls(harbor)
    browser = harbor.visits(harbor.ada)
    browser.submits(credential=odd)
    assert browser.reply.status == 422
    assert "Your browser sent no passkey." in browser.page.text
    assert statuses(harbor) == ["active"]
    assert harbor.rows(sa.select(Authenticator.failures))[0].failures == 0
    browser.submits(credential=device.get(options(browser)))
    assert is_in(browser)


def test_parts_of_an_answer_that_are_odd_are_refused(harbor: Harbor) -> None:
    device = enrolls(harbor)
    for part in ("authenticatorData", "signature", "userHandle"):
        odds: tuple[Any, ...] = ("", "!!", 1, [], None, b64(b"x"))
        for odd in odds:
            browser = harbor.visits(harbor.ada)
            answer = json.loads(device.get(options(browser)))
            answer["response"][part] = odd
            browser.submits(credential=json.dumps(answer))
            if part == "userHandle" and odd is None:
                assert is_in(browser)
            else:
                assert browser.reply.status == 422, (part, odd)
            with harbor.services.database.writing() as tx:
                tx.execute(sa.update(Authenticator).values(failures=0, retry_at=None))


# Whose passkey it is (F64)


def test_nobody_registers_a_passkey_that_somebody_has(harbor: Harbor) -> None:
    device = enrolls(harbor)
    ben = harbor.person("ben@harbor.example")
    browser = harbor.visits(ben)
    browser.sends("set-up", kind="passkey")
    thief = SoftwareAuthenticator(credential_id=device.credential_id)
    creates(browser, thief)
    assert browser.reply.status == 422
    assert "That passkey is in use already." in browser.page.text
    assert is_in(uses(harbor, device))


def test_not_even_somebody_of_another_organization(harbor: Harbor) -> None:
    device = enrolls(harbor)
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=harbor.organization.environment, name="Pier"
        )
        cy = harbor.services.directory.create(tx, OPERATOR, pier, email="cy@pier.example")
        notes, user = dataclasses.replace(harbor.notes, organization=pier.domain), str(cy.id)
    browser = harbor.browser()
    browser.goes_to(notes.opens(user)["url"])
    browser.sends("set-up", kind="passkey")
    creates(browser, SoftwareAuthenticator(credential_id=device.credential_id))
    assert "That passkey is in use already." in browser.page.text
    creates(browser, SoftwareAuthenticator())
    browser.saves_codes()
    assert is_in(browser)
    again = harbor.browser()
    again.goes_to(notes.opens(user)["url"])
    again.submits(credential=device.get(options(again)))
    assert again.reply.status == 422


def test_a_passkey_of_somebody_else_is_refused(harbor: Harbor) -> None:
    enrolls(harbor)
    ben, device = harbor.person("ben@harbor.example"), SoftwareAuthenticator()
    browser = harbor.visits(ben)
    browser.sends("set-up", kind="passkey")
    creates(browser, device)
    browser.saves_codes()
    browser = uses(harbor, device)
    assert browser.reply.status == 422


def test_an_answer_that_names_another_user_is_refused(harbor: Harbor) -> None:
    device = enrolls(harbor)
    device.user_handle = uuid.uuid4().bytes
    assert uses(harbor, device).reply.status == 422
    device.user_handle = device.handle
    assert is_in(uses(harbor, device))


def test_a_removed_passkey_lets_nobody_in(harbor: Harbor) -> None:
    device = enrolls(harbor)
    browser = harbor.visits(harbor.ada)
    answer = device.get(options(browser))
    with harbor.services.database.writing() as tx:
        tx.execute(sa.update(Authenticator).values(status=AuthenticatorStatus.REMOVED))
    browser.submits(credential=answer)
    assert not is_in(browser)


def test_once_passkeys_are_off_none_is_asked_or_judged(harbor: Harbor) -> None:
    device = enrolls(harbor)
    browser = harbor.visits(harbor.ada)
    answer = device.get(options(browser))
    demand(harbor, active=False)
    browser.submits(credential=answer)
    assert not is_in(browser)
    reply = browser.sends("passkey")
    assert reply.status != 200 or "challenge" not in reply.text


# Copies


def test_a_passkey_that_counts_back_is_recorded_and_by_rule_refused(harbor: Harbor) -> None:
    device = enrolls(harbor, SoftwareAuthenticator(sign_count=7))
    device.sign_count = 3
    assert is_in(uses(harbor, device))
    [event] = harbor.rows(sa.select(Event).where(Event.kind == "passkey:counted_back"))
    assert event.Event.detail["refused"] is False
    demand(harbor, refuse_copies=True)
    browser = uses(harbor, device)
    assert browser.reply.status == 422
    assert "There may be a copy of that passkey" in browser.page.text
    device.sign_count = 20
    assert is_in(uses(harbor, device))


def test_one_that_does_not_count_is_fine(harbor: Harbor) -> None:
    demand(harbor, refuse_copies=True)
    device = enrolls(harbor, SoftwareAuthenticator(counts=False))
    assert is_in(uses(harbor, device))
    assert is_in(uses(harbor, device))


# Attestation


def test_an_organization_takes_only_models_whose_maker_vouches_for_them(harbor: Harbor) -> None:
    maker, other = Maker(), Maker()
    model = str(uuid.UUID(bytes=SoftwareAuthenticator().aaguid))
    demand(harbor, attestation="direct", models=(model,), roots=maker.pem)
    browser = at_creation(harbor)
    assert options(browser)["attestation"] == "direct"
    refused = {
        "none": SoftwareAuthenticator(),
        "another maker": SoftwareAuthenticator(maker=other),
        "its own word": SoftwareAuthenticator(maker=maker, twist_statement=_without_chain),
        "another model": SoftwareAuthenticator(
            maker=Maker(b"\x02" * 16, root=maker), aaguid=b"\x02" * 16
        ),
        "a model that its maker doesn't say": SoftwareAuthenticator(
            maker=Maker(b"\x02" * 16, root=maker)
        ),
        "a spoilt signature": SoftwareAuthenticator(maker=maker, twist_statement=_spoilt),
    }
    for name, device in refused.items():
        creates(browser, device)
        assert browser.reply.status == 422, name
        assert set(statuses(harbor)) == {"pending"}
        browser = at_creation(harbor)
    device = SoftwareAuthenticator(maker=maker)
    creates(browser, device)
    browser.saves_codes()
    assert is_in(browser)
    harbor.clock.advance(30)
    found = claims(harbor, uses(harbor, device, acr_values=["phrh"]))
    assert (found["acr"], found["amr"]) == ("phrh", ["hwk", "user", "mfa"])


def _without_chain(statement: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in statement.items() if name != "x5c"}


def _spoilt(statement: dict[str, Any]) -> dict[str, Any]:
    return {**statement, "sig": statement["sig"][:-1] + bytes([statement["sig"][-1] ^ 1])}


# Recovery


def enrolls_both(harbor: Harbor) -> tuple[SoftwareAuthenticator, list[str]]:
    """Give Ada a passkey, recovery codes, and then the app."""
    device = SoftwareAuthenticator()
    browser = at_creation(harbor)
    creates(browser, device)
    codes = browser.saves_codes()
    harbor.clock.advance(30)
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.submits(credential=device.get(options(browser)))
    browser.sends("set-up", kind="totp")
    phone = browser.scans()
    browser.types(harbor.code(phone))
    assert is_in(browser)
    harbor.clock.advance(30)
    return device, [keep_secret(code) for code in codes]


def test_a_locked_app_leaves_the_passkey_and_the_recovery_codes(harbor: Harbor) -> None:
    """F13: who guesses codes of the app locks it, for so long and no longer, and nothing else."""
    device, codes = enrolls_both(harbor)
    totp = sa.select(Authenticator).where(Authenticator.kind == "totp")
    [[app]] = harbor.rows(totp)
    browser = harbor.visits(harbor.ada)
    for number in range(6):
        browser = harbor.visits(harbor.ada) if number == 4 else browser
        browser.sends(f"verify/{app.id}", code=f"00000{number}")
    [[locked]] = harbor.rows(totp)
    assert locked.failures == 5
    for _ in range(20):
        harbor.clock.advance(1)
        harbor.visits(harbor.ada).sends(f"verify/{app.id}", code="000000")
    [[still]] = harbor.rows(totp)
    assert (still.failures, still.retry_at) == (5, locked.retry_at)
    assert is_in(uses(harbor, device))
    recovers(harbor, codes[0])
    assert statuses(harbor, "totp") == ["suspended"]


def recovers(harbor: Harbor, code: str) -> Browser:
    browser = harbor.visits(harbor.ada)
    browser.goes_to(browser.address("recover"))
    browser.types(code)
    assert browser.path.endswith("/losses"), browser.path
    return browser


def test_after_a_recovery_code_passkeys_stay_unless_they_are_lost(harbor: Harbor) -> None:
    device, codes = enrolls_both(harbor)
    browser = recovers(harbor, codes[0])
    assert "YubiKey 5" in browser.page.text
    assert statuses(harbor, "totp") == ["suspended"]
    browser.submits()
    assert browser.path.endswith("/set-up")
    assert statuses(harbor) == ["active"]
    assert not is_in(browser)
    browser.sends("set-up", kind="totp")
    phone = browser.scans()
    browser.types(harbor.code(phone))
    assert is_in(browser)
    assert statuses(harbor, "totp") == ["active", "removed"]
    harbor.clock.advance(30)
    assert is_in(uses(harbor, device))


def test_a_passkey_that_is_lost_stops_working_at_once(harbor: Harbor) -> None:
    device, codes = enrolls_both(harbor)
    waiting = harbor.visits(harbor.ada)
    answer = device.get(options(waiting))
    browser = recovers(harbor, codes[0])
    [one] = harbor.rows(sa.select(Authenticator.id).where(Authenticator.kind == "passkey"))
    browser.submits(lost=str(one.id))
    assert statuses(harbor) == ["suspended"]
    waiting.submits(credential=answer)
    assert not is_in(waiting)
    browser.sends("set-up", kind="totp")
    browser.types(harbor.code(browser.scans()))
    assert is_in(browser)
    assert statuses(harbor) == ["removed"]


def test_the_result_waits_for_a_new_authenticator_even_if_a_passkey_is_left(
    harbor: Harbor,
) -> None:
    device, codes = enrolls_both(harbor)
    browser = recovers(harbor, codes[0])
    browser.submits()
    for page in ("verify", "choose", "recovery-codes", "enroll"):
        browser.goes_to(browser.address(page))
        assert browser.path.endswith("/set-up"), page
    browser.sends("verify", credential=device.get({"challenge": "eA", "rpId": "localhost"}))
    assert not is_in(browser)


def test_an_id_that_is_not_of_a_passkey_of_the_user_is_passed_over(harbor: Harbor) -> None:
    _, codes = enrolls_both(harbor)
    browser = recovers(harbor, codes[0])
    browser.submits(lost=[str(uuid.uuid4()), "x"])
    assert browser.path.endswith("/set-up")
    assert statuses(harbor) == ["active"]


def test_who_has_a_passkey_alone_gets_in_by_a_recovery_code(harbor: Harbor) -> None:
    browser = at_creation(harbor)
    creates(browser, SoftwareAuthenticator())
    codes = browser.saves_codes()
    harbor.clock.advance(30)
    browser = recovers(harbor, codes[0])
    browser.submits()
    browser.sends("set-up", kind="passkey")
    creates(browser, SoftwareAuthenticator())
    assert is_in(browser)
    assert statuses(harbor) == ["active", "active"]
