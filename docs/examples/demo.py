"""Runs the demo: Gatehouse, and Harbor Notes beside it as an application that asks."""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

CHECKOUT = Path(__file__).resolve().parents[2]
GATEHOUSE = Path(sys.executable).with_name("gatehouse")
START_WITHIN = 60  # seconds
STOP_WITHIN = 15
# These would lead the demo to the data of another deployment.
NOT_OURS = {"GATEHOUSE_DATABASE_URL", "GATEHOUSE_SECRET_KEY", "GATEHOUSE_ENCRYPTION_KEYS"}


class DemoError(Exception):
    """The demo can't start or go on; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Where everything goes.

    Attributes:
        tls: certificate and key files, when both serve HTTPS.
    """

    port: int
    data_dir: Path
    tls: tuple[Path, Path] | None

    @property
    def gateway_url(self) -> str:
        """Where browsers find Gatehouse."""
        return f"{self._scheme}://localhost:{self.port}"

    @property
    def application_url(self) -> str:
        """Where browsers find Harbor Notes."""
        return f"{self._scheme}://localhost:{self.port + 1}"

    @property
    def _scheme(self) -> str:
        return "https" if self.tls else "http"

    @property
    def tls_options(self) -> list[str]:
        """The options by which both servers take the certificate."""
        if not self.tls:
            return []
        return ["--certfile", str(self.tls[0]), "--keyfile", str(self.tls[1])]

    @property
    def environ(self) -> dict[str, str]:
        """The environment of everything that the demo starts."""
        kept = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
        return kept | {
            "PORT": str(self.port),
            "GATEHOUSE_BASE_URL": self.gateway_url,
            "GATEHOUSE_DATA_DIR": str(self.data_dir),
            "NO_PROXY": "localhost",
            "no_proxy": "localhost",
            "PYTHONUNBUFFERED": "1",
        }


class Stop:
    """Remembers that somebody asked the demo to end."""

    def __init__(self) -> None:
        self.asked = False
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, self._ask)

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True


class Child:
    """One of the two servers; what it says goes to a file."""

    def __init__(self, name: str, command: list[str], environ: dict[str, str], log: Path) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as file:
            self._begin = file.tell()
            # In a group of its own, Ctrl-C reaches only us, and we end the children in order.
            self._process = subprocess.Popen(  # noqa: S603
                command,
                cwd=CHECKOUT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                process_group=0,
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def ask_to_end(self) -> None:
        """Tell it to end in good order."""
        if self.running:
            self._process.terminate()

    def end(self, within: float) -> None:
        """Wait for its end; end it and its workers by force when it takes too long."""
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def last_words(self) -> str:
        """Return the last lines that it wrote in this run."""
        with self._log.open("rb") as file:
            file.seek(self._begin)
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-15:])


def main() -> int:
    """Start both, say so, and wait until somebody ends it: 0; a child that dies makes it 1."""
    options = _options()
    stop = Stop()
    children: list[Child] = []
    try:
        plan = _plan(options)
        _check_ports(plan)
        data = _prepare(plan)
        children += [_gateway(plan), _harbor_notes(plan, data)]
        ready = _wait_until_ready(plan, children, stop)
        if ready:
            _say(plan, data, as_json=options.json)
        _watch(children, stop)
    except DemoError as error:
        # An end that was asked for is no fault, even if it reached a child first.
        if not stop.asked:
            print(error, file=sys.stderr)
            return 1
    finally:
        _end(children)
    if not options.json:
        print("\nStopped.")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="PORT moves it: Gatehouse takes PORT, Harbor Notes PORT + 1."
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    parser.add_argument("--certfile", type=Path, help="certificate (PEM), to serve HTTPS")
    parser.add_argument("--keyfile", type=Path, help="the certificate's private key (PEM)")
    parser.add_argument("--data-dir", type=Path, default=CHECKOUT / "var" / "demo")
    options = parser.parse_args()
    if bool(options.certfile) != bool(options.keyfile):
        parser.error("--certfile and --keyfile go together")
    for file in filter(None, (options.certfile, options.keyfile)):
        if not file.is_file():
            parser.error(f"{file} is not a file")
    return options


def _plan(options: argparse.Namespace) -> Plan:
    text = os.environ.get("PORT") or "8000"
    port = int(text) if re.fullmatch("[0-9]{1,5}", text) else 0
    if not 0 < port < 65535:
        raise DemoError(f"PORT: {text[:20]!r} is not a port. Take a number from 1024 to 65534.")
    if not GATEHOUSE.exists():
        raise DemoError("Gatehouse is not installed beside this Python. Type: make demo")
    tls = (options.certfile.resolve(), options.keyfile.resolve()) if options.certfile else None
    return Plan(port=port, data_dir=options.data_dir.resolve(), tls=tls)


def _check_ports(plan: Plan) -> None:
    for port in (plan.port, plan.port + 1):
        if _is_taken(port):
            raise DemoError(
                f"Port {port} is taken, and the demo needs {plan.port} and {plan.port + 1}. "
                f"Move it: PORT={plan.port + 1000 if plan.port < 64000 else 9000} make demo"
            )


