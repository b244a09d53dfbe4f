"""Find the Chromium that the browser tests drive; run as a program, install what they need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

NAMED = "GATEHOUSE_TEST_CHROMIUM"
FLAGS = [
    "--no-sandbox",  # root, as in CI, has no other choice
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MAC_APPS = ("Google Chrome", "Chromium")
# Where `playwright install` puts it, by system and by release of Playwright.
_IN_PLAYWRIGHTS_CACHE = (
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)
# A check that counts also runs our sample of a proxy; nobody's desk gets one installed for it.
_TOOLS = ("oathtool", "curl", "npm", *(["nginx"] if os.environ.get("CI") == "true" else []))
_HOMEBREW_NAMES = {"chromium": "--cask chromium", "oathtool": "oath-toolkit", "npm": "node"}


def find() -> str | None:
    """Return the path of a Chromium, or None; GATEHOUSE_TEST_CHROMIUM wins if it is set."""
    if named := os.environ.get(NAMED):
        return shutil.which(named)
    return next(_candidates(), None)


def _candidates() -> Iterator[str]:
    yield from filter(None, map(shutil.which, _COMMANDS))
    for app in _MAC_APPS:
        yield from filter(None, [shutil.which(f"/Applications/{app}.app/Contents/MacOS/{app}")])
    for pattern in _IN_PLAYWRIGHTS_CACHE:
        newest_first = sorted(_playwrights_cache().glob(pattern), key=_revision, reverse=True)
        yield from map(str, newest_first)


def _playwrights_cache() -> Path:
    if named := os.environ.get("PLAYWRIGHT_BROWSERS_PATH"):
        return Path(named)
    in_home = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return Path.home() / in_home / "ms-playwright"


def _revision(executable: Path) -> int:
    """Return 1208 for .../chromium-1208/chrome-linux64/chrome."""
    folder = executable.relative_to(_playwrights_cache()).parts[0]
    return int(folder.rpartition("-")[2])


def main() -> int:
    """Have a Chromium and the tools on this machine, or say what to type; the exit status."""
    named = os.environ.get(NAMED)
    if named and not _runs(named):
        print(f"{NAMED} is {named}, which does not run.", file=sys.stderr)
        return 1
    if (packages := _missing()) and os.geteuid() == 0 and shutil.which("apt-get"):
        _apt_install(packages)
    if not _chromium_runs():
        _run([sys.executable, "-m", "playwright", "install", "chromium"])
    if not (packages := _missing()):
        return 0
    print(f"The tests in full need more than is here. Type:{_to_type(packages)}", file=sys.stderr)
    # These only confirm what other tests hold: a desk may do without, not a check that counts.
    return 0 if {*packages} <= {*_TOOLS} and os.environ.get("CI") != "true" else 1


def _missing() -> list[str]:
    """Return the Debian packages that would help."""
    packages = []
    if not _chromium_runs():
        packages += ["chromium", "fonts-liberation"]
    if not _runs(sys.executable, "-m", "playwright"):
        packages.append("libatomic1")  # Playwright's own Node.js wants it; a bare Debian has none
    return packages + [tool for tool in _TOOLS if not shutil.which(tool)]


def _chromium_runs() -> bool:
    found = find()
    return found is not None and _runs(found)


def _runs(*command: str) -> bool:
    """Tell whether it starts: a placeholder or a missing system library shows here."""
    try:
        done = subprocess.run([*command, "--version"], capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _apt_install(packages: list[str]) -> None:
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if not _run(install) and _run(["apt-get", "update", "-qq"]):
        _run(install)


def _run(command: list[str]) -> bool:
    """Run a command where its output can be read, and tell whether it went well."""
    print(f"$ {' '.join(command)}", file=sys.stderr, flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, check=False).returncode == 0


def _to_type(packages: list[str]) -> str:
    if sys.platform == "darwin":
        formulas = filter(None, map(_HOMEBREW_NAMES.get, packages))
        return "".join(f"\n\n    brew install {formula}" for formula in formulas) + "\n"
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"\n\n    {sudo}apt-get install {' '.join(packages)}\n"


if __name__ == "__main__":
    sys.exit(main())
