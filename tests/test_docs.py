"""The documents: their code runs against a real result, and what they name is there."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from app import jose
from app.cli import gatehouse
from app.config import PREFIX, Config
from app.models import KeyUse
from tests.actors import keep_secret
from tests.conftest import ONE_DATABASE, FixedClock, Harbor
from tests.web.api_v2.forgery import listening, parts, put, strangers

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs/integrate.md"
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if "node_modules" not in path.parts
)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.M | re.S)


# The guide's check, run as it stands there


@pytest.fixture
def clock() -> FixedClock:
    """The guide's code has no clock but the machine's."""
    return FixedClock(datetime.now(UTC))  # noqa: TID251


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    """What a reader gets who copies all of the guide's Python into one file."""
    copied: dict[str, Any] = {"__name__": "copied"}
    for block in blocks(GUIDE, "python"):
        exec(compile(block, named(GUIDE), "exec"), copied)  # noqa: S102
    return copied


class Callback:
    """The application's way back: what it expects, and a result to check."""

    def __init__(self, harbor: Harbor, guide: dict[str, Any], keys: Any) -> None:
        session = harbor.notes.opens(harbor.ada, nonce="n-1", state="s-1")
        browser = harbor.browser()
        browser.goes_to(session["url"])
        phone = browser.sets_up()
        browser.types(harbor.code(phone))
        browser.saves_codes()
        self.guide = guide
        self.result = browser.back["result"]
        self.expected = {
            "keys": keys,
            "issuer": harbor.base_url,
            "client_id": harbor.notes.client_id,
            "organization": "harbor",
            "environment": "sandbox",
            "nonce": "n-1",
            "user_id": harbor.ada,
        }

    def checks(self, result: str | None = None, **changed: Any) -> dict[str, Any]:
        return self.guide["check_result"](result or self.result, **{**self.expected, **changed})

    def refuses(self, name: str, result: str | None = None, **changed: Any) -> None:
        with pytest.raises(self.guide["CheckFailed"], match=f"^{name}$"):
            self.checks(result, **changed)


@pytest.fixture
def callback(harbor: Harbor, guide: dict[str, Any]) -> Iterator[Callback]:
    key_set = harbor.wire.request("GET", "/.well-known/jwks.json").json
    with listening(key_set) as (address, came):
        made = Callback(harbor, guide, guide["Keys"](address))
        yield made
        assert set(came) <= {"/.well-known/jwks.json"}


@ONE_DATABASE
def test_the_guide_s_check_takes_a_real_result(callback: Callback, harbor: Harbor) -> None:
    claims = callback.checks()
    assert claims["sub"] == harbor.ada
    assert claims["status"] == "enrolled"
    assert claims == parts(callback.result)[1]


@ONE_DATABASE
def test_the_guide_s_check_refuses_every_difference_by_name(
    callback: Callback, harbor: Harbor
) -> None:
    callback.refuses("iss", issuer="https://other.example")
    callback.refuses("iss", issuer=harbor.base_url + "/")
    callback.refuses("aud", client_id=harbor.registers("Other").client_id)
    callback.refuses("org", organization="pier")
    callback.refuses("env", environment="production")
    callback.refuses("nonce", nonce="n-2")
    callback.refuses("nonce", nonce="")
    callback.refuses("sub", user_id=harbor.person("bo@harbor.example"))
    with harbor.services.database.reading() as tx:
        signer = harbor.services.signing_keys.signer(tx, KeyUse.RESULT)
    claims = parts(callback.result)[1]
    callback.refuses("typ", keep_secret(jose.sign(claims, typ="JWT", key=signer)))
    # An access token is of another kind, too; a library may not even get so far as to see that.
    callback.refuses("typ|signature", harbor.backend.token)


