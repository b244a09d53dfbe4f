"""The methods that an application takes: all that the organization offers, or some of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.errors import Invalid
from app.factors import FACTORS
from app.factors.totp import Totp

NAMES = {"app" if kind == Totp.kind else kind: kind for kind in FACTORS}
"""What each method is called where one is named, and its factor or channel; the safest first."""


def checked_methods(names: Iterable[str]) -> list[str]:
    """Return what an application keeps of methods that were named; none means all.

    Raises:
        Invalid: one of them is no method.
    """
    wanted = set(names)
    if not wanted <= set(NAMES):
        raise Invalid("methods", f"use some of {', '.join(NAMES)}; none means all.")
    return [kind for name, kind in NAMES.items() if name in wanted]


def named_methods(kinds: Sequence[str]) -> list[str]:
    """Return how the methods that an application keeps are called."""
    return [name for name, kind in NAMES.items() if kind in kinds]
