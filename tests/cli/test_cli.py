"""The command line, as an operator types it: a process of its own, settings in its environment."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import click
import pytest

from app import config as settings
from app import jose
from app.cli import gatehouse as root
from app.config import Config
from tests.actors import Administrator, Application, Backend, Browser, Phone, keep_secret
from tests.conftest import ONE_DATABASE, PATIENCE, START, FixedClock, InProcess, environment_of
from tests.entra import APP_ID, REDIRECT_URI, TENANT
from tests.web.api_v2.shapes import is_refused
from tests.web.duo.sdks import PYTHON, Setting

GATEHOUSE = Path(sys.executable).with_name("gatehouse")
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def bare() -> dict[str, str]:
    """The environment of a machine on which nobody has set anything of ours."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GATEHOUSE_") and name != "PORT"
    }


def forget_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in set(os.environ) - set(bare()):
        monkeypatch.delenv(name)


Done = subprocess.CompletedProcess[str]


class Terminal:
    """Starts `gatehouse` without waiting for its imports each time; see `warm.py`."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("warm.py")],
            env=bare(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def runs(self, words: tuple[str, ...], folder: Path, environment: dict[str, str]) -> Done:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with TemporaryDirectory() as kept:
            out, err = Path(kept, "out"), Path(kept, "err")
            order = {
                "words": words,
                "folder": str(folder),
                "environment": environment,
                "out": str(out),
                "err": str(err),
            }
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            return Done(words, code, out.read_text(), err.read_text())

    def closes(self) -> None:
        self._process.communicate(timeout=PATIENCE)


@pytest.fixture(scope="session")
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.closes()


class Operator:
    """Somebody at a terminal, with settings in the environment."""

    def __init__(self, terminal: Terminal, folder: Path, **environment: str) -> None:
        self.terminal = terminal
        self.folder = folder
        self.environment = environment

    def types(self, *words: str, **more: str) -> Done:
        return self.terminal.runs(words, self.folder, {**bare(), **self.environment, **more})

    def starts(self, *words: str, **more: str) -> Done:
        """Run the console script itself."""
        return subprocess.run(
            [GATEHOUSE, *words],
            cwd=self.folder,
            env={**bare(), **self.environment, **more},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def gets(self, *words: str, **more: str) -> Any:
        """Run a command that must succeed, and read its JSON."""
        done = self.types(*words, "--json", **more)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
        return json.loads(done.stdout)

    def fails(self, *words: str, code: int = 1, **more: str) -> str:
        """Run a command that must fail, and read why: sentences, never a traceback."""
        done = self.types(*words, **more)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert len(done.stderr) < 2000
        return done.stderr


@pytest.fixture
def operator(config: Config, terminal: Terminal, tmp_path: Path) -> Operator:
    """One whose database is migrated, and is the one of the application in this process."""
    given = environment_of(config)
    ours = {name: given[name] for name in given if name.startswith("GATEHOUSE_")}
    return Operator(terminal, tmp_path, **ours)


@pytest.fixture
def newcomer(terminal: Terminal, tmp_path: Path) -> Operator:
    """One who has set nothing but where the data goes."""
    return Operator(terminal, tmp_path, GATEHOUSE_DATA_DIR=str(tmp_path / "data"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# First start


def test_the_first_start_makes_everything_and_the_second_changes_nothing(
    newcomer: Operator, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    first = newcomer.starts("init")
    assert first.returncode == 0, first.stderr
    said = first.stderr.splitlines()
    assert [line.split()[:2] for line in said] == [
        ["Made", f"{data}/secret_key."],
        ["Made", f"{data}/encryption_keys."],
    ]
    assert "Gatehouse is ready." in first.stdout
    assert mode(data) == 0o700
    files = {path.name: mode(path) for path in data.iterdir()}
    assert files == {"gatehouse.sqlite3": 0o600, "secret_key": 0o600, "encryption_keys": 0o600}
    secrets = {name: (data / name).read_text() for name in ("secret_key", "encryption_keys")}
    for secret in secrets.values():
        assert secret.strip() not in first.stdout + first.stderr
    before = newcomer.gets("demo-data")
    again = newcomer.types("init", "--json")
    assert again.stderr == ""
    assert json.loads(again.stdout)["signing_key"] == "kept"
    assert {name: (data / name).read_text() for name in secrets} == secrets
    assert newcomer.gets("demo-data")["users"] == before["users"]


def test_init_fills_an_empty_database_and_keeps_a_full_one(
    empty_database_url: str, newcomer: Operator
) -> None:
    with_password = empty_database_url.replace("postgres:@", "postgres:hush@")
    first, second = (newcomer.gets("init", GATEHOUSE_DATABASE_URL=with_password) for _ in range(2))
    assert first == {
        "database": with_password.replace(":hush@", ":***@"),
        "signing_key": "made",
        "base_url": "http://localhost:8000",
    }
    assert second == {**first, "signing_key": "kept"}


def test_secrets_from_the_environment_leave_no_file(newcomer: Operator, tmp_path: Path) -> None:
    done = newcomer.types(
        "init",
        GATEHOUSE_SECRET_KEY="s" * 32,
        GATEHOUSE_ENCRYPTION_KEYS="k1:" + "A" * 43 + "=",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"gatehouse.sqlite3"}


def at_once(count: int, imports: str, act: str, **environment: str) -> list[list[str]]:
    """Have processes do something at the same moment; return the words that each prints."""
    code = f"import sys; {imports}; print('ready', flush=True); sys.stdin.readline(); {act}"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**bare(), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(count)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=PATIENCE)[0].split() for process in started]
    assert {process.returncode for process in started} == {0}, told
    return told


def test_processes_that_start_together_make_each_secret_once(tmp_path: Path) -> None:
    answers = at_once(
        4,
        "from app.config import load; said = []",
        "c = load(said.append); print(c.secret_key.get_secret_value());"
        "print(c.encryption_keys.get_secret_value()); print(len(said))",
        GATEHOUSE_DATA_DIR=str(tmp_path / "data"),
    )
    assert len({(answer[0], answer[1]) for answer in answers}) == 1
    assert sum(int(answer[2]) for answer in answers) == 2
    assert names(tmp_path / "data") == ["encryption_keys", "secret_key"]


def test_so_do_containers_whose_processes_have_one_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads stand in for them: they, too, share a process id."""
    forget_settings(monkeypatch)
    for number in range(10):
        folder = tmp_path / str(number)
        monkeypatch.setenv("GATEHOUSE_DATA_DIR", str(folder))
        said: list[str] = []
        with ThreadPoolExecutor(8) as pool:
            loaded = list(pool.map(settings.load, [said.append] * 8))
        assert len({one.secret_key.get_secret_value() for one in loaded}) == 1
        assert len({one.encryption_keys.get_secret_value() for one in loaded}) == 1
        assert len(said) == 2
        assert names(folder) == ["encryption_keys", "secret_key"]
        assert {mode(path) for path in folder.iterdir()} == {0o600}


