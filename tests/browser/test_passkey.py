"""Passkeys in a real browser, by Chromium's virtual authenticator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import CDPSession, Page, expect

from app.services.audit import OPERATOR
from tests.actors import keep_secret
from tests.browser.conftest import Stage

pytestmark = pytest.mark.browser
GUIDE = Path(__file__).parents[2] / "docs/headless.md"


@pytest.fixture(autouse=True)
def passkeys(stage: Stage) -> Iterator[None]:
    demand(stage, active=True)
    yield


def demand(stage: Stage, **rules: Any) -> None:
    services = stage.harbor.services
    with services.database.writing() as tx:
        services.passkey_rules.change(tx, OPERATOR, tx.merge(stage.harbor.organization), **rules)


class Device:
    """A virtual authenticator of one page's browser."""

    def __init__(self, page: Page, **options: Any) -> None:
        self.cdp: CDPSession = page.context.new_cdp_session(page)
        self.cdp.send("WebAuthn.enable", {"enableUI": False})
        usual = {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        made = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {**usual, **options}})
        self.id = made["authenticatorId"]

    def does(self, command: str, **more: Any) -> Any:
        return self.cdp.send(f"WebAuthn.{command}", {"authenticatorId": self.id, **more})

    @property
    def credentials(self) -> list[dict[str, Any]]:
        return list(self.does("getCredentials")["credentials"])

    def refuses(self) -> None:
        """Let the user be somebody else, so that every prompt fails."""
        self.does("setUserVerified", isUserVerified=False)


def enroll(stage: Stage, page: Page) -> None:
    """Walk a first visit to its end."""
    stage.arrives(page)
    page.get_by_role("button", name="Set up a passkey").click()
    page.get_by_role("button", name="Create passkey").click()
    page.get_by_role("button", name="I have saved them").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    stage.clock.advance(30)


def result(stage: Stage) -> dict[str, Any]:
    return stage.harbor.notes.checks(stage.received[-1]["result"])


def test_a_passkey_is_made_and_used_with_one_click(stage: Stage) -> None:
    page = stage.opens_browser()
    device = Device(page)
    enroll(stage, page)
    assert len(device.credentials) == 1
    assert device.credentials[0]["rpId"] == "localhost"
    assert result(stage)["status"] == "enrolled"
    stage.arrives(page)
    expect(page.get_by_role("button", name="Continue with passkey")).to_be_focused()
    page.get_by_role("button", name="Continue with passkey").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    found = result(stage)
    assert (found["status"], found["acr"], found["mfa_method"]) == ("verified", "phr", "passkey")
    assert found["amr"] == ["pop", "user", "mfa"]


def test_a_roaming_key_without_a_pin_is_one_factor(stage: Stage) -> None:
    page = stage.opens_browser()
    Device(
        page,
        transport="usb",
        hasResidentKey=False,
        hasUserVerification=False,
        isUserVerified=False,
    )
    enroll(stage, page)
    stage.arrives(page)
    page.get_by_role("button", name="Continue with passkey").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    assert result(stage)["amr"] == ["pop", "user"]


