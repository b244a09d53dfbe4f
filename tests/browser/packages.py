"""Other people's JavaScript packages, as they were published; run as a program, fetch them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

KEPT = Path.home() / ".cache" / "gatehouse-tests"


@dataclass(frozen=True)
class Package:
    """One release of a package on npm.

    Attributes:
        sha512: of the archive, in hex; another one is not used.
    """

    name: str
    version: str
    sha512: str

    @property
    def archive(self) -> Path:
        """Where it is kept on this machine."""
        return KEPT / f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"

    def is_here(self) -> bool:
        """Tell whether it was fetched, and is what it should be."""
        if not self.archive.is_file():
            return False
        return hashlib.sha512(self.archive.read_bytes()).hexdigest() == self.sha512

    def read(self, path: str) -> bytes:
        """Return one of its files."""
        assert self.is_here(), f"{self.name} is not here; type: make test"
        with tarfile.open(self.archive) as archive:
            found = archive.extractfile(f"package/{path}")
            assert found is not None
            return found.read()

    def fetch(self) -> None:
        """Have npm bring the archive; its scripts are not run, as nothing is installed."""
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            told = ["npm", "pack", f"{self.name}@{self.version}", "--pack-destination", folder]
            subprocess.run(told, check=True, capture_output=True, cwd=folder)
            [archive] = Path(folder).glob("*.tgz")
            archive.replace(self.archive)


@dataclass(frozen=True)
class Program:
    """A program of ours for Node, with the packages that its lock file names.

    Attributes:
        folder: with the program, `package.json` and `package-lock.json`.
    """

    folder: Path

    @property
    def name(self) -> str:
        """What it is called."""
        return self.folder.name

    @property
    def place(self) -> Path:
        """Where it is kept on this machine, by all that it is made of."""
        made_of = b"".join(file.read_bytes() for file in sorted(self.folder.iterdir()))
        return KEPT / f"{self.name}-{hashlib.sha512(made_of).hexdigest()[:16]}"

    def is_here(self) -> bool:
        """Tell whether its packages were fetched, and there is something to run it with."""
        return self.place.is_dir() and shutil.which("node") is not None

    def fetch(self) -> None:
        """Have npm bring the packages, each by its digest; their scripts are not run."""
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT) as folder:
            whole = shutil.copytree(self.folder, Path(folder) / "whole")
            told = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(told, check=True, capture_output=True, cwd=whole)
            whole.replace(self.place)

    def run(self, file: str, argument: str) -> str:
        """Run one of its files, and return what it prints."""
        done = subprocess.run(
            ["node", file, argument], check=True, capture_output=True, cwd=self.place, text=True
        )
        return done.stdout


DUO_NODE = Program(Path(__file__).parent / "duo_node")
SPA_SDK = Package(
    name="@cryptr/cryptr-spa-js",
    version="1.4.0",
    sha512="10fd270ddc7432a4d6fbf6ac13eee069af5605086b15566e200b86439602aad5"
    "f5e3ca1f1b2e04503a0782bfa32c970e14045192a00b93a8282a8eaabf15857e",
)
ALL: tuple[Package | Program, ...] = (SPA_SDK, DUO_NODE)


def main() -> int:
    """Fetch what is missing; the exit status, which a desk without npm need not mind."""
    missing = [package for package in ALL if not package.is_here()]
    if missing and not shutil.which("npm"):
        print("npm is not here: tests of JavaScript packages are skipped.", file=sys.stderr)
        return int(os.environ.get("CI") == "true")
    for package in missing:
        print(f"Fetching {package.name}", file=sys.stderr)
        package.fetch()
    return int(not all(package.is_here() for package in ALL))


if __name__ == "__main__":
    sys.exit(main())