def test_a_secret_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    assert settings._write_once(path, "first")
    assert not settings._write_once(path, "second")
    assert path.read_text() == "first\n"
    assert names(tmp_path) == ["secret_key"]


def test_inits_at_once_leave_one_good_database(
    empty_database_url: str, newcomer: Operator, tmp_path: Path
) -> None:
    settings = {**newcomer.environment, "GATEHOUSE_DATABASE_URL": empty_database_url}
    at_once(3, "from app.cli import main", "sys.argv[1:] = ['init']; main()", **settings)
    told = newcomer.gets("init", GATEHOUSE_DATABASE_URL=empty_database_url)
    assert told["signing_key"] == "kept"


# demo-data


def test_the_demo_data_has_its_exact_shape(operator: Operator, client_wire: InProcess) -> None:
    demo = operator.gets("demo-data")
    keep_all(demo)
    assert set(demo) == {
        *("base_url", "account_domain", "api_key", "organization", "application", "users"),
        *("administrator", "v1_key", "oidc", "duo", "entra"),
    }
    assert set(demo["administrator"]) == {"email", "password", "totp_secret"}
    assert demo["base_url"] == "http://localhost"
    assert demo["account_domain"] == "harbor-account"
    assert set(demo["api_key"]) == {"client_id", "client_secret", "environment"}
    assert demo["api_key"]["environment"] == "sandbox"
    assert demo["organization"] == {"domain": "harbor"}
    assert set(demo["application"]) == {"client_id", "client_secret", "redirect_uri"}
    assert len(demo["users"]) >= 1
    for user in demo["users"]:
        assert set(user) == {"id", "email", "phone_number"}
        assert re.fullmatch(UUID, user["id"])
        assert re.fullmatch(r"\+[1-9]\d{7,14}", user["phone_number"])
    assert demo["v1_key"].startswith("sk_test_")
    bearer = {"Authorization": f"Bearer {demo['v1_key']}"}
    hello = client_wire.request("GET", "/v1/hello", headers=bearer).json
    assert (hello["organization"], hello["environment"]) == ("harbor", "sandbox")
    backend, notes = actors_of(demo, client_wire)
    assert backend.asks_token(domain=demo["account_domain"]).status == 200
    assert backend.calls("GET", "/org/harbor/totp-connection").json["active"] is True
    for user in demo["users"]:
        shown = backend.calls("GET", f"/org/harbor/users/{user['email']}").json
        assert {name: shown[name] for name in user} == user
        assert notes.asks(user["id"]).status == 201


def test_the_demo_data_has_an_openid_connect_client(
    operator: Operator, client_wire: InProcess
) -> None:
    demo = operator.gets("demo-data")
    keep_all(demo)
    shop = demo["oidc"]
    assert set(shop) == {"issuer", "client_id", "client_secret", "redirect_uri"}
    client = Application(client_wire, shop["client_id"], shop["client_secret"], "", "harbor", "")
    wishes = {
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": shop["redirect_uri"],
        "login_hint": demo["users"][0]["email"],
        "code_challenge": "a" * 43,
        "code_challenge_method": "S256",
    }
    pushed = client_wire.request("POST", "/oidc/par", headers=client.basic(), data=wishes)
    assert pushed.status == 201
    again = operator.gets("demo-data")["oidc"]
    keep_secret(again["client_secret"])
    assert again["client_id"] == shop["client_id"]


def test_the_demo_data_has_a_duo_client(operator: Operator, client_wire: InProcess) -> None:
    first, again = operator.gets("demo-data"), operator.gets("demo-data")
    for demo, status in ((first, 401), (again, 200)):
        keep_all(demo)
        made = demo["duo"]
        assert list(made) == ["host", "client_id", "client_secret", "redirect_uri"]
        on = Setting(
            made["client_id"],
            made["client_secret"],
            f"http://{made['host']}",
            made["redirect_uri"],
            True,
            START.timestamp(),
        )
        _, headers, body = PYTHON.checks_health(on)
        told = client_wire.request("POST", "/oauth/v1/health_check", headers=headers, data=body)
        assert told.status == status
    assert again["duo"]["client_id"] == first["duo"]["client_id"]


def keep_all(demo: dict[str, Any]) -> None:
    keep_secret(demo["api_key"]["client_secret"])
    keep_secret(demo["application"]["client_secret"])
    keep_secret(demo["v1_key"])
    keep_secret(demo["oidc"]["client_secret"])
    keep_secret(demo["duo"]["client_secret"])
    keep_secret(demo["administrator"]["password"])
    keep_secret(demo["administrator"]["totp_secret"])


def actors_of(demo: dict[str, Any], wire: InProcess) -> tuple[Backend, Application]:
    key, application = demo["api_key"], demo["application"]
    return (
        Backend(wire, key["client_id"], key["client_secret"]),
        Application(
            wire,
            application["client_id"],
            application["client_secret"],
            application["redirect_uri"],
            demo["organization"]["domain"],
            demo["base_url"],
        ),
    )


def test_a_second_run_keeps_the_ids_and_makes_new_secrets(
    operator: Operator, client_wire: InProcess, clock: FixedClock
) -> None:
    first = operator.gets("demo-data")
    keep_all(first)
    old_backend, old_notes = actors_of(first, client_wire)
    ada = first["users"][0]["id"]
    visit = Browser(client_wire, first["base_url"])
    visit.goes_to(old_notes.opens(ada)["url"])
    phone = visit.sets_up()
    visit.types(phone.code(clock.now()))
    visit.saves_codes()
    assert "result" in visit.back

    second = operator.gets("demo-data")
    keep_all(second)
    for old, new in ((first, second), (second, first)):
        for name in ("base_url", "account_domain", "organization", "users"):
            assert old[name] == new[name]
        assert old["v1_key"] != new["v1_key"]
        for name in ("api_key", "application"):
            assert old[name]["client_id"] == new[name]["client_id"]
            assert old[name]["client_secret"] != new[name]["client_secret"]
    assert old_backend.asks_token().status == 401
    is_refused(old_notes.asks(ada), 401, "unauthorized")
    backend, notes = actors_of(second, client_wire)
    assert backend.asks_token().status == 200
    visit = Browser(client_wire, second["base_url"])
    visit.goes_to(notes.opens(ada)["url"])
    assert visit.path.endswith("/set-up")


