"""`gatehouse doctor`: each check, where it passes and where it fails, and what it says to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import ssl
import stat
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
import trustme

from app.checks import carriers, examine, files
from app.checks.database import check_clock
from app.checks.files import check_disk
from app.checks.findings import Finding, State
from app.checks.front import check_certificate
from app.config import Config
from app.crypto import new_key
from app.models import (
    ApiKey,
    DeliveryStatus,
    Environment,
    Event,
    Message,
    MessageStatus,
    SigningKey,
    Webhook,
    WebhookDelivery,
)
from app.services.audit import OPERATOR, Actor, EventKind
from app.wiring import Services, wire
from tests.actors import keep_secret
from tests.cli.test_cli import Operator, Terminal, bare, terminal  # noqa: F401 (a fixture)
from tests.conftest import (
    ONE_DATABASE,
    FixedClock,
    RunningClock,
    Server,
    environment_of,
    make_config,
)
from tests.office import Office
from tests.providers.servers import LOOPBACK, Authority, Post, post, web

PASSWORD = Post.USERS["harbor"]


def now() -> datetime:
    """Return the moment, since the command has the machine's clock."""
    return datetime.now(UTC)  # noqa: TID251


class Doctor:
    """An operator who asks how a deployment is."""

    def __init__(self, terminal: Terminal, config: Config, folder: Path) -> None:  # noqa: F811
        given = environment_of(config)
        ours = {name: given[name] for name in given if name.startswith("GATEHOUSE_")}
        self.operator = Operator(terminal, folder, **ours)
        self.wired = wire(config)

    def says(self, *words: str, **more: str) -> dict[str, dict[str, Any]]:
        """Return what is told of each check; of several findings the worst."""
        done = self.operator.types("doctor", "--json", *(words or ["--offline"]), **more)
        assert "Traceback" not in done.stderr, done.stderr
        told = json.loads(done.stdout)
        assert set(told) == {"healthy", "findings"}
        order = [state.value for state in State]
        found: dict[str, dict[str, Any]] = {}
        for one in sorted(told["findings"], key=lambda one: order.index(one["state"])):
            assert set(one) == {"check", "state", "says", "remedy"}
            assert bool(one["remedy"]) == (one["state"] in {"warning", "problem"}), one
            found[one["check"]] = one
        states = {one["state"] for one in told["findings"]}
        assert done.returncode == (1 if "problem" in states else 3 if "warning" in states else 0)
        assert told["healthy"] is ("problem" not in states)
        return found

    def writes(self, *statements: sa.Executable) -> None:
        with self.wired.database.writing() as tx:
            for statement in statements:
                tx.execute(statement)


@pytest.fixture
def doctor(
    config: Config,
    terminal: Terminal,  # noqa: F811
    tmp_path: Path,
) -> Iterator[Doctor]:
    """A deployment that is well: its keys are young, and all that happened is sealed."""
    found = Doctor(terminal, config, tmp_path)
    found.writes(sa.update(SigningKey).values(activated_at=now()))
    file = files.sqlite_file(config)
    if file:
        for path in (file, *file.parent.glob(f"{file.name}-*")):
            path.chmod(0o600)
    yield found
    found.wired.database.engine.dispose()


def state(found: dict[str, dict[str, Any]], check: str) -> str:
    return str(found[check]["state"])


# The whole


def test_a_deployment_that_is_well_is_said_to_be(
    doctor: Doctor, authority: Authority, certificate: ssl.SSLContext
) -> None:
    with post("starttls", certificate) as server:
        mail = {
            "GATEHOUSE_BASE_URL": "https://mfa.example.com",
            "GATEHOUSE_SMTP_URL": f"smtp://localhost:{server.port}",
            "GATEHOUSE_MAIL_FROM": "mfa@gate.example",
        }
        found = doctor.says(**mail)
        assert {one["state"] for one in found.values()} == {"fine", "skipped"}
        person = doctor.operator.types("doctor", "--offline", **mail)
    assert person.returncode == 0
    assert person.stdout.endswith("All is well.\n")
    assert "  signing_keys: All sign" in person.stdout


