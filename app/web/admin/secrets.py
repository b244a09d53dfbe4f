"""Secrets of applications and API keys: how one is replaced, and the page that shows it once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from flask import Response
from flask_wtf import FlaskForm
from wtforms import HiddenField, RadioField

from app.web.admin.desk import Seat, render

_OVERLAPS = {
    "0": "No time. The old one opens nothing from now on",
    "3600": "1 hour",
    "86400": "1 day",
    "604800": "1 week",
}


class ReplaceForm(FlaskForm):  # type: ignore[misc]
    """How long the old secret goes on working."""

    overlap = RadioField(
        "How long does the old one go on working?", choices=_OVERLAPS, default="86400"
    )
    instead_of = HiddenField()

    @property
    def lasts(self) -> timedelta:
        """The overlap that was chosen."""
        return timedelta(seconds=int(self.overlap.data))


@dataclass(frozen=True, kw_only=True)
class Handover:
    """A new secret, and what to do with it.

    Attributes:
        title: what happened, as the heading.
        overlaps_until: until when the one before works, too; None if it doesn't.
        command: what to run with it.
        does: what that does.
        back: the page of who holds the secret.
        everything: what the link to `index` says.
        kept: what becomes of the secret here.
        host: what the other side calls its API hostname, if it asks for one.
    """

    title: str
    client_id: str
    secret: str = field(repr=False)
    overlaps_until: datetime | None
    command: str
    does: str
    back: str
    everything: str
    index: str
    kept: str = "We keep a fingerprint of it alone."
    host: str = ""


def hand_over(seat: Seat, given: Handover) -> Response:
    """Show a secret, this once: in the answer to the form itself, which no browser keeps."""
    return render("admin/secret.html", seat, given=given)