@ONE_DATABASE
def test_port_moves_the_demo_s_way_back(operator: Operator) -> None:
    def goes_back(**environment: str) -> str:
        demo = operator.gets("demo-data", **environment)
        return str(demo["application"]["redirect_uri"])

    assert goes_back() == "http://localhost:8001/callback"
    assert goes_back(PORT="9100") == "http://localhost:9101/callback"
    moved = goes_back(GATEHOUSE_BASE_URL="http://localhost:9200")
    assert moved == "http://localhost:9201/callback"


def test_a_port_that_is_none_is_told_by_name(newcomer: Operator, sqlite_ready: None) -> None:
    for port in ("x", "65535"):
        assert "PORT" in newcomer.fails("demo-data", code=2, PORT=port)


@pytest.fixture
def sqlite_ready(newcomer: Operator, sqlite_template: Path, tmp_path: Path) -> Iterator[None]:
    """A migrated database where the newcomer's would be."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/gatehouse.sqlite3").write_bytes(sqlite_template.read_bytes())
    yield


def signs_in(demo: dict[str, Any], wire: InProcess, clock: FixedClock) -> Administrator:
    given = demo["administrator"]
    phone = Phone(f"otpauth://totp/x?secret={given['totp_secret']}")
    nadia = Administrator(
        Browser(wire, demo["base_url"]),
        given["email"],
        given["password"],
        phone,
        clock.now,
        "/admin/sandbox/harbor",
    )
    nadia.signs_in()
    return nadia


def test_the_administrator_of_the_demo_data_signs_in_at_once(
    operator: Operator, client_wire: InProcess, clock: FixedClock
) -> None:
    first = operator.gets("demo-data")
    keep_all(first)
    clock.moment = datetime.now(UTC)  # noqa: TID251 (the command has the real time)
    assert signs_in(first, client_wire, clock).browser.path == "/admin/sandbox/harbor/"
    second = operator.gets("demo-data")
    keep_all(second)
    assert second["administrator"]["email"] == first["administrator"]["email"]
    nadia = Browser(client_wire, first["base_url"])
    nadia.goes_to("/admin/sign-in")
    old = first["administrator"]
    assert nadia.submits(email=old["email"], password=old["password"]).status == 422
    clock.moment = datetime.now(UTC)  # noqa: TID251
    assert signs_in(second, client_wire, clock).browser.path == "/admin/sandbox/harbor/"


def test_for_a_person_the_demo_data_is_told_in_lines(
    newcomer: Operator, sqlite_ready: None
) -> None:
    assert newcomer.types("init").returncode == 0
    told = newcomer.types("demo-data").stdout
    assert told.startswith("The demo data is there.\n")
    assert "ada@harbor.example" in told
    assert "http://localhost:8001/callback" in told
    assert not told.startswith("{")


# Making things


def as_backend(wire: InProcess, key: dict[str, Any]) -> Backend:
    return Backend(wire, key["client_id"], keep_secret(key["client_secret"]))


@ONE_DATABASE
def test_organizations_and_keys_are_made_for_the_api(
    operator: Operator, client_wire: InProcess
) -> None:
    made = operator.gets(
        *("organizations", "create", "Crédit Maritime", "--locale", "fr"),
        *("--email-domain", "maritime.example", "--email-domain", "Quay.example"),
    )
    assert made == {
        "id": made["id"],
        "name": "Crédit Maritime",
        "domain": "credit-maritime",
        "environment": "sandbox",
        "email_domains": ["maritime.example", "quay.example"],
        "totp_connection": "active",
    }
    other = operator.gets("organizations", "create", "Pier", "--domain", "p", "--no-totp")
    assert other["domain"] == "p"
    assert other["totp_connection"] == "inactive"

    account = operator.gets("api-keys", "create", "--name", "All")
    assert set(account) == {
        *("client_id", "client_secret", "environment", "account_domain", "organization"),
        *("api", "application"),
        "permissions",
    }
    assert account["account_domain"] == "harbor-account"
    assert account["organization"] is None
    assert account["permissions"] is None
    everywhere = as_backend(client_wire, account)
    listed = everywhere.calls("GET", "/organizations").json["data"]
    assert {one["domain"] for one in listed} == {"credit-maritime", "p"}
    assert everywhere.calls("GET", "/org/p/totp-connection").json["active"] is False

    narrow = as_backend(client_wire, operator.gets("api-keys", "create", "--organization", "p"))
    assert narrow.calls("GET", "/organizations").status == 403
    assert narrow.calls("GET", "/org/p/totp-connection").status == 200
    assert narrow.calls("GET", "/org/credit-maritime/totp-connection").status == 404

    live = operator.gets("api-keys", "create", "--environment", "production")
    assert live["environment"] == "production"
    assert as_backend(client_wire, live).calls("GET", "/organizations").json["total"] == 0


@ONE_DATABASE
def test_an_application_is_made_for_its_organizations(
    operator: Operator, client_wire: InProcess
) -> None:
    everywhere = as_backend(client_wire, operator.gets("api-keys", "create"))
    everywhere.calls("POST", "/organizations", json={"name": "Crédit Maritime"})
    path = "/org/credit-maritime"
    everywhere.calls("PUT", f"{path}/totp-connection", json={"active": True})
    everywhere.calls("POST", f"{path}/users", json={"email": "z@maritime.example"})
    uris = ["https://notes.example/callback", "https://notes.example/other"]
    registered = operator.gets(
        *("applications", "create", "Harbor Notes", "--organization", "credit-maritime"),
        *("--redirect-uri", uris[0], "--redirect-uri", uris[1]),
    )
    assert registered["redirect_uris"] == uris
    assert registered["organizations"] == ["credit-maritime"]
    assert registered["environment"] == "sandbox"
    for uri in uris:
        notes = Application(
            client_wire,
            registered["client_id"],
            keep_secret(registered["client_secret"]),
            uri,
            "credit-maritime",
            "http://localhost",
        )
        assert notes.asks("z@maritime.example").status == 201


def test_an_operator_makes_and_lists_keys_with_permissions(
    operator: Operator, client_wire: InProcess
) -> None:
    assert operator.types("api-keys", "list").stdout == "There are no API keys.\n"
    reading = ("--permission", "read:organizations", "--permission", "read:users")
    made = operator.gets("api-keys", "create", "--name", "Reader", *reading)
    assert made["permissions"] == ["read:organizations", "read:users"]
    reader = as_backend(client_wire, made)
    assert reader.calls("GET", "/organizations").status == 200
    assert reader.calls("POST", "/organizations", json={"name": "Pier"}).status == 403
    [listed] = operator.gets("api-keys", "list")
    assert listed == {
        "client_id": made["client_id"],
        "name": "Reader",
        "api": "v2",
        "organization": None,
        "permissions": made["permissions"],
        "blocked_at": None,
        "created_at": listed["created_at"],
    }
    assert operator.gets("api-keys", "list", "--environment", "production") == []
    told = operator.types("api-keys", "list").stdout.splitlines()
    assert told[0].split() == list(listed)
    assert "read:organizations, read:users" in told[1]
    assert made["client_secret"] not in "".join(told)


def test_an_operator_replaces_and_blocks_keys(operator: Operator, client_wire: InProcess) -> None:
    made = operator.gets("api-keys", "create")
    first = as_backend(client_wire, made)
    replaced = operator.gets("api-keys", "replace", made["client_id"], "--overlap-seconds", "60")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", replaced["previous_secret_until"])
    both = [first, as_backend(client_wire, replaced)]
    assert [one.asks_token().status for one in both] == [200, 200]
    last = operator.gets("api-keys", "replace", made["client_id"])
    assert last["previous_secret_until"] is None
    assert [one.asks_token().status for one in both] == [401, 401]
    now = as_backend(client_wire, last)
    assert now.calls("GET", "/organizations").status == 200

    blocked = operator.gets("api-keys", "block", made["client_id"])
    assert blocked["blocked_at"] is not None
    assert operator.gets("api-keys", "list") == [blocked]
    assert operator.gets("api-keys", "block", made["client_id"]) == blocked
    assert now.calls("GET", "/organizations").status == 401
    assert "blocked" in operator.fails("api-keys", "replace", made["client_id"])


def of_our_own(operator: Operator) -> dict[str, Any]:
    """Return the application of the demo that calls the REST API."""
    listed = operator.gets("applications", "list")
    [own] = [one for one in listed if one["protocol"] == "rest"]
    return dict(own)


def test_an_operator_says_which_methods_an_application_takes(operator: Operator) -> None:
    keep_all(operator.gets("demo-data"))
    listed = of_our_own(operator)
    client_id = listed["client_id"]
    narrowed = operator.gets("applications", "methods", client_id, "email", "app")
    assert narrowed["methods"] == ["app", "email"]
    assert operator.gets("applications", "methods", client_id) == listed
    uri = ("--redirect-uri", "https://wiki.example/back", "--method", "app")
    made = operator.gets("applications", "create", "Wiki", *uri)
    keep_secret(made["client_secret"])
    assert made["methods"] == ["app"]


def test_an_operator_registers_clients_of_openid_connect(
    operator: Operator, client_wire: InProcess, tmp_path: Path
) -> None:
    uri, create = (
        ("--redirect-uri", "https://shop.example/back"),
        ("applications", "create", "Shop"),
    )
    shop = operator.gets(*create, "--door", "oidc", *uri, "--without", "pushed")
    keep_secret(shop["client_secret"])
    assert (shop["protocol"], shop["issuer"]) == ("oidc", "http://localhost")
    pair = f"{shop['client_id']}:{shop['client_secret']}"
    basic = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    reply = client_wire.request("POST", "/oidc/par", data={"response_type": "code"}, headers=basic)
    assert (reply.status, reply.json["error"]) == (400, "invalid_request")  # known; all else misses
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(jose.export_public(jose.generate_key("ES256"))))
    by_key = ("--auth", "private_key_jwt", "--public-keys", str(keys))
    assert "client_secret" not in operator.gets(*create, "--door", "oidc", *uri, *by_key)


@ONE_DATABASE
def test_an_operator_registers_applications_of_one_organization(
    operator: Operator, client_wire: InProcess
) -> None:
    everywhere = as_backend(client_wire, operator.gets("api-keys", "create"))
    everywhere.calls("POST", "/organizations", json={"name": "Quay"})
    uri, quay = ("--redirect-uri", "https://shop.example/back"), ("--organization", "quay")
    create = ("applications", "create", "Shop")
    duo = operator.gets(*create, "--door", "duo", *uri, *quay)
    assert duo["duo_client_id"].startswith("DI")
    assert len(keep_secret(duo["client_secret"])) == 40
    ids = ("--app-id", APP_ID, "--tenant-id", TENANT, "--method", "app")
    entra = operator.gets(*create, "--door", "entra", *quay, *ids)
    found = client_wire.request("GET", urlsplit(entra["discovery_endpoint"]).path)
    assert found.json["authorization_endpoint"] == entra["reply_url"]
    assert entra["methods"] == ["app"]
    assert entra["redirect_uris"] == [REDIRECT_URI]
    cryptr = operator.gets(*create, "--door", "cryptr", *uri)
    assert cryptr["tenant_domain"]
    doors = {one["protocol"] for one in operator.gets("applications", "list")}
    assert doors == {"duo", "entra", "cryptr"}


@ONE_DATABASE
@pytest.mark.parametrize(
    ("code", "typed", "says"),
    [
        (2, "--redirect-uri https://x.example/ --door duo", "--organization"),
        (2, "--door entra --app-id x --organization quay", "--tenant-id"),
        (2, "--door entra --redirect-uri https://x.example/", "address of its own"),
        (2, "--door rest", "--redirect-uri"),
        (2, "--door duo --redirect-uri https://x.example/ --app-id x", "--app-id has no meaning"),
        (
            2,
            "--door rest --redirect-uri https://x.example/ --without pkce",
            "--without has no meaning",
        ),
        (1, "--door oidc --redirect-uri https://x.example/ --auth private_key_jwt", "public key"),
    ],
)
def test_what_a_protocol_wants_or_has_no_use_for_is_told(
    operator: Operator, client_wire: InProcess, code: int, typed: str, says: str
) -> None:
    everywhere = as_backend(client_wire, operator.gets("api-keys", "create"))
    everywhere.calls("POST", "/organizations", json={"name": "Quay"})
    told = operator.fails("applications", "create", "Shop", *typed.split(), code=code)
    assert says in told
    assert operator.gets("applications", "list") == []


def test_an_operator_rotates_and_deletes_applications(
    operator: Operator, client_wire: InProcess
) -> None:
    demo = operator.gets("demo-data")
    keep_all(demo)
    _, notes = actors_of(demo, client_wire)
    ada, client_id = demo["users"][0]["id"], notes.client_id
    listed = of_our_own(operator)
    assert listed == {
        "client_id": client_id,
        "name": "Harbor Notes",
        "protocol": "rest",
        "redirect_uris": [notes.redirect_uri],
        "organizations": None,
        "vouches_for_first_factor": False,
        "methods": [],
        "created_at": listed["created_at"],
    }
    for answer in ("yes", "no"):
        told = operator.gets("applications", "vouch", client_id, answer)
        assert told["vouches_for_first_factor"] is (answer == "yes")
        assert of_our_own(operator) == told
    rotated = operator.gets("applications", "rotate", client_id, "--overlap-seconds", "3600")
    fresh = replace(notes, client_secret=keep_secret(rotated["client_secret"]))
    assert [one.asks(ada).status for one in (notes, fresh)] == [201, 201]
    fresh_only = operator.gets("applications", "rotate", client_id)
    newest = replace(notes, client_secret=keep_secret(fresh_only["client_secret"]))
    assert [one.asks(ada).status for one in (notes, fresh, newest)] == [401, 401, 201]

    assert operator.gets("applications", "delete", client_id) == listed
    assert newest.asks(ada).status == 401
    assert "application" in operator.fails("applications", "delete", client_id)
    again = operator.gets("demo-data")
    keep_all(again)
    assert again["application"]["client_id"] != client_id
    assert actors_of(again, client_wire)[1].asks(ada).status == 201


def test_an_operator_rotates_applications_of_other_protocols_where_they_have_a_secret(
    operator: Operator,
) -> None:
    keep_all(operator.gets("demo-data"))
    operator.gets("applications", "delete", of_our_own(operator)["client_id"])
    others = operator.gets("applications", "list")
    assert {one["protocol"] for one in others} == {"oidc", "duo", "entra"}
    for one in others:
        if one["protocol"] == "entra":
            refused = operator.fails("applications", "rotate", one["client_id"])
            assert "It has none." in refused
        else:
            made = operator.gets("applications", "rotate", one["client_id"])["client_secret"]
            assert (len(made) == 40) is (one["protocol"] == "duo")
            keep_secret(made)
        operator.gets("applications", "delete", one["client_id"])
    assert operator.types("applications", "list").stdout == "There are no applications.\n"


def test_demo_data_connects_entra_and_a_second_run_keeps_that(
    operator: Operator, client_wire: InProcess
) -> None:
    first = operator.gets("demo-data")
    keep_all(first)
    told = client_wire.request(
        "GET", first["entra"]["discovery_url"].removeprefix(first["base_url"])
    )
    assert told.status == 200
    assert told.json["authorization_endpoint"] == first["entra"]["reply_url"]
    second = operator.gets("demo-data")
    keep_all(second)
    assert second["entra"] == first["entra"]


def test_demo_data_makes_a_new_key_for_a_blocked_one(
    operator: Operator, client_wire: InProcess
) -> None:
    first = operator.gets("demo-data")
    keep_all(first)
    operator.gets("api-keys", "block", first["api_key"]["client_id"])
    second = operator.gets("demo-data")
    keep_all(second)
    assert actors_of(first, client_wire)[0].asks_token().status == 401
    assert actors_of(second, client_wire)[0].calls("GET", "/organizations").json["total"] == 1


def test_an_operator_restores_what_was_deleted(operator: Operator, client_wire: InProcess) -> None:
    demo = operator.gets("demo-data")
    keep_all(demo)
    backend, notes = actors_of(demo, client_wire)
    ada = demo["users"][0]["id"]
    [before] = operator.gets("organizations", "list")
    assert (before["domain"], before["deleted_at"]) == ("harbor", None)
    assert operator.gets("organizations", "list", "--deleted") == []
    assert "harbor" not in operator.types("organizations", "list", "--deleted").stdout
    assert backend.calls("DELETE", "/organizations/harbor").status == 200
    assert notes.asks(ada).status == 404
    assert operator.gets("organizations", "list") == []
    [deleted] = operator.gets("organizations", "list", "--deleted")
    assert deleted == {**before, "deleted_at": deleted["deleted_at"]}
    wrong = operator.fails("organizations", "restore", "harbor", "--environment", "production")
    assert "deleted organization" in wrong
    restored = operator.gets("organizations", "restore", "harbor", "--environment", "sandbox")
    assert (restored["domain"], restored["name"]) == ("harbor", "Harbor")
    assert notes.asks(ada).status == 201
    assert operator.gets("organizations", "list") == [before]
    assert "deleted organization" in operator.fails("organizations", "restore", "harbor")


@ONE_DATABASE
def test_a_person_is_told_to_keep_the_secret(operator: Operator) -> None:
    told = operator.types("api-keys", "create").stdout
    assert "Keep the secret: it is not shown again." in told
    assert re.search(r"client_secret +ghk_[A-Za-z0-9_-]{43}\n", told)


IMPOSSIBLE = [
    (1, "name", "organizations create ''"),
    (1, "domain", "organizations create Pier --domain 'Not a slug'"),
    (1, "email_domains", "organizations create Pier --email-domain no_domain"),
    (2, "environment", "organizations create Pier --environment stage"),
    (2, "--redirect-uri", "applications create App"),
    (1, "redirect_uris", "applications create App --redirect-uri 'javascript:alert(1)'"),
    (1, "must use https", "applications create App --redirect-uri http://app.example"),
    (1, "organization", "api-keys create --organization nowhere"),
    (1, "name", "api-keys create --name ' '"),
    (2, "--permission", "api-keys create --permission read:everything"),
    (1, "API key", "api-keys block nonsense"),
    (1, "API key", f"api-keys replace {uuid.uuid4()}"),
    (2, "--overlap-seconds", "api-keys replace x --overlap-seconds 604801"),
    (2, "--overlap-seconds", "applications rotate x --overlap-seconds -1"),
    (1, "application", "applications rotate nonsense"),
    (1, "application", f"applications delete {uuid.uuid4()}"),
    (1, "deleted organization", "organizations restore nowhere"),
    (2, "--organization", "users reset-authenticators ada@x.example"),
    (2, "nonsense", "nonsense"),
    (2, "--keyfile", f"serve --certfile '{__file__}'"),
]


def test_what_can_t_be_made_is_told_in_a_sentence(
    newcomer: Operator, sqlite_ready: None, subtests: pytest.Subtests
) -> None:
    for code, says, words in IMPOSSIBLE:
        with subtests.test(words):
            assert says in newcomer.fails(*shlex.split(words), code=code)


@ONE_DATABASE
def test_a_slug_that_is_taken_is_refused(operator: Operator) -> None:
    assert operator.gets("organizations", "create", "Harbor")["domain"] == "harbor"
    assert "harbor" in operator.fails("organizations", "create", "Other", "--domain", "harbor")
    assert operator.gets("organizations", "create", "Harbor")["domain"] == "harbor-2"
    live = operator.gets("organizations", "create", "Harbor", "--environment", "production")
    assert live["domain"] == "harbor"


# Keys and people


def test_signing_keys_rotate_when_the_next_one_is_known(
    operator: Operator, client_wire: InProcess
) -> None:
    assert operator.gets("init")["signing_key"] == "kept"
    before = client_wire.request("GET", "/.well-known/jwks.json").json["keys"]
    rotated = operator.gets("signing-keys", "rotate")
    assert rotated["active"] in {key["kid"] for key in before}
    assert rotated["algorithm"] == "ES256"
    assert rotated["published_keys"] == 9  # two of each use, and the two that retired
    too_young = operator.fails("signing-keys", "rotate")
    assert re.search(r"Wait \d+ seconds", too_young)
    at_once = operator.gets("signing-keys", "rotate", "--at-once")
    assert at_once["active"] not in {key["kid"] for key in before}
    assert at_once["published_keys"] == 12


def test_encryption_keys_are_made_put_in_front_and_rotated(operator: Operator) -> None:
    operator.gets("demo-data")
    made = operator.gets("encryption-keys", "new")["key"]
    assert re.fullmatch(r"k[0-9a-f]{6}:[A-Za-z0-9+/]{43}=", made)
    old = operator.environment["GATEHOUSE_ENCRYPTION_KEYS"]
    both = {"GATEHOUSE_ENCRYPTION_KEYS": f"{made},{old}"}
    [alone] = operator.gets("encryption-keys", "list")
    assert (alone["key"], alone["state"], alone["needed"]) == ("test", "encrypts", True)
    rotated = operator.gets("encryption-keys", "rotate", **both)
    assert rotated == {"encrypted_anew": alone["encrypted"], "key_missing": 0}
    new, kept = operator.gets("encryption-keys", "list", **both)
    assert (new["state"], new["encrypted"]) == ("encrypts", alone["encrypted"])
    assert (kept["state"], kept["encrypted"], kept["needed"]) == ("decrypts", 0, True)
    assert kept["hashed"]["applications.secret_hash"] > 0
    lost = operator.types("encryption-keys", "rotate")
    assert lost.returncode == 1
    assert "Run: gatehouse encryption-keys list" in lost.stderr


def test_an_operator_resets_a_user_s_authenticators(
    operator: Operator, client_wire: InProcess, clock: FixedClock
) -> None:
    demo = operator.gets("demo-data")
    keep_all(demo)
    _, notes = actors_of(demo, client_wire)
    chidi = demo["users"][-1]
    reset = ["users", "reset-authenticators", chidi["email"], "--organization", "harbor"]

    def visits() -> Browser:
        browser = Browser(client_wire, demo["base_url"])
        browser.goes_to(notes.opens(chidi["id"])["url"])
        return browser

    for words, enrollment, page in (
        ([], "open", "/set-up"),
        (["--no-reopen"], "closed", "/blocked"),
    ):
        browser = visits()
        phone = browser.sets_up()
        browser.types(phone.code(clock.now()))
        browser.saves_codes()
        assert visits().path.endswith("/verify")
        told = operator.gets(*reset, *words)
        assert told == {"user": chidi["id"], "removed": 1, "enrollment": enrollment}
        assert visits().path.endswith(page)
    assert "organization" in operator.fails(*reset, "--environment", "production")
    reset[2] = "nobody@harbor.example"
    assert "user" in operator.fails(*reset)


# Help


def commands(group: click.Group, *names: str) -> Iterator[tuple[list[str], click.Command]]:
    for name, command in group.commands.items():
        yield [*names, name], command
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)


def test_every_command_explains_itself(newcomer: Operator) -> None:
    help_of_all = newcomer.starts("--help")
    assert help_of_all.returncode == 0
    assert help_of_all.stderr == ""
    assert "GATEHOUSE_BASE_URL" in help_of_all.stdout
    found = list(commands(root))
    assert len(found) >= 12
    for names, command in found:
        if len(names) == 1 and not command.hidden:
            assert f"\n  {names[0]} " in help_of_all.stdout
        told = helped(names)
        summary = re.search(r"\n\n  (\S.*)", told)
        assert summary is not None, names
        assert re.match(r"[A-Z].*", summary[1]), names
        assert command.help is not None
        assert command.help.strip().endswith("."), names
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name != "workers":
                assert parameter.help, (names, parameter.name)
                assert parameter.help.strip().endswith("."), (names, parameter.name)


def test_no_summary_in_a_list_of_commands_is_cut_off(newcomer: Operator) -> None:
    lists = [newcomer.types("--help", COLUMNS="80").stdout]
    lists += [
        helped(names) for names, command in commands(root) if isinstance(command, click.Group)
    ]
    for text in lists:
        cut = [line for line in text.splitlines() if line.endswith("...") and "Usage" not in line]
        assert cut == []


def helped(names: list[str]) -> str:
    from click.testing import CliRunner

    done = CliRunner().invoke(root, [*names, "--help"])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Usage: ")
    return done.output


def test_without_a_command_the_help_is_shown(newcomer: Operator) -> None:
    done = newcomer.types()
    assert done.returncode in {0, 2}
    assert "Usage: gatehouse [OPTIONS] COMMAND" in done.stdout + done.stderr


# Serving


def test_serve_refuses_without_the_schema(newcomer: Operator, tmp_path: Path) -> None:
    for words in (["serve"], ["organizations", "create", "Pier"]):
        assert "gatehouse init" in newcomer.fails(*words)


def test_a_database_that_does_not_answer_is_told_by_its_variable(newcomer: Operator) -> None:
    for command, url in (
        ("init", "postgresql://nobody:hush@127.0.0.1:1/nothing"),
        ("serve", "sqlite:////nowhere/at/all/gatehouse.sqlite3"),
    ):
        told = newcomer.fails(command, GATEHOUSE_DATABASE_URL=url)
        assert "GATEHOUSE_DATABASE_URL" in told
        assert "hush" not in told


# Settings


BROKEN = [
    ("BASE_URL", "http://mfa.example.com", "https://"),
    ("BASE_URL", "http://0.0.0.0:8000", "https://"),
    ("BASE_URL", "https://mfa.example.com/gatehouse", "nothing after"),
    ("BASE_URL", "https://mfa.example.com/?x=1", "nothing after"),
    ("BASE_URL", "https://mfa.example.com#x", "nothing after"),
    ("BASE_URL", "https://user@mfa.example.com", "nothing after"),
    ("BASE_URL", "ftp://mfa.example.com", "such as"),
    ("BASE_URL", "mfa.example.com", "such as"),
    ("BASE_URL", "https://", "such as"),
    ("BASE_URL", "https://mfa.example.com:port", ""),
    ("BASE_URL", "https://mfa.example.com:99999", ""),
    ("BASE_URL", "https://[::1", ""),
    ("BASE_URL", "https://mfa.example.com:", "ASCII"),
    ("BASE_URL", "https://mfa.example.com:0", "ASCII"),
    ("BASE_URL", "https://mfa.example.com bad", "ASCII"),
    ("BASE_URL", "https://mfa.example.com;x", "ASCII"),
    ("BASE_URL", "https://münchen.example", "ASCII"),
    ("DATABASE_URL", "nonsense", "postgresql://"),
    ("DATABASE_URL", "mysql://root@localhost/x", "postgresql://"),
    ("DATABASE_URL", "postgresql://user:pa:ss@host:port/name", ""),
    ("DATABASE_URL", "sqlite+aiosqlite:///x", "sqlite:///"),
    ("SECRET_KEY", "short", "32"),
    ("SECRET_KEY", "x" * 31, "32"),
    ("DEFAULT_COUNTRY", "Narnia", "two letters"),
    ("ENCRYPTION_KEYS", "nonsense", "<id>:<base64>"),
    ("ENCRYPTION_KEYS", "k1:%%%", "base64"),
    ("ENCRYPTION_KEYS", "k1:QUJD", "32 bytes"),
    ("ENCRYPTION_KEYS", ":" + "A" * 43 + "=", "<id>:<base64>"),
    ("ENCRYPTION_KEYS", "k1:" + "A" * 43 + "=,k1:" + "B" * 43 + "=", "twice"),
    ("ENCRYPTION_KEYS", ",", "at least one"),
    ("TRUSTED_PROXIES", "junk", "junk"),
    ("TRUSTED_PROXIES", "10.0.0.0/8, 10.0.0.300", "10.0.0.300"),
    ("TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.1/8"),
    ("TRUSTED_PROXIES", "*", "*"),
    ("LOG_FORMAT", "xml", "json"),
    ("SIGNING_ALGORITHM", "HS256", "ES256"),
    ("SIGNING_ALGORITHM", "none", "ES256"),
    ("ACCOUNT_DOMAIN", "x" * 101, "100"),
    ("SMTP_URL", "smtp://user:hushhush@mail.example/path", "smtp://"),
    ("SMTP_URL", "smtp://user:hush/hush@mail.example", "smtp://"),
    ("SMTP_URL", "smtps://user:hushhush@mail.example?tls=none", "smtps://"),
    ("SMTP_URL", "smtp://user:hushhush@mail.example", "GATEHOUSE_MAIL_FROM"),
    ("COUNTRY_HEADER", "CF-IPCountry", "GATEHOUSE_TRUSTED_PROXIES"),
    ("COUNTRY_HEADER", "CF: IPCountry", "name of a header"),
    ("MAIL_FROM", "Gatehouse", "such as"),
    ("MAIL_FROM", "Gatehouse <a@b.example, c@d.example>", "such as"),
    ("OUTBOUND_NETWORKS", "10.0.0.1/8", "10.0.0.1/8"),
    ("CA_FILE", "/nonexistent/ca.pem", "PEM"),
    ("CA_FILE", "/dev/null", "PEM"),
    ("TWILIO_URL", "api.twilio.com", "https://"),
    ("VONAGE_URL", "https://user@rest.nexmo.com", "user name"),
]


def test_a_setting_that_can_t_be_used_is_told_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    forget_settings(monkeypatch)
    monkeypatch.setenv("GATEHOUSE_DATA_DIR", str(tmp_path / "data"))
    for name, value, says in BROKEN:
        with subtests.test(f"{name}={value[:60]}"), monkeypatch.context() as here:
            here.setenv(f"GATEHOUSE_{name}", value)
            with pytest.raises(settings.ConfigError) as refused:
                settings.load()
            told = str(refused.value)
            assert told.startswith(f"GATEHOUSE_{name}: ")
            assert says in told
            assert "\n" not in told
            if name in {"SECRET_KEY", "ENCRYPTION_KEYS", "DATABASE_URL"}:
                for part in re.split(r"[:,@]", value):
                    assert len(part) < 5 or part not in told
            assert "hush" not in told


def test_all_settings_that_can_t_be_used_are_told_at_once(newcomer: Operator) -> None:
    broken = {
        "GATEHOUSE_BASE_URL": "http://mfa.example.com",
        "GATEHOUSE_DATABASE_URL": "nonsense",
        "GATEHOUSE_SECRET_KEY": "short",
        "GATEHOUSE_ENCRYPTION_KEYS": "nonsense",
        "GATEHOUSE_TRUSTED_PROXIES": "junk",
        "GATEHOUSE_LOG_FORMAT": "xml",
    }
    told = newcomer.fails("init", code=2, **broken).splitlines()
    assert told[0] == "A setting can't be used."
    assert [line.split(":")[0] for line in told[1:]] == list(broken)


GOOD = [
    ("BASE_URL", "https://MFA.Example.com/", "base_url", "https://mfa.example.com"),
    ("BASE_URL", "https://mfa.example.com:443", "base_url", "https://mfa.example.com"),
    ("BASE_URL", "https://mfa.example.com:8443", "base_url", "https://mfa.example.com:8443"),
    ("BASE_URL", "http://127.0.0.1:8000", "base_url", "http://127.0.0.1:8000"),
    ("BASE_URL", "http://[::1]:8000", "base_url", "http://[::1]:8000"),
    ("BASE_URL", "http://localhost:80", "base_url", "http://localhost"),
    ("BASE_URL", "", "base_url", "http://localhost:8000"),
    ("DATABASE_URL", "postgres://u@h/n", "database", "postgresql+psycopg://u@h/n"),
    ("DATABASE_URL", "postgresql://u:p%40s@h/n", "database", "postgresql+psycopg://u:p%40s@h/n"),
    ("DATABASE_URL", "sqlite:////srv/g.sqlite3", "database", "sqlite:////srv/g.sqlite3"),
    ("LOG_FORMAT", "json", "log_format", "json"),
    ("SIGNING_ALGORITHM", "Ed25519", "signing_algorithm", "Ed25519"),
    ("MAIL_FROM", "Gatehouse <mfa@example.com>", "mail_from", "Gatehouse <mfa@example.com>"),
    ("TWILIO_URL", "https://api.ie1.twilio.com/", "twilio_url", "https://api.ie1.twilio.com"),
    ("VONAGE_URL", "", "vonage_url", "https://rest.nexmo.com"),
]


def test_a_good_setting_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    forget_settings(monkeypatch)
    monkeypatch.setenv("GATEHOUSE_DATA_DIR", str(tmp_path))
    for name, value, attribute, kept in GOOD:
        with subtests.test(f"{name}={value}"), monkeypatch.context() as here:
            here.setenv(f"GATEHOUSE_{name}", value)
            assert getattr(settings.load(), attribute) == kept
    monkeypatch.setenv("GATEHOUSE_TRUSTED_PROXIES", "10.0.0.0/8, ::1 ,192.0.2.7")
    networks = settings.load().trusted_proxies
    assert [str(network) for network in networks] == ["10.0.0.0/8", "::1/128", "192.0.2.7/32"]
    monkeypatch.setenv("GATEHOUSE_OUTBOUND_NETWORKS", "10.1.0.0/16, fd00::/8")
    networks = settings.load().outbound_networks
    assert [str(network) for network in networks] == ["10.1.0.0/16", "fd00::/8"]
    monkeypatch.setenv("GATEHOUSE_MAIL_FROM", "mfa@example.com")
    monkeypatch.setenv("GATEHOUSE_SMTP_URL", "smtps://u:hush@mail.example")
    assert "hush" not in repr(settings.load())


def test_settings_never_show_their_secrets(config: Config) -> None:
    shown = repr(config) + str(config)
    assert config.secret_key.get_secret_value() not in shown
    assert config.encryption_keys.get_secret_value() not in shown
    assert config.database not in shown


def test_a_secret_file_that_was_damaged_is_told_by_its_name(
    newcomer: Operator, sqlite_ready: None, tmp_path: Path
) -> None:
    (tmp_path / "data/encryption_keys").write_text("damaged\n")
    assert "GATEHOUSE_ENCRYPTION_KEYS" in newcomer.fails("init", code=2)
    (tmp_path / "data/encryption_keys").unlink()
    (tmp_path / "data/secret_key").write_text("\n")
    assert "GATEHOUSE_SECRET_KEY" in newcomer.fails("init", code=2)


def test_a_data_folder_that_can_t_be_made_is_told_by_its_name(
    terminal: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    nobody = Operator(terminal, tmp_path, GATEHOUSE_DATA_DIR=str(tmp_path / "file/data"))
    assert "GATEHOUSE_DATA_DIR" in nobody.fails("init", code=2)


# Administrators


def follows(demo_link: str, wire: InProcess, base_url: str) -> Browser:
    keep_secret(demo_link.partition("=")[2])
    browser = Browser(wire, base_url)
    browser.goes_to(demo_link)
    return browser


def test_the_first_owner_comes_in_by_a_link(
    operator: Operator, client_wire: InProcess, clock: FixedClock
) -> None:
    operator.gets("organizations", "create", "Pier")
    nobody = operator.gets("administrators", "list", "--organization", "pier")
    assert nobody == []
    command = ("administrators", "create", "ann@pier.example", "--organization", "pier")
    invited = operator.gets(*command)
    assert set(invited) == {"email", "organization", "role", "link", "expires_at"}
    assert (invited["role"], invited["organization"]) == ("owner", "pier")
    clock.moment = datetime.now(UTC)  # noqa: TID251 (the command has the real time)
    ann = follows(invited["link"], client_wire, "http://localhost")
    ann.submits(name="Ann Ek", password=keep_secret("violet trams over the pier"))
    phone = ann.sets_up()
    ann.types(phone.code(clock.now()))
    ann.saves_codes()
    assert ann.path == "/admin/sandbox/pier/"
    [row] = operator.gets("administrators", "list", "--organization", "pier")
    assert (row["email"], row["name"], row["role"]) == ("ann@pier.example", "Ann Ek", "owner")
    assert "is an administrator here already" in operator.fails(*command)

    again = operator.gets("administrators", "start-over", "ann@pier.example", "--phone-too")
    fresh = follows(again["link"], client_wire, "http://localhost")
    fresh.submits(password=keep_secret("grey herons under the pier"))
    assert fresh.path.endswith("/set-up")


def test_who_can_not_be_invited_is_told(operator: Operator) -> None:
    operator.gets("organizations", "create", "Pier")
    for command, told in (
        (("create", "ann@pier.example", "--organization", "nowhere"), "No such organization"),
        (("create", "no address", "--organization", "pier"), "email"),
        (("start-over", "ann@pier.example"), "No such administrator"),
        (("list", "--organization", "nowhere"), "No such organization"),
    ):
        assert told in operator.fails("administrators", *command), command


@pytest.mark.parametrize("environment", ["administration", "default"])
def test_nothing_is_made_in_the_world_of_administrators(
    operator: Operator, environment: str
) -> None:
    for command in (
        ("organizations", "create", "X"),
        ("api-keys", "create", "X"),
        ("administrators", "create", "x@x.example", "--organization", "gatehouse"),
    ):
        operator.fails(*command, "--environment", environment, code=2)
