"""The header `DevRIFT-Version`: which version of the API a client was written for."""

from __future__ import annotations

from flask import request

from app.errors import Refusal

HEADER = "DevRIFT-Version"
VERSIONS = ("2023-01-01",)
"""Those that we speak, oldest first."""


def spoken() -> str:
    """Return the version in which this request is answered."""
    given = request.headers.get(HEADER, "").strip()
    return given if given in VERSIONS else VERSIONS[-1]


def demand_known() -> None:
    """Refuse what was written for a version that we don't speak.

    Raises:
        Refusal: `unsupported_version`.
    """
    given = request.headers.get(HEADER)
    if given is not None and given.strip() not in VERSIONS:
        raise Refusal(
            "unsupported_version",
            f"{HEADER}: this API has the version {', '.join(VERSIONS)}. Send that, or no header.",
            status=400,
        )
