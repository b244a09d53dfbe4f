"""Importing users: a file is checked without a trace, looked at, started, and worked off."""

from __future__ import annotations

import csv
import io
import json
import uuid
from typing import Any

import pytest
import sqlalchemy as sa

from app.models import Environment, Event, ImportJob, ImportStatus, Message, Role, User
from app.services import import_work, imports
from app.services.audit import OPERATOR
from app.services.import_jobs import MOST_BYTES
from app.services.import_work import SILENT
from tests import actors
from tests.actors import keep_secret
from tests.conftest import ONE_DATABASE, Harbor

pytestmark = pytest.mark.both_databases

SEED = keep_secret("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
FILE = f"""email,given_name,family_name,phone_number,external_id,totp_secret
kit@harbor.example,Kit,Marlowe,+33698765432,crm-1,{SEED}
ADA@harbor.example,Ada,Lovelace,,,
nobody,,,,,
bo@harbor.example,=Bo,,0612,,
kit@harbor.example,,,,,
"""


@pytest.fixture
def nadia(harbor: Harbor) -> actors.Administrator:
    return harbor.administrator(Role.ADMINISTRATOR)


def brings(
    nadia: actors.Administrator, content: str | bytes = FILE, name: str = "users.csv", **more: Any
) -> actors.Reply:
    data = content.encode() if isinstance(content, str) else content
    nadia.at("/users/imports/new")
    return sends(nadia, data, name, **more)


def sends(
    nadia: actors.Administrator,
    data: bytes,
    name: str,
    headers: dict[str, str] | None = None,
    **more: str,
) -> actors.Reply:
    """Send the form as a browser does, whatever page is open."""
    fields = {"csrf_token": nadia.browser.form_token, **more}
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in fields.items()
    ]
    file = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    return nadia.browser.goes_to(
        nadia.place + "/users/imports/new",
        "POST",
        data=b"".join([*parts, file.encode(), data, b"\r\n--b--\r\n"]),
        headers={"Content-Type": "multipart/form-data; boundary=b", **(headers or {})},
    )


def works(harbor: Harbor) -> bool:
    """Have a worker take its turn."""
    return harbor.services.import_jobs.run_next()


def job(harbor: Harbor) -> ImportJob:
    newest = sa.select(ImportJob).order_by(ImportJob.created_at.desc(), ImportJob.id).limit(1)
    return harbor.rows(newest.options(sa.orm.undefer(ImportJob.content)))[0][0]


def tiles(nadia: actors.Administrator) -> list[int]:
    """Return created, updated, unchanged, refused as the page says them."""
    parts = nadia.browser.reply.text.split('<dd class="num">')[1:]
    return [int(part.partition("<")[0].replace(",", "")) for part in parts]


def by_administrators(harbor: Harbor) -> list[str]:
    """Return the kinds of what was done to users by hand."""
    theirs = sa.select(Event.kind).where(
        Event.kind.like("user:%"), Event.actor.like("administrator:%")
    )
    return [kind for (kind,) in harbor.rows(theirs)]


def emails(harbor: Harbor) -> list[str]:
    mine = sa.select(User.email).where(User.organization_id == harbor.organization.id)
    return [email for (email,) in harbor.rows(mine.order_by(User.email))]


def starts(nadia: actors.Administrator, **fields: str) -> None:
    """Press the button of the page, with the box as it was ticked."""
    path = nadia.browser.path.removeprefix(nadia.place)
    nadia.does(path, **fields)


def heard(harbor: Harbor) -> list[tuple[str, str, str]]:
    """Return to which users which notice went, and where it is now."""
    every = sa.select(Message.recipient, Message.name, Message.status).where(
        Message.organization_id == harbor.organization.id
    )
    return sorted((row.recipient, row.name, row.status.value) for row in harbor.rows(every))


def many(number: int) -> str:
    padding = "x" * 200
    rows = (
        json.dumps({"email": f"u{each}@harbor.example", "profile": {"note": padding}})
        for each in range(number)
    )
    return "\n".join(rows)


# A file that is brought