@ONE_DATABASE
def test_what_is_wrong_is_told_to_a_person_with_what_to_do(doctor: Doctor) -> None:
    warned = doctor.operator.types("doctor", "--offline")
    assert warned.returncode == 3
    assert "warning  settings: GATEHOUSE_BASE_URL is http://localhost" in warned.stdout
    assert "         Set it to the https:// address" in warned.stdout
    assert warned.stdout.endswith("Problems: 0. Warnings: 2.\n")
    doctor.writes(sa.delete(SigningKey))
    failed = doctor.operator.types("doctor", "--offline")
    assert failed.returncode == 1
    assert "PROBLEM  signing_keys: There is no" in failed.stdout
    assert "         Run: gatehouse init" in failed.stdout


@ONE_DATABASE
def test_nobody_is_called_who_is_not_to_be(doctor: Doctor) -> None:
    found = doctor.says("--offline")
    for check in ("mail_server", "providers", "certificate", "base_url"):
        assert found[check]["state"] == "skipped"
    assert (
        doctor.operator.types("doctor", "--offline", "--send-test-to", "a@b.example").returncode
        == 2
    )


# Settings and files


@ONE_DATABASE
def test_settings_that_can_t_be_used_are_all_told(doctor: Doctor) -> None:
    found = doctor.operator.types(
        "doctor", "--json", GATEHOUSE_LOG_FORMAT="xml", GATEHOUSE_DEFAULT_COUNTRY="Narnia"
    )
    assert found.returncode == 1
    says = [one["says"] for one in json.loads(found.stdout)["findings"]]
    assert [text.split(":")[0] for text in says] == [
        "GATEHOUSE_DEFAULT_COUNTRY",
        "GATEHOUSE_LOG_FORMAT",
    ]


@ONE_DATABASE
def test_a_variable_that_is_no_setting_is_told_with_what_it_may_mean(doctor: Doctor) -> None:
    good = {"GATEHOUSE_BASE_URL": "https://mfa.example.com", "GATEHOUSE_TRUSTED_PROXY": "127.0.0.1"}
    mail = {"GATEHOUSE_SMTP_URL": "smtp://mail.example", "GATEHOUSE_MAIL_FROM": "a@b.example"}
    found = doctor.says(**good, **mail)["settings"]
    assert found["state"] == "warning"
    assert found["says"].startswith("GATEHOUSE_TRUSTED_PROXY is not a setting")
    assert "GATEHOUSE_TRUSTED_PROXIES" in found["remedy"]
    bare_address = doctor.says(**mail, GATEHOUSE_BASE_URL="https://192.0.2.1")["settings"]
    assert "no passkey" in bare_address["says"]


def test_it_makes_nothing_where_nothing_is(
    terminal: Terminal,  # noqa: F811
    tmp_path: Path,
) -> None:
    newcomer = Operator(terminal, tmp_path, GATEHOUSE_DATA_DIR=str(tmp_path / "data"))
    found = newcomer.types("doctor", "--json")
    assert found.returncode == 1
    [one] = json.loads(found.stdout)["findings"]
    assert "secret_key" in one["says"]
    assert "encryption_keys" in one["says"]
    assert "gatehouse init" in one["remedy"]
    kept = {"GATEHOUSE_SECRET_KEY": "k" * 40, "GATEHOUSE_ENCRYPTION_KEYS": new_key()}
    told = json.loads(newcomer.types("doctor", "--json", **kept).stdout)["findings"]
    [database] = [one for one in told if one["check"] == "database"]
    assert database["state"] == "problem"
    assert database["remedy"] == "Run: gatehouse init"
    assert {one["state"] for one in told if one["check"] in {"clock", "worker", "base_url"}} == {
        "skipped"
    }
    assert not (tmp_path / "data").exists()


@ONE_DATABASE
@pytest.mark.parametrize("what", ["folder", "secret", "database"])
def test_what_others_can_read_is_told(doctor: Doctor, tmp_path: Path, what: str) -> None:
    secret = tmp_path / "encryption_keys"
    secret.touch(0o600)
    assert state(doctor.says(), "file_modes") == "fine"
    database = files.sqlite_file(doctor.wired.config)
    assert database
    path = {"folder": tmp_path, "secret": secret, "database": database}[what]
    before = stat.S_IMODE(path.stat().st_mode)
    path.chmod(before | 0o040)
    found = doctor.says()["file_modes"]
    path.chmod(before)
    assert found["state"] == "problem"
    assert str(path) in found["says"]
    assert re.search(r"chmod [67]00 ", found["remedy"])


