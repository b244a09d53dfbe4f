"""Setting up an authenticator app, the recovery codes after it, and what is never told again."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
import zxingcpp

from app.factors.recovery_code import new_code
from app.models import Authenticator, AuthenticatorStatus, RecoveryCode, Result, User
from app.services.audit import OPERATOR
from tests.actors import Browser, Phone
from tests.conftest import ONE_DATABASE, Harbor
from tests.pictures import stroked

CODE = re.compile(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}")
"""Four groups of Crockford's letters and digits: no I, L, O, U."""


def authenticators(harbor: Harbor, *where: sa.ColumnElement[bool]) -> int:
    return len(harbor.rows(sa.select(Authenticator.id).where(*where)))


def enrolled(harbor: Harbor) -> int:
    return authenticators(harbor, Authenticator.status == AuthenticatorStatus.ACTIVE)


def results(harbor: Harbor) -> int:
    return len(harbor.rows(sa.select(Result.id)))


def resets(harbor: Harbor, *, reopen: bool) -> None:
    """Do what an administrator does for a user who has lost the phone."""
    with harbor.services.database.writing() as tx:
        user = tx.scalars(sa.select(User).where(User.email == "ada@harbor.example")).one()
        harbor.services.enrollment.reset(tx, OPERATOR, harbor.organization, user, reopen=reopen)


def switches(harbor: Harbor, *, active: bool) -> None:
    path = f"/org/{harbor.organization.domain}/totp-connection"
    assert harbor.backend.calls("PUT", path, json={"active": active}).status == 200


def shows_codes(browser: Browser) -> list[str]:
    """Return the codes on the page."""
    return browser.page.area.split("\n")


def confirmed(harbor: Harbor) -> tuple[Browser, Phone]:
    """Return a browser that shows the recovery codes of a first enrollment, and the phone."""
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    return browser, phone


# The secret