def test_a_file_is_checked_without_a_trace_and_shown(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    before = harbor.rows(sa.select(*User.__table__.columns).order_by(User.id))
    brings(nadia)
    assert nadia.page.heading == "users.csv"
    assert "Checked, not started" in nadia.text
    assert tiles(nadia) == [1, 1, 0, 3]
    assert "Import 2 users" in nadia.text
    for sentence in (
        "Row 4 email", "Write one such as ada@example.com.",
        "Row 5 phone_number Write it in E.164",
        "Row 6 email An earlier row of this file has the same.",
    ):  # fmt: skip
        assert sentence in nadia.text
    assert "Kit Marlowe kit@harbor.example +33698765432 crm-1 In the file" in nadia.text
    assert SEED not in nadia.browser.reply.text
    assert harbor.rows(sa.select(*User.__table__.columns).order_by(User.id)) == before
    assert emails(harbor) == ["ada@harbor.example"]
    assert by_administrators(harbor) == []


def test_a_started_file_is_taken_over_by_a_worker(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia)
    starts(nadia)
    assert "Waiting to start" in nadia.text
    assert 'data-again="2"' in nadia.browser.reply.text
    assert emails(harbor) == ["ada@harbor.example"]
    assert works(harbor)
    assert not works(harbor)
    nadia.browser.goes_to(nadia.browser.path)
    assert tiles(nadia) == [1, 1, 0, 3]
    assert "Done" in nadia.text
    assert "data-again" not in nadia.browser.reply.text
    assert emails(harbor) == ["ada@harbor.example", "kit@harbor.example"]
    ended = job(harbor)
    assert (ended.status, ended.content, ended.rows) == (ImportStatus.DONE, None, 5)
    [(event,)] = harbor.rows(sa.select(Event).where(Event.kind == "user:imported"))
    assert event.actor_label == "administrator@gatehouse.example"
    assert event.detail == {
        "created": 1, "updated": 1, "unchanged": 0, "failed": 3, "complete": True,
        "file": "users.csv", "told": 0,
    }  # fmt: skip
    kit = actors.Phone(f"otpauth://totp/Old:kit?secret={SEED}")
    browser = harbor.visits("kit@harbor.example")
    browser.types(harbor.code(kit))
    assert "result" in browser.back


def test_the_same_file_again_would_change_nothing(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia)
    starts(nadia)
    works(harbor)
    brings(nadia)
    assert tiles(nadia) == [0, 0, 2, 3]
    assert "There is nothing to import." in nadia.text
    assert "Import 2" not in nadia.text


def test_the_file_lies_here_sealed(harbor: Harbor, nadia: actors.Administrator) -> None:
    """It may hold seeds: who steals the database reads none of it."""
    brings(nadia)
    assert job(harbor).content
    dump = harbor.dump()
    assert SEED not in dump
    assert "Marlowe" not in dump
    assert "+33698765432" not in dump


def test_json_lines_are_known_by_their_content(harbor: Harbor, nadia: actors.Administrator) -> None:
    brings(nadia, '\ufeff\n{"email": "kit@harbor.example"}\n[1]\n', "users.csv")
    assert tiles(nadia) == [1, 0, 0, 1]


@ONE_DATABASE
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "The first line must name the columns, one of them email."),
        ("name,phone\nAda,1", "The first line must name the columns, one of them email."),
        ("email,email\na,b", "The column is there twice"),
        ("email\n", "There is no row in it."),
        (b"PK\x03\x04rest", "This is a workbook. Save it as CSV first."),
        ("email\nada".encode("utf-16"), "This is UTF-16. Save it as UTF-8 first."),
        ('[{"email": "a@b.example"}]', "Write one JSON object a line"),
        (b"\x00\xff\x00", "The first line must name the columns"),
    ],
)
def test_a_file_that_can_not_be_read_is_told_at_its_field(
    harbor: Harbor, content: str | bytes, told: str
) -> None:
    nadia = harbor.administrator()
    brings(nadia, content)
    assert nadia.status == 422
    assert told in nadia.text
    assert 'aria-invalid="true"' in nadia.browser.reply.text
    assert harbor.rows(sa.select(ImportJob.id)) == []


@ONE_DATABASE
def test_a_form_without_a_file_asks_for_one(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/users/imports/new")
    nadia.does("/users/imports/new")
    assert nadia.status == 422
    assert "Choose a file first." in nadia.text


@ONE_DATABASE
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:/users/ada.csv", "ada.csv"),
        ("<script>alert(1)<!--.csv", "<script>alert(1)<!--.csv"),
        ("é\u202e.csv", "é.csv"),
        ("x" * 500, "x" * 200),
    ],
)
def test_the_name_of_a_file_is_text_and_never_a_path(harbor: Harbor, name: str, shown: str) -> None:
    """F67 and F74."""
    nadia = harbor.administrator()
    brings(nadia, name=name)
    assert nadia.page.heading == shown
    assert "<script>alert" not in nadia.browser.reply.text


