"""Finding: what a check of the deployment came to, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How what was checked stands, from good to bad."""

    FINE = "fine"
    SKIPPED = "skipped"
    WARNING = "warning"
    """It works, and will not for ever, or not for everybody."""
    PROBLEM = "problem"
    """Something does not work, or is open to somebody."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        check: name of what was checked, stable for programs.
        says: how it stands, in one sentence that tells no secret.
        remedy: what the operator should do; "" where there is nothing to do.
    """

    check: str
    state: State
    says: str
    remedy: str = ""


def fine(check: str, says: str) -> Finding:
    """Return that all is well."""
    return Finding(check=check, state=State.FINE, says=says)


def skipped(check: str, says: str) -> Finding:
    """Return why something was not checked."""
    return Finding(check=check, state=State.SKIPPED, says=says)


def warning(check: str, says: str, remedy: str) -> Finding:
    """Return what will become a problem, and what to do about it."""
    return Finding(check=check, state=State.WARNING, says=says, remedy=remedy)


def problem(check: str, says: str, remedy: str) -> Finding:
    """Return what is wrong, and what to do about it."""
    return Finding(check=check, state=State.PROBLEM, says=says, remedy=remedy)