def _is_taken(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _prepare(plan: Plan) -> dict[str, Any]:
    """Make schema and keys, and the people of the demo; nothing that is there is removed."""
    plan.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    _run(plan, "init")
    answer = _run(plan, "demo-data", "--json")
    try:
        data: dict[str, Any] = json.loads(answer)
    except ValueError:
        raise DemoError(f"gatehouse demo-data printed no JSON:\n{answer}") from None
    return data | {"application_url": plan.application_url}


def _run(plan: Plan, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603
        [GATEHOUSE, *arguments],
        cwd=CHECKOUT,
        env=plan.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise DemoError(f"gatehouse {arguments[0]} failed:\n{said}")
    return done.stdout


def _gateway(plan: Plan) -> Child:
    command = [str(GATEHOUSE), "serve", "--bind", f"127.0.0.1:{plan.port}", *plan.tls_options]
    return Child("Gatehouse", command, plan.environ, plan.data_dir / "gatehouse.log")


def _harbor_notes(plan: Plan, data: dict[str, Any]) -> Child:
    application = data["application"]
    environ = plan.environ | {
        "PYTHONPATH": str(Path(__file__).resolve().parent),
        "HARBOR_GATEWAY_URL": data["base_url"],
        "HARBOR_CLIENT_ID": application["client_id"],
        "HARBOR_CLIENT_SECRET": application["client_secret"],
        "HARBOR_REDIRECT_URI": application["redirect_uri"],
        "HARBOR_ORGANIZATION": data["organization"]["domain"],
        "HARBOR_ENVIRONMENT": data["api_key"]["environment"],
        "HARBOR_USERS": json.dumps(data["users"]),
        "HARBOR_SECRET_KEY": secrets.token_urlsafe(32),
        "HARBOR_CA_FILE": str(plan.tls[0]) if plan.tls else "",
    }
    command = [sys.executable, "-m", "harbor_notes", "--port", str(plan.port + 1)]
    return Child(
        "Harbor Notes", command + plan.tls_options, environ, plan.data_dir / "harbor-notes.log"
    )


def _wait_until_ready(plan: Plan, children: list[Child], stop: Stop) -> bool:
    """Wait until both answer; False if somebody ends the demo before."""
    answers = _probe(plan)
    waiting = [f"{plan.gateway_url}/readyz", f"{plan.application_url}/healthz"]
    deadline = time.monotonic() + START_WITHIN
    while waiting and not stop.asked:
        _check_alive(children)
        waiting = [url for url in waiting if not answers(url)]
        if time.monotonic() > deadline:
            raise DemoError(
                f"No answer from {waiting[0]} in {START_WITHIN} seconds. See {plan.data_dir}/*.log"
            )
        time.sleep(0.1)
    return not waiting


def _probe(plan: Plan) -> Callable[[str], bool]:
    """Return what asks an address, past any proxy, and tells whether it answers with 200."""
    context = ssl.create_default_context(cafile=str(plan.tls[0])) if plan.tls else None
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))

    def answers(url: str) -> bool:
        try:
            with opener.open(url, timeout=2) as response:
                return bool(response.status == 200)
        except ssl.SSLCertVerificationError as error:
            raise DemoError(f"The certificate does not do for localhost: {error}") from None
        except URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise DemoError(f"The certificate does not do for localhost: {error}") from None
            return False
        except OSError:
            return False

    return answers


def _say(plan: Plan, data: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(data), flush=True)
        return
    place, administrator = plan.data_dir, data["administrator"]
    if place.is_relative_to(CHECKOUT):
        place = place.relative_to(CHECKOUT)
    print(
        f"""
Gatehouse is running, and Harbor Notes beside it: an application that asks for a second step.

  Harbor Notes   {plan.application_url}   start here
  Gatehouse      {plan.gateway_url}
  Admin area     {plan.gateway_url}/admin/

1. Open Harbor Notes and sign in as {data["users"][0]["email"]}. No password is checked.
2. Open the private logbook. Gatehouse asks for a second step: make a passkey with this computer,
   or choose the authenticator app, scan the QR code with it and type the six digits that it shows.
3. Save your recovery codes. You are back in Harbor Notes, with a signed result that it checked.
4. Open the admin area, and see what you did. You are {administrator["email"]}.
   Password: {administrator["password"]}
   Key for your authenticator app: {administrator["totp_secret"]}

Everything is kept in {place}. Ctrl-C stops both.""",
        flush=True,
    )


def _watch(children: list[Child], stop: Stop) -> None:
    while not stop.asked:
        _check_alive(children)
        time.sleep(0.2)


def _check_alive(children: list[Child]) -> None:
    for child in children:
        if not child.running:
            raise DemoError(f"{child.name} stopped. Its last words:\n{child.last_words()}")


def _end(children: list[Child]) -> None:
    """Ask all to end at once, then wait for each."""
    for child in children:
        child.ask_to_end()
    for child in children:
        child.end(STOP_WITHIN)


if __name__ == "__main__":
    sys.exit(main())