# Who is told

TO_TELL = f"""email,phone_number,external_id,locale,totp_secret
kit@harbor.example,,,fr,{SEED}
bo@harbor.example,,,,
,+33698765432,,,
ada@harbor.example,,crm-1,,
"""


def test_the_box_that_tells_the_users_is_ticked_and_says_how_many_they_are(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia, TO_TELL)
    assert tiles(nadia) == [3, 1, 0, 0]
    assert "Tell 2 users" in nadia.text
    [form] = [form for form in nadia.page.forms if "notify" in form["fields"]]
    assert form["fields"]["notify"] == "y"
    assert heard(harbor) == [], "to look at it tells nobody"


def test_who_is_new_or_gets_an_app_is_told_once_in_their_language(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia, TO_TELL)
    starts(nadia, notify="y")
    assert heard(harbor) == [], "nor does a start that no worker saw yet"
    works(harbor)
    nadia.browser.goes_to(nadia.browser.path)
    assert "2 users were told." in nadia.text
    assert heard(harbor) == [
        ("bo@harbor.example", "user_added", "captured"),
        ("kit@harbor.example", "authenticator_imported", "captured"),
    ]
    every = sa.select(Message).where(Message.organization_id == harbor.organization.id)
    letters = {row.recipient: row for (row,) in harbor.rows(every)}
    kit, bo = (letters[f"{name}@harbor.example"] for name in ("kit", "bo"))
    assert kit.subject == "Votre application d’authentification a été ajoutée à votre compte"
    assert "Par : un administrateur de Harbor" in harbor.text_of(kit)
    assert "You were added as a user" in bo.subject
    assert "Harbor added bo@harbor.example to the users" in harbor.text_of(bo)
    assert "By: an administrator of Harbor" in harbor.text_of(bo)
    assert SEED not in harbor.text_of(kit)
    silent = sa.select(Event.detail, User.phone_number).join(User, User.id == Event.user_id)
    [row] = harbor.rows(silent.where(Event.kind == "notice:not_sent"))
    assert tuple(row) == ({"notice": "user_added"}, "+33698765432")
    [(event,)] = harbor.rows(sa.select(Event.detail).where(Event.kind == "user:imported"))
    assert event["told"] == 2
    [(event,)] = harbor.rows(sa.select(Event.detail).where(Event.kind == "import:started"))
    assert event == {"file": "users.csv", "notify": True}


def test_the_same_file_once_more_tells_nobody_again(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia, TO_TELL)
    starts(nadia, notify="y")
    works(harbor)
    brings(nadia, TO_TELL + "cy@harbor.example,,,,\n")
    assert "Tell 1 user" in nadia.text
    starts(nadia, notify="y")
    works(harbor)
    assert len(heard(harbor)) == 3


def test_without_the_box_nobody_new_is_told(harbor: Harbor, nadia: actors.Administrator) -> None:
    brings(nadia, TO_TELL)
    starts(nadia)
    works(harbor)
    nadia.browser.goes_to(nadia.browser.path)
    assert "Nobody was told." in nadia.text
    assert heard(harbor) == []
    assert harbor.rows(sa.select(Event.id).where(Event.kind == "notice:not_sent")) == []


def test_a_file_that_brings_nobody_new_has_no_box(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia, "email,given_name\nada@harbor.example,Ada\n")
    assert "Import 1 user" in nadia.text
    assert "Nobody else is told" in nadia.text
    assert "notify" not in nadia.browser.reply.text