@ONE_DATABASE
def test_a_network_share_and_a_full_disk_are_told(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, mounts = doctor.wired.config, tmp_path / "mounts"
    database = files.sqlite_file(config)
    assert database
    monkeypatch.setattr(files, "MOUNTS", mounts)

    def judged(kind: str, free: int) -> list[State]:
        mounts.write_text(f"/dev/a / ext4 rw 0 0\nb:/c {database.parent} {kind} rw 0 0\n")
        monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=free))
        return [one.state for one in check_disk(config)]

    assert judged("xfs", 50 << 30) == [State.FINE]
    assert judged("nfs4", 50 << 30) == [State.PROBLEM, State.FINE]
    assert judged("xfs", 900 << 20) == [State.WARNING]
    assert judged("xfs", 50 << 20) == [State.PROBLEM]


# The database


def test_a_schema_of_another_release_is_told(doctor: Doctor) -> None:
    assert state(doctor.says(), "database") == "fine"
    doctor.writes(sa.text("UPDATE alembic_version SET version_num = 'older'"))
    found = doctor.says()
    assert state(found, "database") == "problem"
    assert "gatehouse init" in found["database"]["remedy"]
    assert state(found, "signing_keys") == "skipped"


@ONE_DATABASE
def test_a_file_of_another_user_is_left_alone(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    wired, connected = wire(config), []
    sa.event.listen(wired.database.engine, "connect", lambda *_: connected.append(True))
    told = {one.check: one for one in examine(wired, offline=True)}
    assert told["database"].state is State.PROBLEM
    assert "as the user who runs Gatehouse" in told["database"].remedy
    assert told["clock"].state is State.SKIPPED
    assert connected == []


@ONE_DATABASE
def test_a_database_that_does_not_answer_is_told_without_its_password(doctor: Doctor) -> None:
    keep_secret("hushhush")
    url = "postgresql://nobody:hushhush@127.0.0.1:1/nothing"
    found = doctor.says(GATEHOUSE_DATABASE_URL=url)
    assert state(found, "database") == "problem"
    assert "refused" in found["database"]["says"]
    assert "hushhush" not in json.dumps(found)


def test_a_clock_that_is_off_is_told(config: Config) -> None:
    def judged(clock: FixedClock) -> Finding:
        wired = wire(config, clock)
        [found] = check_clock(wired)
        wired.database.engine.dispose()
        return found

    right = RunningClock()
    assert judged(right).state is State.FINE
    wired = wire(config, right)
    with wired.database.writing() as tx:
        wired.audit.record(tx, EventKind.SIGNING_KEY_ROTATED, OPERATOR, kid="k", use="result")
    wired.database.engine.dispose()
    assert judged(right).state is State.FINE
    right.advance(-3600)
    assert judged(right).state is State.PROBLEM
    assert "chrony" in judged(right).remedy or "clock right" in judged(right).remedy


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_clock_that_is_a_little_off_is_a_warning(config: Config) -> None:
    clock = RunningClock()
    for seconds, wanted in ((5, State.WARNING), (20, State.PROBLEM), (-35, State.WARNING)):
        clock.advance(seconds)
        wired = wire(config, clock)
        assert [one.state for one in check_clock(wired)] == [wanted]
        wired.database.engine.dispose()


# Keys


@ONE_DATABASE
def test_signing_keys_that_are_missing_old_or_shut_are_told(doctor: Doctor) -> None:
    assert state(doctor.says(), "signing_keys") == "fine"
    old = sa.update(SigningKey).where(SigningKey.use == "result")
    doctor.writes(old.values(activated_at=now() - timedelta(days=400)))
    found = doctor.says()["signing_keys"]
    assert (found["state"], found["remedy"]) == ("warning", "Run: gatehouse signing-keys rotate")
    other = new_key()
    found = doctor.says(GATEHOUSE_ENCRYPTION_KEYS=other)["signing_keys"]
    assert found["state"] == "problem"
    assert "can't be read" in found["says"]
    doctor.writes(
        sa.delete(SigningKey).where(SigningKey.state == "next", SigningKey.use == "entra")
    )
    found = doctor.says()["signing_keys"]
    assert found["says"] == "There is no next key for entra."
    assert found["remedy"] == "Run: gatehouse init"


@ONE_DATABASE
def test_encryption_keys_that_are_lost_or_not_needed_are_told(doctor: Doctor) -> None:
    ours = doctor.operator.environment["GATEHOUSE_ENCRYPTION_KEYS"]
    assert state(doctor.says(), "encryption_keys") == "fine"
    new = new_key()
    lost = doctor.says(GATEHOUSE_ENCRYPTION_KEYS=new)["encryption_keys"]
    assert lost["state"] == "problem"
    assert "the key test," in lost["says"]
    both = {"GATEHOUSE_ENCRYPTION_KEYS": f"{new},{ours}"}
    sealed = doctor.says(**both)["encryption_keys"]
    assert (sealed["state"], sealed["remedy"]) == (
        "warning",
        "Run: gatehouse encryption-keys rotate",
    )
    doctor.operator.gets("encryption-keys", "rotate", **both)
    free = doctor.says(**both)["encryption_keys"]
    assert free["state"] == "warning"
    assert "Nothing needs the old key test" in free["says"]
    doctor.operator.gets("api-keys", "create")
    assert state(
        doctor.says(**{**both, "GATEHOUSE_ENCRYPTION_KEYS": f"{ours},{new}"}), "encryption_keys"
    )
    doctor.writes(sa.update(ApiKey).values(secret_hash="test:" + ApiKey.secret_hash))
    hashed = doctor.says(**both)["encryption_keys"]
    assert hashed["state"] == "fine"
    assert "test must stay" in hashed["says"]


# Who carries messages


def mail_settings(server: Post, authority: Authority, password: str = PASSWORD) -> dict[str, str]:
    who = f"harbor:{password.replace(' ', '%20')}"
    return {
        "GATEHOUSE_SMTP_URL": f"smtp://{who}@localhost:{server.port}",
        "GATEHOUSE_MAIL_FROM": "Gatehouse <mfa@gate.example>",
        "GATEHOUSE_CA_FILE": str(authority.file),
    }


@ONE_DATABASE
def test_the_mail_server_is_signed_in_to_and_gets_no_message_unasked(
    doctor: Doctor, authority: Authority, certificate: ssl.SSLContext
) -> None:
    keep_secret(PASSWORD)
    with post("starttls", certificate) as server:
        good = mail_settings(server, authority)
        assert state(doctor.says("--json", **good), "mail_server") == "fine"
        assert server.tried == []
        asked = doctor.says("--send-test-to", "nadia@harbor.example", **good)
        assert state(asked, "test_message") == "fine"
        assert server.only().recipients == ["nadia@harbor.example"]
        wrong = doctor.says("--json", **mail_settings(server, authority, "wrong"))["mail_server"]
        assert wrong["state"] == "problem"
        assert "smtp_535" in wrong["says"]
        assert "password" in wrong["remedy"]
        stranger = doctor.says("--json", **{**good, "GATEHOUSE_CA_FILE": ""})["mail_server"]
        assert "certificate" in stranger["says"]
    gone = doctor.says("--send-test-to", "nadia@harbor.example", **good)
    assert state(gone, "mail_server") == state(gone, "test_message") == "problem"
    none = doctor.says("--send-test-to", "nadia@harbor.example")
    assert (state(none, "mail_server"), state(none, "test_message")) == ("skipped", "problem")


@ONE_DATABASE
def test_accounts_of_organizations_are_tried_as_far_as_nothing_is_sent(
    database_url: str,
    tmp_path: Path,
    authority: Authority,
    certificate: ssl.SSLContext,
) -> None:
    settings = {"outbound_networks": LOOPBACK, "ca_file": authority.file}
    wired = wire(make_config(database_url, tmp_path, **settings))

    def told() -> list[tuple[str, str]]:
        return [(one.state.value, one.says) for one in carriers.check_providers(wired)]

    assert [one for one, _ in told()] == ["skipped"]
    office = Office(wired, FixedClock(now()))
    with post("starttls", certificate) as server:
        keep_secret(PASSWORD)
        office.mail_server(server, username="harbor", password=PASSWORD)
        assert told() == [("fine", "1 accounts of organizations can be used.")]
        wrong = keep_secret("another password")
        office.mail_server(server, username="harbor", password=wrong)
        [(how, says)] = told()
        assert how == "problem"
        assert says.startswith("Number 2 of harbor (production): ")
        assert server.tried == []
    vendors_are_judged(office, database_url, tmp_path, settings)
    wired.database.engine.dispose()


def vendors_are_judged(
    office: Office, database_url: str, tmp_path: Path, settings: dict[str, Any]
) -> None:
    """See what is said of a vendor whose name is unknown, and of secrets that can't be read."""
    twilio = {"account_sid": "AC" + "0" * 32, "auth_token": keep_secret("t" * 32)}
    office.account("twilio", ["sms"], {**twilio, "sms_from": "+15005550006"})
    shut = wire(
        make_config(database_url, tmp_path, twilio_url="https://nowhere.invalid", **settings)
    )
    names = [one.says for one in carriers.check_providers(shut)]
    assert "Number 3 of harbor (production) can't be called: Its name is unknown." in names
    lost = wire(make_config(database_url, tmp_path, encryption_keys=new_key(), **settings))
    found = list(carriers.check_providers(lost))
    assert {one.state for one in found} == {State.PROBLEM}
    assert len(found) == 3
    assert "can't be read" in found[0].says
    for one in (shut, lost):
        one.database.engine.dispose()


# Where users come in


@ONE_DATABASE
def test_it_finds_itself_at_its_address_with_a_good_certificate(
    tls_server: Server,
    terminal: Terminal,  # noqa: F811
    tmp_path: Path,
) -> None:
    doctor = Doctor(terminal, tls_server.config, tmp_path)
    found = doctor.says("--json")
    assert (state(found, "certificate"), state(found, "base_url")) == ("fine", "fine")
    stranger = doctor.says("--json", GATEHOUSE_CA_FILE="")
    assert stranger["certificate"]["state"] == "problem"
    assert "certificate is refused" in stranger["certificate"]["says"]
    elsewhere = {"GATEHOUSE_DATABASE_URL": f"sqlite:///{tmp_path}/other.sqlite3"}
    doctor.operator.gets("init", **elsewhere)
    other = doctor.says("--json", **elsewhere)["base_url"]
    assert other["state"] == "problem"
    assert "another deployment" in other["says"]
    doctor.wired.database.engine.dispose()


@ONE_DATABASE
def test_an_address_without_us_behind_it_is_told(
    doctor: Doctor, authority: Authority, certificate: ssl.SSLContext
) -> None:
    with web(certificate) as other:
        address = {"GATEHOUSE_BASE_URL": f"https://localhost:{other.port}"}
        found = doctor.says("--json", **address, GATEHOUSE_CA_FILE=str(authority.file))
        assert state(found, "certificate") == "fine"
        assert "not Gatehouse" in found["base_url"]["says"]
    gone = doctor.says("--json", **address)
    assert state(gone, "certificate") == state(gone, "base_url") == "problem"
    assert "serve" in gone["base_url"]["remedy"]


@ONE_DATABASE
@pytest.mark.parametrize(
    ("life", "left", "wanted"),
    [
        (90, 60, State.FINE),
        (90, 20, State.WARNING),
        (90, 4, State.PROBLEM),
        (6, 3, State.FINE),
        (6, 1, State.WARNING),
    ],
)
def test_a_certificate_that_ends_soon_is_told_in_time(
    config: Config, tmp_path: Path, life: int, left: int, wanted: State
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begins, ends = now() - timedelta(days=life - left), now() + timedelta(days=left, hours=1)
    authority.issue_cert("localhost", not_before=begins, not_after=ends).configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with web(context) as served:
        url = f"https://localhost:{served.port}"
        moved = config.model_copy(update={"base_url": url, "ca_file": tmp_path / "ca.pem"})
        wired = wire(moved)
        [found] = check_certificate(wired)
        wired.database.engine.dispose()
    assert found.state is wanted, found.says


@ONE_DATABASE
def test_proxies_are_judged_by_the_addresses_that_came_through(doctor: Doctor) -> None:
    https = {"GATEHOUSE_BASE_URL": "https://mfa.example.com"}
    trusting = {**https, "GATEHOUSE_TRUSTED_PROXIES": "127.0.0.0/8"}
    assert state(doctor.says(**https), "proxies") == "skipped"
    happens(doctor.wired, address="127.0.0.1")
    hidden = doctor.says(**https)["proxies"]
    assert hidden["state"] == "warning"
    assert "GATEHOUSE_TRUSTED_PROXIES" in hidden["remedy"]
    assert "X-Forwarded-For" in doctor.says(**trusting)["proxies"]["remedy"]
    happens(doctor.wired, address="203.0.113.7")
    assert state(doctor.says(**trusting), "proxies") == "fine"
    everybody = doctor.says(**https, GATEHOUSE_TRUSTED_PROXIES="0.0.0.0/0")
    assert state(everybody, "proxies") == "problem"


def happens(wired: Services, address: str | None = None) -> None:
    """Let something be written down, and seal it."""
    with wired.database.writing() as tx:
        actor = Actor(name="operator", address=address)
        wired.audit.record(tx, EventKind.SIGNING_KEY_ROTATED, actor, kid="k", use="result")
    while wired.seals.seal():
        pass


# Workers and webhooks


def test_a_worker_that_does_nothing_is_told(doctor: Doctor) -> None:
    found = doctor.says()
    checks = ("sender", "webhook_sender", "seals")
    assert [state(found, check) for check in checks] == ["fine"] * 3
    hour_ago = now() - timedelta(hours=1)
    with doctor.wired.database.writing() as tx:
        harbor = doctor.wired.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Harbor"
        )
        tx.flush()
        hook = webhook(tx, harbor.id)
        tx.execute(sa.update(Event).values(at=hour_ago))
        tx.add(message(harbor.id, due_at=hour_ago))
        tx.add(delivery(hook.id, due_at=hour_ago))
    found = doctor.says()
    assert [state(found, check) for check in checks] == ["problem"] * 3
    said = "1 messages to people; the oldest has been due for "
    assert said in found["sender"]["says"]
    seconds = int(found["sender"]["says"].split(said)[1].split()[0])
    assert seconds >= 3600
    assert "gatehouse worker" in found["sender"]["remedy"]
    doctor.writes(
        sa.update(Message).values(due_at=now() + timedelta(hours=1)),
        sa.update(Event).values(at=now() - timedelta(seconds=60)),
        sa.update(Webhook).values(failing_since=hour_ago),  # its deliveries wait their turn
    )
    found = doctor.says()
    assert [state(found, check) for check in checks] == ["fine", "fine", "warning"]
    assert "1 messages to people; none is late." in found["sender"]["says"]


@ONE_DATABASE
def test_webhooks_that_fail_or_were_given_up_are_told(doctor: Doctor) -> None:
    with doctor.wired.database.writing() as tx:
        harbor = doctor.wired.organizations.create(
            tx, OPERATOR, environment=Environment.PRODUCTION, name="Harbor"
        )
        tx.flush()
        one = webhook(tx, harbor.id)
        webhook(tx, harbor.id, active=False)
    assert state(doctor.says(), "webhooks") == "fine"
    mine = sa.update(Webhook).where(Webhook.id == one.id)
    doctor.writes(mine.values(failing_since=now()))
    failing = doctor.says()["webhooks"]
    assert failing["state"] == "warning"
    assert one.id in failing["says"]
    assert "of harbor (production) has failed since" in failing["says"]
    doctor.writes(mine.values(active=False, failing_since=None, off_reason="gone", off_at=now()))
    assert "was switched off: gone" in doctor.says()["webhooks"]["says"]


def webhook(tx: Any, organization_id: uuid.UUID, *, active: bool = True) -> Webhook:
    made = Webhook(
        id=f"webhook_{uuid.uuid4().hex}",
        environment=Environment.PRODUCTION,
        organization_id=organization_id,
        name="Log",
        target_url="https://log.example/hook",
        event_codes=["*"],
        active=active,
        listens_from=now(),
        secret="",
        created_at=now(),
        updated_at=now(),
    )
    tx.add(made)
    tx.flush()
    return made


def message(organization_id: uuid.UUID, *, due_at: datetime) -> Message:
    return Message(
        organization_id=organization_id,
        channel="email",
        recipient="ada@harbor.example",
        name="code",
        subject="",
        body="",
        status=MessageStatus.QUEUED,
        due_at=due_at,
        created_at=due_at,
    )


def delivery(webhook_id: str, *, due_at: datetime) -> WebhookDelivery:
    return WebhookDelivery(
        webhook_id=webhook_id,
        message_id="msg_1",
        kind="user:created",
        body="{}",
        status=DeliveryStatus.WAITING,
        due_at=due_at,
        created_at=due_at,
    )
