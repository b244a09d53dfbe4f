"""Methods in the admin area: settings, presets, what standards say, and the switch."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from app.models import Event, MethodSetting, Role
from app.services.method_advice import PRESETS, accepted_seconds, advice
from app.services.totp_settings import TotpSettings, settings_of
from tests.actors import Administrator
from tests.conftest import ONE_DATABASE, Harbor

CHECK = "/methods/check?"
AS_IT_IS = {
    "app": "y",
    "issuer": "",
    "digits": "6",
    "period": "30",
    "algorithm": "SHA1",
    "window": "1",
    "recovery_codes": "5",
    "recovery_code_length": "16",
    "sms_delivery": "application",
}


def asks(nadia: Administrator, **changes: str) -> Administrator:
    """Open the page that asks whether a change shall be made."""
    typed = {name: value for name, value in {**AS_IT_IS, **changes}.items() if value != "-"}
    nadia.at(CHECK + urlencode(typed))
    return nadia


def sets(nadia: Administrator, **changes: str) -> Administrator:
    asks(nadia, **changes)
    assert "Change how codes work?" in nadia.text, nadia.text
    return confirms(nadia, {**AS_IT_IS, **changes})


def confirms(nadia: Administrator, query: dict[str, str]) -> Administrator:
    kept = {name: value for name, value in query.items() if value != "-"}
    nadia.does(CHECK + urlencode(kept))
    return nadia


def of_harbor(harbor: Harbor) -> TotpSettings:
    return settings_of(setting(harbor))


def setting(harbor: Harbor) -> MethodSetting:
    [(found,)] = harbor.rows(
        sa.select(MethodSetting).where(
            MethodSetting.kind == "totp", MethodSetting.organization_id == harbor.organization.id
        )
    )
    return found


def is_on(harbor: Harbor) -> bool:
    return setting(harbor).active


# Settings


def test_settings_change_after_they_were_confirmed(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    asks(nadia, digits="8", period="60", algorithm="SHA256", issuer="Harbor Club")
    assert "Authenticators that are there keep what they were made with." in nadia.text
    assert of_harbor(harbor) == TotpSettings()
    sets(nadia, digits="8", period="60", algorithm="SHA256", issuer="Harbor Club")
    assert "Saved. It holds from now on." in nadia.text
    assert of_harbor(harbor) == TotpSettings(
        digits=8, period=60, algorithm="SHA256", issuer="Harbor Club"
    )
    browser = harbor.visits(harbor.ada)  # what is there works as before
    browser.types(harbor.code(phone))
    assert "result" in browser.back
    new = harbor.visits(harbor.person("bo@harbor.example")).sets_up()
    assert (new.digits, new.period, new.algorithm) == (8, 60, "sha256")
    assert new.settings["issuer"] == "Harbor Club"
    changed = sa.select(Event.actor).where(Event.kind == "method_setting:changed")
    *_, (actor,) = harbor.rows(changed.order_by(Event.id))
    assert actor.startswith("administrator:")


def test_the_number_and_length_of_recovery_codes(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    sets(nadia, recovery_codes="8", recovery_code_length="23")
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    codes = browser.saves_codes()
    assert len(codes) == 8
    assert {len(code.replace("-", "")) for code in codes} == {23}


def test_how_many_codes_are_accepted_holds_for_every_authenticator(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    nadia = harbor.administrator()
    asks(nadia, window="0", strict="y")
    assert "changes for every authenticator at once" in nadia.text
    sets(nadia, window="0", strict="y")
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(phone, -1))
    assert browser.reply.status == 422


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("digits", "5", "Use a number from 6 to 8"),
        ("digits", "x", "Use a number from 6 to 8"),
        ("period", "14", "Use a number from 15 to 120"),
        ("period", "", "Use a number from 15 to 120"),
        ("window", "6", "Use a number from 0 to 5"),
        ("algorithm", "MD5", "Use one of SHA1, SHA256, SHA512"),
        ("recovery_codes", "0", "Use a number from 1 to 20"),
        ("recovery_code_length", "15", "Use a number from 16 to 32"),
        ("issuer", "a:b", "printable characters without a colon"),
        ("issuer", "x" * 101, "1 to 100"),
        ("app", "-", "Use app, sms, or both"),
        ("sms_delivery", "pigeon", "Use one of"),
    ],
)
@ONE_DATABASE
def test_what_can_not_be_is_said_at_its_field(
    harbor: Harbor, field: str, value: str, says: str
) -> None:
    nadia = harbor.administrator()
    asks(nadia, **{"recovery_codes": "7", field: value})
    assert nadia.status == 422
    assert says in nadia.text
    assert nadia.page.title.startswith("Error: ")
    fields = next(one["fields"] for one in nadia.page.forms if "issuer" in one["fields"])
    if field != "recovery_codes":
        assert fields["recovery_codes"] == "7"  # what was typed is kept
    assert confirms(nadia, {**AS_IT_IS, field: value}).status == 422
    assert of_harbor(harbor) == TotpSettings()


@ONE_DATABASE
def test_everything_that_can_not_be_is_said_at_once(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    asks(nadia, period="7", recovery_codes="many", recovery_code_length="99")
    assert nadia.status == 422
    for says in ("from 15 to 120", "from 1 to 20", "from 16 to 32"):
        assert f"Use a number {says}" in nadia.text


@ONE_DATABASE
def test_the_same_settings_again_change_nothing(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    assert "Nothing was changed" in asks(nadia).text


def test_taking_a_method_away_says_whom_it_concerns(harbor: Harbor) -> None:
    harbor.enrolls()
    nadia = harbor.administrator()
    asks(nadia, app="-", sms="y")
    assert "1 user can’t confirm with an authenticator app any more." in nadia.text
    assert "SMS must not be the only method" in nadia.text
    confirms(nadia, {**AS_IT_IS, "app": "-", "sms": "y"})
    assert "No method works on the hosted pages." in nadia.text
    assert harbor.notes.asks(harbor.ada).error == "totp_connection_inactive"


# Presets, and what standards say


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_what_it_shows(harbor: Harbor, name: str) -> None:
    nadia = harbor.administrator()
    sets(nadia, digits="8", issuer="Club")
    nadia.at(CHECK + f"preset={name}")
    assert "Change how codes work?" in nadia.text
    confirms(nadia, {"preset": name})
    preset, now = PRESETS[name].settings, of_harbor(harbor)
    assert now.issuer == "Club"  # no preset knows it
    assert (now.methods, now.digits, now.window) == (preset.methods, preset.digits, preset.window)
    assert (now.strict, now.recovery_code_length) == (preset.strict, preset.recovery_code_length)
    assert "In use" in nadia.text


@ONE_DATABASE
def test_a_preset_that_is_none_is_not_found(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/methods")
    assert nadia.does(CHECK + "preset=loose").status == 404
    assert nadia.at(CHECK + "preset=loose").status == 404


def frowns(**changes: Any) -> str:
    return " ".join(one.source for one in advice(TotpSettings(**changes)) if one.frowns)


def test_standards_frown_at_what_they_name() -> None:
    assert frowns() == ""
    assert "RFC 6238, section 5.2" in frowns(window=2)
    assert "OWASP ASVS 5.0, 6.5.5" in frowns(period=60)
    assert "3.1.3.3" in frowns(methods=("app", "sms"))
    assert "must not be the only" in advice(TotpSettings(methods=("sms",)))[0].says
    assert "Key URI" in frowns(digits=8)
    assert "Key URI" in frowns(algorithm="SHA256")
    assert "4.2.1.1" in frowns(recovery_codes=1)
    told = {one.source for one in advice(TotpSettings())}
    assert told == {
        "OWASP ASVS 5.0, 6.5.5",
        "NIST SP 800-63B-4, 3.1.2.2, and OWASP ASVS 5.0, 6.5.2",
    }
    assert advice(PRESETS["strict"].settings) == []


def test_how_long_a_code_counts() -> None:
    assert accepted_seconds(TotpSettings()) == 90
    assert accepted_seconds(TotpSettings(strict=True)) == 60
    assert accepted_seconds(TotpSettings(window=0)) == 30
    assert accepted_seconds(TotpSettings(window=2, period=60)) == 300


def test_what_standards_say_is_shown_before_and_after(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    assert "RFC 6238, section 5.2" not in nadia.at("/methods").text
    asks(nadia, window="3")
    assert "RFC 6238, section 5.2" in nadia.text
    sets(nadia, window="3")
    assert "RFC 6238, section 5.2" in nadia.text


# The switch


def test_the_connection_is_switched_off_and_on(harbor: Harbor) -> None:
    harbor.enrolls()
    harbor.person("bo@harbor.example")
    nadia = harbor.administrator()
    nadia.at("/methods/switch-off")
    assert "2 users of Harbor can’t get through" in nadia.text
    assert "1 user with a method keep" in nadia.text
    assert is_on(harbor)
    nadia.browser.submits(1)
    assert "Connection off" in nadia.text
    assert not is_on(harbor)
    assert harbor.notes.asks(harbor.ada).error == "totp_connection_inactive"
    nadia.at("/methods/switch-on")
    nadia.browser.submits(1)
    assert "Connection on" in nadia.text
    assert harbor.visits(harbor.ada).path.endswith("/verify")


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.HELPDESK])
def test_a_lower_role_changes_nothing(harbor: Harbor, role: Role) -> None:
    somebody = harbor.administrator(role)
    somebody.at("/methods")
    if role is Role.AUDITOR:
        assert "Connection on" in somebody.text
        assert "Check the change" not in somebody.text
        assert "Switch off" not in somebody.text
    else:
        assert somebody.status == 403
    for path in (CHECK + "preset=strict", "/methods/switch-off", "/methods/switch-on"):
        assert somebody.at(path).status == 403
        assert somebody.does(path).status == 403
    assert is_on(harbor)
    assert of_harbor(harbor) == TotpSettings()


def test_a_change_wants_a_fresh_second_factor(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/methods")
    harbor.clock.advance(29 * 60)
    nadia.at("/methods")  # still in use, so not over
    harbor.clock.advance(29 * 60)
    nadia.does(CHECK + "preset=strict")
    nadia.at("/methods/switch-off")
    assert "Switch the TOTP connection off?" not in nadia.text
    assert of_harbor(harbor) == TotpSettings()
