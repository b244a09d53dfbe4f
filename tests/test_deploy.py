"""What lies in `deploy/`: linted by the tools that read it, and run where that is possible here."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import platform
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import yaml

from app.cli import gatehouse
from app.config import PREFIX, Config
from app.web.api_v2.imports import MOST_BYTES
from app.wiring import wire
from tests.conftest import (
    ONE_DATABASE,
    ROOT,
    Harbor,
    OverHttp,
    RunningClock,
    environment_of,
    make_config,
    wait_for,
)
from tests.ports import free_port
from tests.providers.servers import Authority

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SETTINGS = {PREFIX + name.upper() for name in Config.model_fields}
HADOLINT = Path(sys.executable).with_name("hadolint")


def needs(tool: str | Path, *, in_ci: bool = True) -> pytest.MarkDecorator:
    """Skip visibly where a tool is missing; where everything counts, let the test fail for it."""
    missing = shutil.which(tool) is None
    counts = in_ci and bool(os.environ.get("CI"))
    return pytest.mark.skipif(missing and not counts, reason=f"{Path(tool).name} is not here")


def ran(*words: str | Path) -> str:
    """Run a tool that must be content, and return what it said."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# Containers


@needs(HADOLINT, in_ci=platform.machine() == "x86_64")
def test_a_linter_finds_nothing_in_the_dockerfile() -> None:
    assert ran(HADOLINT, DEPLOY / "Dockerfile") == ""


def test_the_image_runs_as_nobody_special_and_holds_no_secret() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    final = text.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", final, re.M)
    assert re.search(r"^STOPSIGNAL SIGTERM$", final, re.M)
    assert "/healthz" in final
    assert "\nARG" not in text
    for name in ("SECRET", "KEYS", "PASSWORD", "DATABASE_URL", "SMTP_URL"):
        assert name not in text
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.M)
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignore  # nothing is sent but what is named
    let_in = {line[1:] for line in ignore if line.startswith("!")}
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
        assert any(Path(source).is_relative_to(one) for one in let_in), source
    for secret in ("var", ".env", ".git", ".venv"):
        assert secret not in let_in


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def test_the_compose_file_names_settings_and_commands_that_there_are() -> None:
    services = compose()["services"]
    assert set(services) == {"proxy", "migrate", "gateway", "worker", "database"}
    for name in ("migrate", "gateway", "worker"):
        ours = {one for one in services[name]["environment"] if one.startswith(PREFIX)}
        assert ours <= SETTINGS
        understands(services[name]["command"])
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
    published = {name for name, one in services.items() if one.get("ports")}
    assert published == {"proxy"}
    trusted = services["gateway"]["environment"]["GATEHOUSE_TRUSTED_PROXIES"]
    [front] = compose()["networks"]["front"]["ipam"]["config"]
    assert front["subnet"] == trusted
    assert "front" in services["proxy"]["networks"]
    assert compose()["networks"]["back"]["internal"] is True
    wanted = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text()))
    offered = set(re.findall(r"^([A-Z_]+)=", (DEPLOY / "compose.env").read_text(), re.M))
    assert wanted == offered


def understands(words: list[str]) -> None:
    """See that a command line is one of ours, without running it."""
    name, *options = words
    command = gatehouse.get_command(click.Context(gatehouse), name)
    assert command is not None, name
    command.make_context(name, options)


@needs("docker-compose", in_ci=False)
def test_compose_itself_takes_the_file() -> None:
    file, env = DEPLOY / "compose.yaml", DEPLOY / "compose.env"
    ran("docker-compose", "--file", file, "--env-file", env, "config", "--no-interpolate")


# systemd