def test_by_keyboard_alone(stage: Stage) -> None:
    page = stage.opens_browser()
    Device(page)
    enroll(stage, page)
    stage.arrives(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()


def test_a_prompt_that_is_closed_leaves_the_ways_out(stage: Stage) -> None:
    page = stage.opens_browser()
    device = Device(page)
    enroll(stage, page)
    device.refuses()
    demand(stage, user_verification="required")
    stage.arrives(page)
    page.get_by_role("button", name="Continue with passkey").click()
    expect(page.get_by_text("Nothing was confirmed")).to_be_visible()
    expect(page.get_by_role("button", name="Continue with passkey")).to_be_enabled()
    expect(page.get_by_role("link", name="Use a recovery code")).to_be_visible()
    device.does("setUserVerified", isUserVerified=True)
    page.get_by_role("button", name="Continue with passkey").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()


def test_a_device_that_has_one_says_so(stage: Stage) -> None:
    page = stage.opens_browser()
    Device(page)
    enroll(stage, page)
    stage.arrives(page, intent="enroll")
    page.get_by_role("button", name="Continue with passkey").click()
    page.get_by_role("button", name="Set up a passkey").click()
    page.get_by_role("button", name="Create passkey").click()
    expect(page.get_by_text("This device has a passkey for you already")).to_be_visible()
    expect(page.get_by_role("link", name="Choose another method")).to_be_visible()


def test_two_keys_both_work(stage: Stage) -> None:
    page = stage.opens_browser()
    first = Device(page)
    enroll(stage, page)
    kept = first.credentials
    stage.arrives(page, intent="enroll")
    page.get_by_role("button", name="Continue with passkey").click()
    page.get_by_role("button", name="Set up a passkey").click()
    first.does("removeVirtualAuthenticator")
    second = Device(page, transport="usb")
    page.get_by_role("button", name="Create passkey").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    stage.clock.advance(30)
    stage.arrives(page)
    page.get_by_role("button", name="Continue with passkey").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    second.does("removeVirtualAuthenticator")
    third = Device(page)
    third.does("addCredential", credential=kept[0])
    stage.arrives(page)
    page.get_by_role("button", name="Continue with passkey").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    assert len(stage.received) == 4


def test_a_copy_that_counts_back_is_refused_where_that_is_the_rule(stage: Stage) -> None:
    page = stage.opens_browser()
    device = Device(page)
    enroll(stage, page)
    old = device.credentials[0]
    for _ in range(2):
        stage.arrives(page)
        page.get_by_role("button", name="Continue with passkey").click()
        expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    demand(stage, refuse_copies=True)
    device.does("removeVirtualAuthenticator")
    Device(page).does("addCredential", credential=old)
    stage.arrives(page)
    page.get_by_role("button", name="Continue with passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("There may be a copy of that passkey")


def test_a_look_alike_origin_gets_nothing(stage: Stage) -> None:
    page = stage.opens_browser()
    Device(page)
    enroll(stage, page)
    page.goto(stage.harbor.notes.redirect_uri)  # on 127.0.0.1, another origin
    refused = page.evaluate(
        """() => navigator.credentials.get({publicKey: {
            challenge: new Uint8Array(32), rpId: "localhost", timeout: 2000,
        }}).then(() => "signed", (error) => error.name)"""
    )
    assert refused == "SecurityError"


def test_without_script_the_page_offers_the_rest(stage: Stage) -> None:
    page = stage.opens_browser(java_script_enabled=False)
    stage.arrives(page)
    page.get_by_role("button", name="Set up a passkey").click()
    expect(page.get_by_text("Passkeys need JavaScript")).to_be_visible()
    expect(page.get_by_role("button", name="Create passkey")).to_be_hidden()
    page.get_by_role("link", name="Choose another method").click()
    expect(page.get_by_role("button", name="Authenticator app")).to_be_visible()


def test_the_documented_script_registers_and_verifies_by_rest(stage: Stage) -> None:
    script = GUIDE.read_text(encoding="utf-8").partition("```js")[2].partition("```")[0]
    page, harbor = stage.opens_browser(), stage.harbor
    Device(page)

    def calls(method: str, path: str, credential: Any = None) -> Any:
        body = {"credential": credential} if credential else {}
        reply = harbor.backend.calls(method, f"/org/harbor/{path}/{harbor.ada}", json=body)
        assert reply.status in (200, 201), reply.text
        for code in (reply.json.get("recovery_codes") or "").split():
            keep_secret(code)
        return reply.json

    page.goto(f"{harbor.base_url}/api/v2/reference")
    begun = calls("POST", "passkey-registration")
    made = page.evaluate(f"(options) => {{ {script} return register(options); }}", begun["options"])
    assert calls("PUT", "passkey-registration/validation", made)["success"] is True
    asked = calls("POST", "passkey-authentication")
    call = f"(options) => {{ {script} return authenticate(options); }}"
    signed = page.evaluate(call, asked["options"])
    assert calls("POST", "passkey-authentication/validation", signed)["success"] is True


class Eye:
    """Looks at each page with axe, and that none is too wide."""

    def __init__(self, page: Page, width: int) -> None:
        self.page, self.width = page, width
        page.set_viewport_size({"width": width, "height": 900})

    def looks(self, heading: str) -> None:
        expect(self.page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        found = Axe().run(self.page).response["violations"]
        assert found == [], (heading, [one["id"] for one in found])
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= self.width, heading


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_axe_finds_nothing(stage: Stage, width: int, scheme: str) -> None:
    page = stage.opens_browser(color_scheme=scheme)
    eye, device = Eye(page, width), Device(page)
    stage.arrives(page)
    eye.looks("Set up a second step")
    page.get_by_role("button", name="Set up a passkey").click()
    eye.looks("Create your passkey")
    page.get_by_role("button", name="Create passkey").click()
    code = page.get_by_label("Your recovery codes").input_value().split()[0]
    page.get_by_role("button", name="I have saved them").click()
    stage.clock.advance(30)
    stage.arrives(page)
    eye.looks("Use your passkey")
    device.refuses()
    demand(stage, user_verification="required")
    page.get_by_role("button", name="Continue with passkey").click()
    expect(page.get_by_text("Nothing was confirmed")).to_be_visible()
    eye.looks("Use your passkey")
    page.get_by_role("link", name="Use a recovery code").click()
    page.get_by_label("Recovery code").fill(code)
    page.get_by_role("button", name="Use this code").click()
    eye.looks("Did you lose a passkey, too?")


def test_the_field_for_a_code_offers_the_passkey_where_the_browser_can(stage: Stage) -> None:
    page = stage.opens_browser()
    device = Device(page)
    enroll(stage, page)
    device.does("setAutomaticPresenceSimulation", enabled=False)  # nobody has picked it yet
    phone = stage.harbor.enrolls()
    stage.arrives(page)
    with page.expect_response(lambda answer: answer.url.endswith("/passkey")) as asked:
        page.goto(page.url.replace("/verify", "/choose"))
        page.get_by_role("link", name="Authenticator app").click()
    assert asked.value.status == 200
    field = page.get_by_label("Six-digit code")
    expect(field).to_have_attribute("autocomplete", "one-time-code webauthn")
    field.fill(stage.code(phone))
    page.get_by_role("button", name="Confirm code").click()
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()


PICKED_LATER = """
const get = navigator.credentials.get.bind(navigator.credentials);
const picked = new Promise((pick) => { window.pick = pick; });
navigator.credentials.get = async ({ mediation, ...asked }) => {
  if (mediation === "conditional") await picked;
  return get(asked);
};
"""
"""No test can pick what Chromium offers in a field; so the pick is waited for, and then asked for
as by a button. What is signed is the device's own."""


@pytest.mark.parametrize("ticked", [True, False])
def test_the_box_beside_the_field_counts_for_the_passkey_that_the_field_offers(
    stage: Stage, ticked: bool
) -> None:
    page = stage.opens_browser()
    Device(page)
    enroll(stage, page)
    stage.harbor.enrolls()
    services = stage.harbor.services
    with services.database.writing() as tx:
        services.trust_rules.change(tx, OPERATOR, tx.merge(stage.harbor.organization), 30)
    page.add_init_script(PICKED_LATER)
    stage.arrives(page)
    page.goto(page.url.replace("/verify", "/choose"))
    page.get_by_role("link", name="Authenticator app").click()
    page.get_by_label("Trust this browser for 30 days").set_checked(ticked)
    page.evaluate("pick()")
    expect(page.get_by_role("heading", name="Back at the notes")).to_be_visible()
    assert result(stage)["mfa_method"] == "passkey"
    stage.clock.advance(30)
    stage.arrives(page)
    spared = page.get_by_role("heading", name="Back at the notes")
    expect(spared).to_have_count(1 if ticked else 0)
    assert result(stage)["status"] == ("trusted" if ticked else "verified")