def test_looking_at_a_page_creates_nothing(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    assert browser.path.endswith("/set-up")
    for page in ("set-up", "enroll", "recovery-codes", "recovery-codes/new"):
        browser.goes_to(browser.address(page))
        browser.goes_to(browser.address(page), "HEAD")
        assert authenticators(harbor) == 0, page
    browser.goes_to(browser.address("enroll"))
    assert browser.path.endswith("/set-up")
    assert "otpauth" not in browser.reply.text
    browser.submits()
    assert browser.path.endswith("/enroll")
    assert authenticators(harbor) == 1


@ONE_DATABASE
def test_only_a_method_that_is_offered_can_be_set_up(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    for kind in ("", "TOTP", "sms", "../totp", "totp\0", ["sms", "totp"]):
        browser.sends("set-up", kind=kind)
        assert browser.path.endswith("/set-up"), kind
    assert authenticators(harbor) == 0


def test_the_secret_stays_the_same_until_it_is_confirmed(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    assert len(phone.secret) == 20
    browser.goes_to(browser.path)
    assert browser.scans().uri == phone.uri
    browser.types(harbor.wrong_codes(phone)[0])
    assert browser.reply.status == 422
    assert browser.scans().uri == phone.uri
    browser.goes_to(browser.address("resume"))
    assert browser.scans().uri == phone.uri
    browser.types(harbor.code(phone))
    assert browser.page.heading == "Save your recovery codes"


def test_setting_up_again_gives_up_the_secret_of_before(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    first = browser.sets_up()
    browser.goes_to(browser.address("set-up"))
    second = browser.sets_up()
    assert second.secret != first.secret
    assert authenticators(harbor) == 1
    browser.types(harbor.code(first))
    assert browser.reply.status == 422
    browser.types(harbor.code(second))
    assert browser.page.heading == "Save your recovery codes"


@ONE_DATABASE
def test_the_square_on_the_page_is_the_link_and_the_key_is_its_secret(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    assert read_square(browser) == phone.uri
    key = browser.reply.text.split('id="key"')[1].split("</div>")[0]
    groups = re.findall("<span>(.*?)</span>", key)
    assert [len(group) for group in groups] == [4] * 8
    assert "".join(groups) == phone.key


def read_square(browser: Browser) -> str:
    """Read the QR code off the page as a camera does: from the picture."""
    tags = browser.page.tags
    start = next(n for n, (tag, found) in enumerate(tags) if found.get("role") == "img")
    size = int(str(tags[start][1]["viewbox"]).split()[2])
    drawing = str(tags[start + 1][1]["d"])
    assert tags[start + 1][1]["stroke"] == "#000"
    found = zxingcpp.read_barcode(stroked(size, drawing, 6))
    assert found is not None
    return str(found.text)


def spellings(secret: bytes, key: str) -> list[str]:
    """Return a TOTP secret as it might stand somewhere."""
    return [
        key,
        key.lower(),
        " ".join(key[start : start + 4] for start in range(0, len(key), 4)),
        "</span> <span>".join(key[start : start + 4] for start in range(0, len(key), 4)),
        secret.hex(),
        secret.hex().upper(),
        base64.b64encode(secret).decode().rstrip("="),
        base64.urlsafe_b64encode(secret).decode().rstrip("="),
        repr(secret)[2:-1],
        secret.decode("latin-1"),
    ]


def holds_none(text: str, secrets: list[str]) -> None:
    assert not [secret for secret in secrets if secret in text]


PAGES = ("", "resume", "set-up", "enroll", "verify", "recovery-codes", "ended", "blocked")


def test_nothing_shows_the_secret_or_the_codes_again(harbor: Harbor) -> None:
    opened = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    phone = browser.sets_up()
    assert browser.reply.headers["cache-control"] == "no-store"
    browser.types(harbor.code(phone))
    codes = shows_codes(browser)
    secrets = [*spellings(phone.secret, phone.key), "otpauth", 'role="img"']
    reads_again(browser, secrets, "/recovery-codes")
    given = dict(browser.cookies)
    browser.sends("recovery-codes")
    secrets += [*codes, *(code.replace("-", "") for code in codes)]
    assert codes_cookie(browser) is None
    reads_again(browser, secrets, "/ended")
    browser.cookies.update(given)  # a browser that kept what it should have dropped
    reads_again(browser, secrets, "/ended")
    for path in (
        f"/org/harbor/users/{harbor.ada}",
        "/org/harbor/users/ada@harbor.example",
        f"/org/harbor/gateway-sessions/{opened['id']}",
        "/org/harbor/totp-connection",
        "/organizations",
    ):
        answer = harbor.backend.calls("GET", path)
        assert (answer.status, answer.headers["cache-control"]) == (200, "no-store"), path
        holds_none(answer.text, secrets)
    holds_none(harbor.dump(), secrets)


def reads_again(browser: Browser, secrets: list[str], turn: str) -> None:
    """Go through every page of a visit and find none of the secrets on any."""
    for page in PAGES:
        browser.goes_to(browser.address(page))
        assert browser.path.endswith(turn), page
        assert browser.reply.headers["cache-control"] == "no-store", page
        holds_none(browser.reply.text, secrets)


# What counts


def test_an_enrollment_that_is_not_confirmed_does_not_count(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    elsewhere = harbor.visits(harbor.ada)
    assert elsewhere.path.endswith("/set-up")
    elsewhere.sends("verify", code=harbor.code(phone))
    elsewhere.sends("enroll", code=harbor.code(phone))
    assert elsewhere.path.endswith("/set-up")
    browser.sends("verify", code=harbor.code(phone))
    assert browser.path.endswith("/enroll")
    assert (enrolled(harbor), results(harbor)) == (0, 0)


def test_an_enrollment_that_is_not_confirmed_expires(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    harbor.clock.advance(30 * 60)
    browser.types(harbor.code(phone))
    assert browser.page.heading == "This page has expired"
    browser.goes_to(browser.address("enroll"))
    assert "otpauth" not in browser.reply.text
    assert enrolled(harbor) == 0
    assert harbor.visits(harbor.ada).path.endswith("/set-up")


def test_of_two_first_enrollments_side_by_side_one_gets_through(harbor: Harbor) -> None:
    first, second = harbor.visits(harbor.ada), harbor.visits(harbor.ada)
    mine, other = first.sets_up(), second.sets_up()
    assert mine.secret != other.secret
    first.types(harbor.code(mine))
    second.types(harbor.code(other))
    assert second.path.endswith("/verify")
    assert second.page.heading == "Enter the code from your authenticator app"
    assert enrolled(harbor) == 1
    first.saves_codes()
    assert harbor.notes.checks(first.back["result"])["status"] == "enrolled"
    second.types(harbor.code(other))
    assert second.reply.status == 422
    harbor.clock.advance(30)
    second.types(harbor.code(mine))
    assert harbor.notes.checks(second.back["result"])["status"] == "verified"
    assert enrolled(harbor) == 1


def test_who_has_a_phone_adds_another_by_proving_the_first(harbor: Harbor) -> None:
    old = harbor.enrolls()
    codes = harbor.rows(sa.select(RecoveryCode.code_hash).order_by(RecoveryCode.code_hash))
    opened = harbor.notes.opens(harbor.ada, intent="enroll")
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    assert browser.path.endswith("/verify")
    browser.sends("set-up", kind="totp")
    assert browser.path.endswith("/verify")
    browser.types(harbor.code(old))
    harbor.clock.advance(30)
    new = browser.sets_up()
    browser.types(harbor.code(new))
    back = browser.back
    assert harbor.notes.checks(back["result"])["status"] == "enrolled"
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "enrolled"
    assert codes == harbor.rows(sa.select(RecoveryCode.code_hash).order_by(RecoveryCode.code_hash))
    assert enrolled(harbor) == 2
    for phone in (old, new):
        harbor.clock.advance(30)
        visit = harbor.visits(harbor.ada)
        visit.goes_to(visit.address("choose"))
        ways = [link for link in visit.page.links if "/verify/" in link]
        visit.goes_to(ways[1])  # the other one than last time
        visit.types(harbor.code(phone))
        assert harbor.notes.checks(visit.back["result"])["status"] == "verified"


def test_who_has_a_phone_can_not_enroll_without_proving_it(harbor: Harbor) -> None:
    harbor.enrolls()
    for intent in ("verify", "enroll"):
        browser = harbor.visits(harbor.ada, intent=intent)
        browser.sends("set-up", kind="totp")
        browser.sends("enroll", code="123456")
        browser.sends("recovery-codes/new")
        browser.sends("recovery-codes")
        assert browser.path.endswith("/verify")
    assert (authenticators(harbor), results(harbor)) == (1, 0)


def test_after_a_reset_that_reopens_the_user_enrolls_anew(harbor: Harbor) -> None:
    old = harbor.enrolls()
    resets(harbor, reopen=True)
    assert harbor.rows(sa.select(RecoveryCode.id)) == []
    browser = harbor.visits(harbor.ada)
    new = browser.sets_up()
    browser.types(harbor.code(old))
    assert browser.reply.status == 422
    browser.types(harbor.code(new))
    assert len(browser.saves_codes()) == 5
    assert harbor.notes.checks(browser.back["result"])["status"] == "enrolled"
    assert enrolled(harbor) == 1
    harbor.clock.advance(30)
    browser = harbor.visits(harbor.ada)
    browser.types(harbor.code(old))
    assert browser.reply.status == 422
    browser.types(harbor.code(new))
    assert "result" in browser.back


def test_after_a_reset_that_does_not_reopen_nothing_can_be_enrolled(harbor: Harbor) -> None:
    old = harbor.enrolls()
    visit = harbor.visits(harbor.ada)
    resets(harbor, reopen=False)
    visit.types(harbor.code(old))
    assert visit.page.heading == "You can’t confirm here yet"
    for intent in ("verify", "enroll"):
        browser = harbor.visits(harbor.ada, intent=intent)
        stays_blocked(browser, harbor.code(old))
    assert enrolled(harbor) == 0
    assert authenticators(harbor, Authenticator.secret.is_not(None)) == 0
    assert results(harbor) == 0
    assert harbor.rows(sa.select(RecoveryCode.id)) == []
    browser.sends("cancel")
    assert browser.back["error"] == "access_denied"


def stays_blocked(browser: Browser, code: str) -> None:
    assert browser.page.heading == "You can’t confirm here yet"
    assert "An administrator of Harbor can let you set up a new method." in browser.page.text
    posts: dict[str, dict[str, str]] = {
        "set-up": {"kind": "totp"},
        "enroll": {"code": code},
        "verify": {"code": code},
        "recovery-codes/new": {},
        "recovery-codes/download": {},
        "recovery-codes": {},
    }
    for page, fields in posts.items():
        browser.sends(page, **fields)
        assert browser.path.endswith("/blocked"), page
    for page in ("set-up", "enroll", "verify", "recovery-codes", "ended", "return", "resume"):
        browser.goes_to(browser.address(page))
        assert browser.path.endswith("/blocked"), page


def test_a_reset_during_the_visit_counts_for_that_visit(harbor: Harbor) -> None:
    old = harbor.enrolls()
    browser = harbor.visits(harbor.ada, intent="enroll")
    browser.types(harbor.code(old))
    resets(harbor, reopen=True)
    new = browser.sets_up()
    browser.types(harbor.code(new))
    assert len(browser.saves_codes()) == 5
    assert "result" in browser.back
    [[still_open]] = harbor.rows(sa.select(User.enrollment_open))
    assert not still_open
    resets(harbor, reopen=False)
    assert harbor.visits(harbor.ada).path.endswith("/blocked")


def test_a_reset_takes_a_half_done_enrollment_with_it(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    resets(harbor, reopen=True)
    browser.types(harbor.code(phone))
    assert browser.path.endswith("/set-up")
    assert enrolled(harbor) == 0


def test_switching_the_connection_off_blocks_until_it_is_on_again(harbor: Harbor) -> None:
    phone = harbor.enrolls()
    begun = harbor.visits(harbor.person("bob@harbor.example"))
    other = begun.sets_up()
    browser = harbor.visits(harbor.ada)
    switches(harbor, active=False)
    browser.types(harbor.code(phone))
    begun.types(harbor.code(other))
    for visit, code in ((browser, harbor.code(phone)), (begun, harbor.code(other))):
        stays_blocked(visit, code)
    assert harbor.notes.asks(harbor.ada).error == "totp_connection_inactive"
    assert (enrolled(harbor), results(harbor)) == (1, 0)
    switches(harbor, active=True)
    browser.goes_to(browser.address("resume"))
    browser.types(harbor.code(phone))
    assert "result" in browser.back
    begun.goes_to(begun.address("resume"))
    begun.types(harbor.code(other))
    assert begun.page.heading == "Save your recovery codes"


# The recovery codes


@ONE_DATABASE
def test_the_recovery_codes_are_five_of_80_bits_in_one_text(harbor: Harbor) -> None:
    browser, _ = confirmed(harbor)
    codes = shows_codes(browser)
    assert len(set(codes)) == 5
    assert all(CODE.fullmatch(code) for code in codes)
    assert [tag for tag, _ in browser.page.tags].count("textarea") == 1
    assert browser.page.attribute("textarea", "readonly") is None
    assert "readonly" in dict(next(found for tag, found in browser.page.tags if tag == "textarea"))


def test_recovery_codes_do_not_repeat_and_are_never_digits_alone() -> None:
    codes = {new_code() for _ in range(1000)}
    assert len(codes) == 1000
    assert all(CODE.fullmatch(code) for code in codes)
    assert not [code for code in codes if code.replace("-", "").isdigit()]
    assert {mark for code in codes for mark in code} == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ-")


def hashes(code: str) -> list[str]:
    """Return hashes of a code that anybody can compute, and so try."""
    spelled = [code, code.replace("-", ""), code.lower(), code.replace("-", "").lower()]
    digests = [
        hashlib.new(kind, text.encode()).digest()
        for kind in ("md5", "sha1", "sha256", "sha512")
        for text in spelled
    ]
    return [spelling for digest in digests for spelling in (digest.hex(), base64_of(digest))]


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def test_who_steals_the_database_reads_no_secret(harbor: Harbor) -> None:
    browser = harbor.visits(harbor.ada)
    phone = browser.sets_up()
    secrets = spellings(phone.secret, phone.key)
    secrets += [quote(phone.uri), *browser.cookies.values()]
    holds_none(harbor.dump(), secrets)
    browser.types(harbor.code(phone))
    codes = shows_codes(browser)
    secrets += codes + [code.replace("-", "") for code in codes]
    secrets += [spelling for code in codes for spelling in hashes(code)]
    secrets += [harbor.notes.client_secret, harbor.backend.client_secret]
    browser.sends("recovery-codes")
    secrets += [browser.back["result"], browser.back["result"].split(".")[2]]
    holds_none(harbor.dump(), secrets)
    assert len(harbor.rows(sa.select(RecoveryCode.code_hash).distinct())) == 5
    database = harbor.services.database.engine.url
    if database.get_backend_name() == "sqlite":  # what was deleted may still stand in the file
        for ending in ("", "-wal"):
            content = Path(f"{database.database}{ending}").read_bytes()
            holds_none(content.decode("latin-1"), secrets)


@ONE_DATABASE
def test_the_codes_can_be_downloaded_as_text(harbor: Harbor) -> None:
    browser, _ = confirmed(harbor)
    codes = shows_codes(browser)
    browser.submits(0)
    headers = browser.reply.headers
    assert browser.reply.status == 200
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["content-disposition"] == 'attachment; filename="recovery-codes.txt"'
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert CODE.search(browser.reply.text)
    assert [line for line in browser.reply.text.splitlines() if "-" in line] == codes
    assert "Recovery codes for ada@harbor.example at Harbor" in browser.reply.text


@ONE_DATABASE
def test_the_download_echoes_nothing_that_is_sent(harbor: Harbor) -> None:
    browser, _ = confirmed(harbor)
    codes = shows_codes(browser)
    mark = "<script>alert(1)</script>"
    for sent in ("", mark, new_code(), "\n".join([*codes, new_code()])):
        browser.sends("recovery-codes/download", codes=sent, name=mark)
        lines = browser.reply.text.splitlines()
        assert [line for line in lines if CODE.search(line)] == codes
        assert mark not in browser.reply.text
        browser.goes_to(browser.address("recovery-codes"))


def test_the_codes_can_be_read_until_they_are_saved(harbor: Harbor) -> None:
    browser, phone = confirmed(harbor)
    codes = shows_codes(browser)
    browser.goes_to(browser.path)
    assert shows_codes(browser) == codes
    browser.sends("enroll", code=harbor.code(phone))  # as a browser repeats the form
    assert shows_codes(browser) == codes
    assert len(harbor.rows(sa.select(RecoveryCode.id))) == 5


def test_a_browser_that_has_lost_the_codes_makes_new_ones_and_the_old_die(harbor: Harbor) -> None:
    browser, _ = confirmed(harbor)
    old, given = shows_codes(browser), dict(browser.cookies)
    kept = set(harbor.rows(sa.select(RecoveryCode.code_hash)))
    forgets_codes(browser)
    browser.goes_to(browser.path)
    assert browser.page.heading == "We can’t show your codes again"
    assert not CODE.search(browser.reply.text)
    browser.sends("recovery-codes/download")
    assert "content-disposition" not in browser.reply.headers
    browser.submits(0)
    new = shows_codes(browser)
    assert len(set(new) - set(old)) == 5
    fresh = set(harbor.rows(sa.select(RecoveryCode.code_hash)))
    assert len(fresh) == 5
    assert not fresh & kept
    newer = dict(browser.cookies)
    browser.cookies.update(given)
    browser.goes_to(browser.path)
    assert browser.page.heading == "We can’t show your codes again"
    browser.cookies.update(newer)
    browser.goes_to(browser.path)
    assert shows_codes(browser) == new
    browser.submits(1)
    assert harbor.notes.checks(browser.back["result"])["status"] == "enrolled"


def codes_cookie(browser: Browser) -> str | None:
    return next((name for name in browser.cookies if "codes" in name), None)


def forgets_codes(browser: Browser) -> None:
    name = codes_cookie(browser)
    assert name
    del browser.cookies[name]


def shows_none(browser: Browser) -> None:
    browser.goes_to(browser.address("recovery-codes"))
    assert browser.page.heading == "We can’t show your codes again"
    assert not CODE.search(browser.reply.text)
    browser.sends("recovery-codes/download")
    assert "content-disposition" not in browser.reply.headers


@ONE_DATABASE
def test_only_what_this_visit_sealed_is_opened(harbor: Harbor) -> None:
    browser, _ = confirmed(harbor)
    codes, mine = shows_codes(browser), codes_cookie(browser) or ""
    bobs = harbor.visits(harbor.person("bob@harbor.example"))
    bobs.types(harbor.code(bobs.sets_up()))
    sealed, others = browser.cookies[mine], bobs.cookies[codes_cookie(bobs) or ""]
    changed = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    key = sealed.rsplit(":", 1)[0]
    for value in ("x", "v1:gone:AAAA", f"{key}:AAAA", f"{key}:%", f"{key}:", others, changed):
        browser.cookies[mine] = value
        shows_none(browser)
    browser.cookies[mine] = sealed
    browser.goes_to(browser.path)
    assert shows_codes(browser) == codes


def test_a_reset_while_the_codes_are_shown_takes_the_result_with_it(harbor: Harbor) -> None:
    browser, old = confirmed(harbor)
    resets(harbor, reopen=False)
    browser.submits(1)
    stays_blocked(browser, harbor.code(old))
    assert (enrolled(harbor), results(harbor)) == (0, 0)
    resets(harbor, reopen=True)
    browser.goes_to(browser.address("recovery-codes"))
    browser.types(harbor.code(browser.sets_up()))
    browser.saves_codes()
    assert harbor.notes.checks(browser.back["result"])["status"] == "enrolled"
    assert (enrolled(harbor), results(harbor)) == (1, 1)


def test_codes_that_were_never_saved_go_with_the_visit(harbor: Harbor) -> None:
    browser, phone = confirmed(harbor)
    harbor.clock.advance(30 * 60)
    browser.goes_to(browser.path)
    assert browser.page.heading == "This page has expired"
    assert not CODE.search(browser.reply.text)
    browser.sends("recovery-codes")
    assert results(harbor) == 0
    later = harbor.visits(harbor.ada)
    later.types(harbor.code(phone))
    assert harbor.notes.checks(later.back["result"])["status"] == "verified"


def test_i_have_saved_them_leads_back_to_the_application(harbor: Harbor) -> None:
    opened = harbor.notes.opens(harbor.ada, state="s")
    browser = harbor.browser()
    browser.goes_to(opened["url"])
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "pending"
    assert results(harbor) == 0
    browser.submits(1)
    assert browser.reply.status == 303
    assert browser.reply.location.startswith(f"{harbor.notes.redirect_uri}?")
    assert list(browser.back) == ["state", "session_id", "result"]
    assert harbor.notes.looks_at(opened["id"]).json["status"] == "enrolled"


def test_once_saved_no_codes_are_made_again(harbor: Harbor) -> None:
    browser, _ = confirmed(harbor)
    kept = harbor.rows(sa.select(RecoveryCode.code_hash))
    browser.submits(1)
    for page in ("recovery-codes/new", "recovery-codes", "recovery-codes/download"):
        browser.sends(page)
        assert browser.path.endswith("/ended"), page
        assert not CODE.search(browser.reply.text)
    assert harbor.rows(sa.select(RecoveryCode.code_hash)) == kept
    assert results(harbor) == 1