def test_another_address_is_told_at_the_old_one_whatever_the_box_says(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    """F40: who may write users can't take an account over without a word."""
    harbor.enrolls()
    harbor.executes(sa.update(User).values(external_id="crm-1", phone_number="+33612345678"))
    before = len(heard(harbor))
    brings(nadia, "email,external_id,phone_number\nm@harbor.example,crm-1,+33698765432\n")
    starts(nadia)
    works(harbor)
    assert [one for one in heard(harbor) if "changed" in one[1]] == [
        ("ada@harbor.example", "email_changed", "captured"),
        ("ada@harbor.example", "phone_number_changed", "captured"),
    ]
    assert len(heard(harbor)) == before + 2
    nadia.browser.goes_to(nadia.browser.path)
    assert "1 user was told." in nadia.text


# Only who may, and not more than that


@ONE_DATABASE
def test_who_may_not_import_is_refused_before_the_file_is_read(harbor: Harbor) -> None:
    """F82: as long as nobody proved who it is, a long body is none of ours."""
    big = b"email\n" + b"x" * (1024 * 1024)
    for role in (Role.HELPDESK, Role.AUDITOR):
        somebody = harbor.administrator(role)
        assert somebody.at("/users/imports/new").status == 403
        somebody.browser.goes_to("/admin/profile")
        assert sends(somebody, big, "users.csv").status == 403
    somebody.browser.cookies.clear()
    sends(somebody, big, "users.csv")
    assert somebody.browser.path == "/admin/sign-in"
    assert harbor.rows(sa.select(ImportJob.id)) == []


@ONE_DATABASE
def test_a_file_without_the_form_s_token_is_refused(harbor: Harbor) -> None:
    """F66: the token is checked here, too, although later than on other pages."""
    nadia = harbor.administrator()
    nadia.at("/users/imports/new")
    for token in (
        "",
        "nonsense",
        harbor.administrator(email="z@gatehouse.example").browser.form_token,
    ):
        reply = sends(nadia, FILE.encode(), "users.csv", csrf_token=token)
        assert reply.status == 400, token
    assert harbor.rows(sa.select(ImportJob.id)) == []


@ONE_DATABASE
def test_only_this_form_may_be_long_and_not_longer_than_a_file(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    brings(nadia, b"email\n" + b"x" * 70_000 + b"\nkit@harbor.example\n")
    assert nadia.page.heading == "users.csv"
    works(harbor)
    nadia.browser.goes_to(nadia.browser.path)
    assert tiles(nadia) == [1, 0, 0, 1]
    brings(nadia, b"email\n" + b"x\n" * (MOST_BYTES // 2))
    assert nadia.status == 422
    assert "It may have 20 MB. Split it." in nadia.text
    brings(nadia, b"email\n" + b"x" * (MOST_BYTES + 100_000))
    assert nadia.status == 422
    assert "It may have 20 MB. Split it." in nadia.text
    nadia.at("/users/new")
    assert nadia.does("/users/new", given_name="x" * 100_000).status == 413


@ONE_DATABASE
def test_an_import_of_another_organization_is_unknown_here(harbor: Harbor) -> None:
    """F79: told no differently from none, and nothing happens to it."""
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=Environment.SANDBOX, name="Pier"
        )
    owner = harbor.administrator(Role.OWNER, "pier@gatehouse.example", organization=pier)
    brings(owner)
    theirs = job(harbor)
    nadia = harbor.administrator()
    nadia.at("/users/imports/new")
    for job_id in (theirs.id, uuid.uuid4()):
        for path in (f"/users/imports/{job_id}", f"/users/imports/{job_id}/errors.csv"):
            assert nadia.at(path).status == 404
        for path in (f"/users/imports/{job_id}", f"/users/imports/{job_id}/discard"):
            assert nadia.does(path).status == 404
    assert job(harbor).status is ImportStatus.CHECKED
    nadia.at("/users/imports")
    assert "users.csv" not in nadia.text


@ONE_DATABASE
def test_starting_and_discarding_want_the_role_and_a_fresh_second_factor(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    brings(nadia)
    path = nadia.browser.path.removeprefix(nadia.place)
    for role in (Role.HELPDESK, Role.AUDITOR):
        somebody = harbor.administrator(role)
        somebody.at(path)
        assert "Import 2 users" not in somebody.text
        somebody.browser.goes_to("/admin/profile")
        assert somebody.does(path).status == 403
        assert somebody.does(f"{path}/discard").status == 403
    harbor.clock.advance(1860)
    nadia.at(path)
    nadia.does(path)
    assert nadia.browser.path.endswith("/verify")
    assert job(harbor).status is ImportStatus.CHECKED


# Giving up


def test_a_discarded_file_is_erased_and_can_not_be_started(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia)
    path = nadia.browser.path.removeprefix(nadia.place)
    nadia.does(f"{path}/discard")
    assert "The file was discarded. Nothing was imported." in nadia.text
    assert (job(harbor).status, job(harbor).content) == (ImportStatus.DISCARDED, None)
    assert nadia.does(path).status == 409
    assert nadia.does(f"{path}/discard").status == 409
    assert not works(harbor)
    assert emails(harbor) == ["ada@harbor.example"]


def test_a_file_that_is_in_line_can_still_be_discarded_and_one_that_is_done_can_not(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia)
    path = nadia.browser.path.removeprefix(nadia.place)
    starts(nadia)
    assert nadia.does(path).status == 409
    nadia.does(f"{path}/discard")
    assert not works(harbor)
    harbor.clock.advance(1)
    brings(nadia)
    path = nadia.browser.path.removeprefix(nadia.place)
    starts(nadia)
    works(harbor)
    assert nadia.does(f"{path}/discard").status == 409
    assert job(harbor).status is ImportStatus.DONE


def test_a_file_that_nobody_starts_is_erased_after_a_day(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia)
    harbor.clock.advance(86400 - 60)
    assert not works(harbor)
    assert job(harbor).content
    harbor.clock.advance(120)
    nadia.does(nadia.browser.path.removeprefix(nadia.place))
    assert job(harbor).status is ImportStatus.CHECKED
    assert not works(harbor)
    assert (job(harbor).status, job(harbor).content) == (ImportStatus.DISCARDED, None)


@ONE_DATABASE
def test_ten_files_may_be_open(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    for _ in range(10):
        brings(nadia, "email\nkit@harbor.example\n")
        assert nadia.status == 200
    brings(nadia, "email\nkit@harbor.example\n")
    assert nadia.status == 409
    assert "10 imports are open" in nadia.text


# Workers


def test_a_long_file_is_checked_by_a_worker_in_batches(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia, many(700), "users.jsonl")
    assert "Waiting to be checked" in nadia.text
    assert "0 of about 699 rows" in nadia.text
    assert works(harbor)
    nadia.browser.goes_to(nadia.browser.path)
    assert tiles(nadia) == [700, 0, 0, 0]
    assert "Import 700 users" in nadia.text
    assert emails(harbor) == ["ada@harbor.example"]


class PowerCut(BaseException):
    """The worker is gone, without a word."""


def cut_after(monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """Kill the worker in the transaction after so many batches."""
    left, note = batches, import_work._Claim.change

    def change(self: Any, tx: Any, **values: Any) -> None:
        nonlocal left
        if "rows_done" in values:
            if left == 0:
                raise PowerCut
            left -= 1
        note(self, tx, **values)

    monkeypatch.setattr(import_work._Claim, "change", change)


def test_another_worker_goes_on_where_one_was_killed(
    harbor: Harbor, nadia: actors.Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    brings(nadia, many(1200) + '\n{"email": "u3@harbor.example"}', "users.jsonl")
    works(harbor)
    starts(nadia, notify="y")
    with monkeypatch.context() as patched:
        cut_after(patched, 1)
        with pytest.raises(PowerCut):
            works(harbor)
    assert len(emails(harbor)) == 501
    assert len(heard(harbor)) == 500
    nadia.browser.goes_to(nadia.browser.path)
    assert "500 of 1,201 rows" in nadia.text
    assert not works(harbor), "its heartbeat is not old yet"
    harbor.clock.advance(SILENT.total_seconds() + 1)
    nadia.browser.goes_to(nadia.browser.path)
    assert "Nothing takes imports over now." in nadia.text
    assert works(harbor)
    nadia.browser.goes_to(nadia.browser.path)
    assert tiles(nadia) == [1200, 0, 0, 1]
    assert "1,200 users were told." in nadia.text
    assert len({recipient for recipient, *_ in heard(harbor)}) == len(heard(harbor)) == 1200
    assert len(emails(harbor)) == 1201
    assert by_administrators(harbor).count("user:created") == 1200
    [(event,)] = harbor.rows(sa.select(Event.detail).where(Event.kind == "user:imported"))
    assert (event["created"], event["failed"]) == (1200, 1)


def test_a_worker_that_wakes_up_too_late_changes_nothing(
    harbor: Harbor, nadia: actors.Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next batch is undone: the job is another's by now."""
    brings(nadia, many(1200), "users.jsonl")
    works(harbor)
    starts(nadia)
    slept = imports.Imports._do

    def sleeps(self: Any, *args: Any) -> None:
        monkeypatch.undo()
        slept(self, *args)  # one batch, then it sleeps while another worker takes over
        harbor.clock.advance(SILENT.total_seconds() + 1)
        assert works(harbor)

    monkeypatch.setattr(imports.Imports, "_do", sleeps)
    assert works(harbor)
    nadia.browser.goes_to(nadia.browser.path)
    assert tiles(nadia) == [1200, 0, 0, 0]
    assert len(harbor.rows(sa.select(Event.id).where(Event.kind == "user:imported"))) == 1
    assert by_administrators(harbor).count("user:created") == 1200


def test_a_worker_that_wakes_up_beside_another_has_lost_the_job(
    harbor: Harbor, nadia: actors.Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both see a job that runs; the heartbeat tells whose it is."""
    brings(nadia, many(1700), "users.jsonl")
    works(harbor)
    starts(nadia)
    slept = imports.Imports._do

    def sleeps(self: Any, *args: Any) -> None:
        monkeypatch.undo()
        slept(self, *args)
        harbor.clock.advance(SILENT.total_seconds() + 1)
        with monkeypatch.context() as patched:
            cut_after(patched, 1)  # the other one is somewhere in the middle
            with pytest.raises(PowerCut):
                works(harbor)

    monkeypatch.setattr(imports.Imports, "_do", sleeps)
    assert works(harbor)
    assert len(emails(harbor)) == 1001
    assert job(harbor).status is ImportStatus.RUNNING
    silent = harbor.services.import_jobs._work._next
    harbor.clock.advance(SILENT.total_seconds() + 1)
    seen = silent()
    assert seen is not None
    assert works(harbor)
    assert not harbor.services.import_jobs._work.work(seen)
    nadia.browser.goes_to(nadia.browser.path)
    assert tiles(nadia) == [1700, 0, 0, 0]


def test_of_two_workers_one_gets_a_job(harbor: Harbor, nadia: actors.Administrator) -> None:
    brings(nadia)
    starts(nadia)
    work = harbor.services.import_jobs._work
    seen = work._next()
    assert seen is not None
    assert works(harbor)
    assert not work.work(seen)
    assert len(harbor.rows(sa.select(Event.id).where(Event.kind == "user:imported"))) == 1


def test_without_a_worker_the_page_says_what_to_start(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia)
    starts(nadia)
    assert "Nothing takes imports over" not in nadia.text
    harbor.clock.advance(21)
    nadia.browser.goes_to(nadia.browser.path)
    assert "Nothing takes imports over now. Start gatehouse worker on the server." in nadia.text


def test_an_import_that_breaks_is_over_and_says_so(
    harbor: Harbor, nadia: actors.Administrator
) -> None:
    brings(nadia)
    starts(nadia)
    harbor.executes(sa.update(ImportJob).values(content="v1:gone:AAAA"))
    with pytest.raises(Exception, match="gone"):
        works(harbor)
    assert not works(harbor)
    nadia.browser.goes_to(nadia.browser.path)
    assert "The import stopped. It stopped because of a fault of ours." in nadia.text
    assert job(harbor).content is None


def test_too_many_rows_are_told_before_anything_happens(
    harbor: Harbor, nadia: actors.Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "MOST_ROWS", 600)
    brings(nadia, many(601), "users.jsonl")
    works(harbor)
    nadia.browser.goes_to(nadia.browser.path)
    assert "A file may have 600 rows. Split it." in nadia.text
    assert emails(harbor) == ["ada@harbor.example"]


# What stays


def test_errors_are_handed_out_as_a_file(harbor: Harbor, nadia: actors.Administrator) -> None:
    brings(nadia, FILE + '"=cmd|x",,,,,\nx@harbor.example,,,,\n')
    path = nadia.browser.path.removeprefix(nadia.place)
    reply = nadia.at(f"{path}/errors.csv")
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert [(row["row"], row["type"], row["field"]) for row in rows] == [
        ("4", "invalid_request", "email"),
        ("5", "invalid_request", "phone_number"),
        ("6", "duplicate_row", "email"),
        ("7", "invalid_request", "email"),
        ("8", "wrong_columns", ""),
    ]
    assert SEED not in reply.text


def test_recent_imports_are_listed(harbor: Harbor, nadia: actors.Administrator) -> None:
    nadia.at("/users/imports")
    assert "Nothing was imported yet" in nadia.text
    brings(nadia, name="first.csv")
    starts(nadia)
    works(harbor)
    harbor.clock.advance(60)
    brings(nadia, name="second.csv")
    nadia.at("/users/imports")
    assert nadia.text.index("second.csv") < nadia.text.index("first.csv")
    assert "Checked, not started — — —" in nadia.text
    assert "Done 1 1 3" in nadia.text


@ONE_DATABASE
def test_the_example_can_be_brought_as_it_is(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    example = nadia.at("/users/imports/example.csv").text
    brings(nadia, example)
    assert tiles(nadia) == [1, 0, 0, 0]