@needs("systemd-analyze")
@pytest.mark.parametrize("unit", [path.name for path in UNITS])
def test_systemd_takes_each_unit_and_finds_it_closed(unit: str, tmp_path: Path) -> None:
    text = (DEPLOY / "systemd" / unit).read_text()
    for path in UNITS:  # one names the other
        (tmp_path / path.name).write_text(path.read_text().replace("/opt/gatehouse", str(ROOT)))
    assert ran("systemd-analyze", "verify", tmp_path / unit) == ""
    ran("systemd-analyze", "security", "--offline=yes", "--threshold=20", tmp_path / unit)
    [start] = re.findall(r"^ExecStart=/opt/gatehouse/\.venv/bin/gatehouse (.*)$", text, re.M)
    understands(shlex.split(start))


def test_the_environment_of_the_units_holds_settings_alone() -> None:
    text = (DEPLOY / "systemd" / "environment").read_text()
    named = set(re.findall(r"^(?:# )?(GATEHOUSE_[A-Z_]+)=", text, re.M))
    assert len(named) > 4
    assert named <= SETTINGS


# Proxies, run for real


@dataclass
class Proxied:
    """A gateway behind a proxy of another maker, over TLS."""

    base_url: str
    config: Config
    log: Path
    authority: Authority

    def asks(self, path: str, *, source: str, **headers: str) -> http.client.HTTPResponse:
        """Ask from another address of this machine."""
        port = urlsplit(self.base_url).port
        tls = ssl.create_default_context(cafile=self.authority.file)
        line = http.client.HTTPSConnection(
            "localhost", port, context=tls, source_address=(source, 0), timeout=20
        )
        with contextlib.closing(line):
            line.request("GET", path, headers=headers)
            answer = line.getresponse()
            answer.read()
            return answer


def nginx(folder: Path, port: int, upstream: int, certificate: Path, key: Path) -> list[str]:
    """Write the sample as it stands, but for names, and return the command that serves it."""
    sample = (DEPLOY / "nginx" / "gatehouse.conf").read_text()
    for old, new in {
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "server 127.0.0.1:8000;": f"server 127.0.0.1:{upstream};",
        "/etc/ssl/mfa.example.com.pem": str(certificate),
        "/etc/ssl/mfa.example.com.key": str(key),
        "/var/log/nginx/gatehouse.log": str(folder / "access.log"),
        "mfa.example.com": "localhost",
    }.items():
        assert old in sample
        sample = sample.replace(old, new)
    (folder / "gatehouse.conf").write_text(sample)
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    main = folder / "nginx.conf"
    main.write_text(
        f"{user}daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\n{temporary}include {folder}/gatehouse.conf;\n}}\n"
    )
    ran("nginx", "-t", "-q", "-c", main)
    return ["nginx", "-c", str(main)]


def caddy(folder: Path, port: int, upstream: int, certificate: Path, key: Path) -> list[str]:
    """Write the sample with a certificate of ours, as nobody gives one to this machine."""
    sample = (DEPLOY / "caddy" / "Caddyfile").read_text()
    opening = "{$SITE:mfa.example.com} {\n"
    assert opening in sample
    assert "{$UPSTREAM:127.0.0.1:8000}" in sample
    here = f"https://localhost:{port} {{\nbind 127.0.0.1\ntls {certificate} {key}\n"
    own = sample.replace(opening, here)
    own = own.replace("{$UPSTREAM:127.0.0.1:8000}", f"127.0.0.1:{upstream}")
    own = own.replace("\n{\n", "\n{\nadmin off\nauto_https disable_redirects\n", 1)
    file = folder / "Caddyfile"
    file.write_text(own)
    ran("caddy", "validate", "--config", file, "--adapter", "caddyfile")
    return ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"]


WRITERS = {"nginx": nginx, "caddy": caddy}