@ONE_DATABASE
def test_the_guide_s_check_refuses_forged_results(callback: Callback) -> None:
    header, payload, signature = parts(callback.result)
    callback.refuses("alg|signature", put({**header, "alg": "none"}, payload))
    callback.refuses("alg", put({**header, "alg": "HS256"}, payload, signature))
    callback.refuses("signature", put(header, {**payload, "sub": "x"}, signature))
    callback.refuses("signature", put({**header, "kid": "stranger"}, payload, signature))
    callback.refuses("signature", put(header, payload, b"\0" * 64))
    for nonsense in ("x", "a.b.c", "..", callback.result + "."):
        callback.refuses("signature", nonsense)
    own = strangers()["ES256"]
    from tests.web.api_v2.forgery import public_jwk, signed

    with_jwk = {**header, "jwk": public_jwk(own, header["kid"])}
    callback.refuses("signature", signed(with_jwk, payload, own))


@ONE_DATABASE
def test_the_guide_s_check_refuses_an_old_result(
    callback: Callback, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = time.time()  # noqa: TID251
    monkeypatch.setattr(callback.guide["time"], "time", lambda: issued + 120 + 55)
    callback.checks()
    monkeypatch.setattr(callback.guide["time"], "time", lambda: issued + 120 + 65)
    callback.refuses("exp")


@ONE_DATABASE
def test_the_guide_s_keys_are_fetched_seldom(harbor: Harbor, guide: dict[str, Any]) -> None:
    """F45: a hundred tokens with unknown keys cause one fetch, not a hundred."""
    key_set = harbor.wire.request("GET", "/.well-known/jwks.json").json
    with listening(key_set) as (address, came):
        made = Callback(harbor, guide, guide["Keys"](address))
        for _ in range(10):
            made.checks()
        assert len(came) == 1
        header, payload, signature = parts(made.result)
        for number in range(100):
            made.refuses("signature", put({**header, "kid": str(number)}, payload, signature))
        assert len(came) == 2
        made.checks()


# What the documents name is there


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    links = re.findall(r"\]\(<?([^)>\s]+)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    broken = []
    for link in links:
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        file, _, anchor = unquote(link).partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target)
        ):
            broken.append(link)
    assert broken == []


def anchors(path: Path) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_command_and_target_that_is_named_exists(path: Path) -> None:
    code = "\n".join(
        blocks(path, "(?:sh|console|bash)") + re.findall(r"`([^`\n]+)`", path.read_text())
    )
    for words in re.findall(r"(?:^|[\s/`])gatehouse ([a-z][a-z -]*)", code):
        known: Any = gatehouse
        for word in words.split():
            if not hasattr(known, "commands"):
                break
            assert word in known.commands, words
            known = known.commands[word]
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|\s)make ([a-z-]+)", code):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_the_settings_that_are_documented_are_the_settings() -> None:
    documented = set(re.findall(rf"`{PREFIX}([A-Z_]+)`", (ROOT / "docs/operate.md").read_text()))
    settings = {name.upper() for name in Config.model_fields}
    assert settings <= documented
    assert {name for name in documented - settings if not name.startswith("TEST_")} == set()


def test_the_errors_that_are_documented_are_those_that_are_told() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "app").rglob("*.py"))
    table = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", GUIDE.read_text(), re.M)
    assert len(table) > 8
    for status, kind in table:
        assert f'"{kind}"' in code, (status, kind)


@ONE_DATABASE
def test_the_claims_that_are_documented_are_those_of_a_result(callback: Callback) -> None:
    section = GUIDE.read_text().partition("## Claims")[2].partition("\n## ")[0]
    documented: set[str] = set()
    for row in re.findall(r"^\| (`[^|]+`) \|", section, re.M):
        documented |= set(re.findall(r"`(\w+)`", row))
    assert documented == set(parts(callback.result)[1])


@ONE_DATABASE
def test_the_answer_that_is_documented_has_the_fields_of_an_answer(harbor: Harbor) -> None:
    [example] = [block for block in blocks(GUIDE, "json") if "GatewaySession" in block]
    opened = harbor.notes.opens(harbor.ada)
    shown = json.loads(example)
    assert set(shown) <= set(opened)
    assert shown["__type__"] == opened["__type__"]
    assert re.fullmatch(r"gateway-session_[0-9A-Za-z]{27}", shown["id"])
    assert len(shown["expires_at"]) == len(opened["expires_at"])
