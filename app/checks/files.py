"""Whether the data folder and what is in it are for their owner alone, on a disk with room."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa

from app.checks.findings import Finding, fine, problem, skipped, warning
from app.checks.settings import SECRETS
from app.config import Config

MOUNTS = Path("/proc/mounts")
_FOREIGN = {
    "9p", "afs", "ceph", "cifs", "davfs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "glusterfs",
    "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs", "virtiofs",
}  # fmt: skip
"""File systems that are on another machine, or shared with one."""
_GIB = 1 << 30
LOW, TOO_LOW = _GIB, _GIB // 8
"""Bytes that should be free, and without which writing will soon fail."""


def sqlite_file(config: Config) -> Path | None:
    """Return the file of the database; None if it is on a server, or in memory."""
    url = sa.make_url(config.database)
    in_file = url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}
    return Path(str(url.database)).absolute() if in_file else None


def check_modes(config: Config) -> Iterator[Finding]:
    """See whether anybody but the owner can read what is secret."""
    folder, database = config.data_dir, sqlite_file(config)
    found = [folder, *(folder / name for name in SECRETS)]
    if database:
        found += [database, *(database.with_name(database.name + end) for end in ("-wal", "-shm"))]
    here = [path for path in found if path.exists()]
    open_ones = [path for path in here if _is_open(path)]
    for path in open_ones:
        wanted = "700" if path.is_dir() else "600"
        yield problem(
            "file_modes",
            f"Others on this machine can read {path}, or it belongs to somebody else.",
            f"chown it to the user who runs Gatehouse, and: chmod {wanted} {path}",
        )
    if not here:
        yield skipped(
            "file_modes", f"There is nothing in {folder}: all is in variables and PostgreSQL."
        )
    elif not open_ones:
        yield fine("file_modes", f"What is in {folder} is for its owner alone.")


def check_disk(config: Config) -> Iterator[Finding]:
    """See whether the database's file is on a disk of this machine, and whether that has room."""
    database = sqlite_file(config)
    if database is None:
        yield skipped("disk", "The database is on a server of its own.")
        return
    kind = file_system(database.parent)
    if kind in _FOREIGN:
        yield problem(
            "disk",
            f"{database} is on a network share ({kind}), which breaks the locks of SQLite.",
            "Put GATEHOUSE_DATA_DIR on a disk of this machine, or use PostgreSQL.",
        )
    yield _room(database.parent)


def file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on, such as `ext4`; "" if nothing tells."""
    try:
        lines = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        return ""
    place = folder.resolve()
    holding = [
        (len(where), kind)
        for _, where, kind, *_ in lines
        if place.is_relative_to(where.replace("\\040", " "))
    ]
    return max(holding, default=(0, ""))[1]


def _room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    told = f"{free / _GIB:.1f} GiB are free on the disk of {folder}."
    remedy = (
        "Make room. When the disk is full nobody can sign in; nothing that was answered is lost."
    )
    if free < TOO_LOW:
        return problem("disk", told, remedy)
    return warning("disk", told, remedy) if free < LOW else fine("disk", told)


def _is_open(path: Path) -> bool:
    found = path.stat()
    return bool(stat.S_IMODE(found.st_mode) & 0o077) or found.st_uid != os.geteuid()