@pytest.fixture(
    params=[
        pytest.param("nginx", marks=needs("nginx")),
        pytest.param("caddy", marks=needs("caddy", in_ci=False)),
    ]
)
def proxied(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path, authority: Authority
) -> Iterator[Proxied]:
    """`gatehouse serve` on loopback, and the proxy in front of it."""
    port, upstream = free_port(), free_port()
    certificate, key = authority.files(tmp_path)
    config = make_config(
        database_url,
        tmp_path,
        base_url=f"https://localhost:{port}",
        trusted_proxies="127.0.0.1",
        address_limit="9999 per second",
    )
    log = tmp_path / "server.log"
    serve: list[str | Path] = [Path(sys.executable).with_name("gatehouse"), "serve", "--no-worker"]
    serve += ["--workers", "1", "--bind", f"127.0.0.1:{upstream}"]
    environment = environment_of(config) | {"GATEHOUSE_TRUSTED_PROXIES": "127.0.0.1"}
    words = WRITERS[request.param](tmp_path, port, upstream, certificate, key)
    found = Proxied(config.base_url, config, log, authority)
    home = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    with (
        log.open("wb") as stream,
        (tmp_path / "proxy.log").open("wb") as told,
        ending(subprocess.Popen(serve, env=environment, stderr=stream, cwd=ROOT)),
        ending(subprocess.Popen(words, env=home, stderr=told, stdout=told)),
    ):
        wait_for(lambda: answers(found))
        yield found


@contextlib.contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def answers(found: Proxied) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return found.asks("/readyz", source="127.0.0.1").status == 200
    return False


@ONE_DATABASE
def test_a_whole_sign_in_goes_through_the_proxy_of_the_sample(proxied: Proxied) -> None:
    wired = wire(proxied.config)
    carrier = OverHttp(proxied.base_url, proxied.authority.file)
    harbor = Harbor(carrier, wired, RunningClock(), proxied.base_url)
    browser = harbor.browser()
    browser.goes_to(harbor.notes.opens(harbor.ada, state="s" * 1024)["url"])
    browser.types(harbor.code(browser.sets_up()))
    browser.saves_codes()
    assert browser.back["result"]
    assert browser.back["state"] == "s" * 1024

    style = re.search(r'href="(/static/[^"]+\.css[^"]*)"', browser_page(harbor))
    assert style
    sheet = proxied.asks(style[1], source="127.0.0.1")
    assert "max-age=31536000" in str(sheet.headers["Cache-Control"])

    forged = proxied.asks("/readyz", source="127.0.0.2", **{"X-Forwarded-For": "198.51.100.9"})
    assert forged.status == 200
    wait_for(lambda: "peer=127.0.0.2 " in proxied.log.read_text(), 10)
    assert "198.51.100.9" not in proxied.log.read_text()

    large_bodies_pass_where_they_may(harbor)
    wired.database.engine.dispose()


def large_bodies_pass_where_they_may(harbor: Harbor) -> None:
    """See that 2 MB of users come through, and as much elsewhere does not."""
    row = json.dumps({"email": "grace@harbor.example", "profile": {"locale": "en"}})
    rows = f"{row}{' ' * 1000}\n".encode() * 2000
    kind = {"Content-Type": "application/x-ndjson"}
    taken = harbor.backend.calls("POST", "/org/harbor/users/import", data=rows, headers=kind)
    assert taken.status == 200, taken.text
    # It may hang up before all was said, or in the middle of its answer.
    with contextlib.suppress(OSError, http.client.HTTPException):
        refused = harbor.backend.calls("POST", "/org/harbor/users", data=rows, headers=kind)
        assert refused.status in {413, 502}  # Caddy before 2.7 says the latter


def browser_page(harbor: Harbor) -> str:
    browser = harbor.browser()
    return browser.goes_to(harbor.notes.opens(harbor.ada)["url"]).text


def test_the_samples_let_the_largest_import_through() -> None:
    most = MOST_BYTES // 1024**2
    [nginx_most] = re.findall(r"client_max_body_size (\d+)m;", sample_of("nginx/gatehouse.conf"))
    [caddy_most] = re.findall(r"@upload \{\n\s+max_size (\d+)MB", sample_of("caddy/Caddyfile"))
    assert int(nginx_most) > most
    assert int(caddy_most) * 1000**2 > MOST_BYTES


def sample_of(path: str) -> str:
    return (DEPLOY / path).read_text()
