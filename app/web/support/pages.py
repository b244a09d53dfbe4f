"""What every template can use."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path

import qrcode
from flask import Flask, url_for
from flask_babel import format_date

from app.config import Config
from app.web.support import access_log
from app.web.support.sentences import in_words

_YEAR = 31536000


def init_app(app: Flask, config: Config) -> None:
    """Offer the templates their helpers, and let browsers keep versioned files."""
    app.config["SEND_FILE_MAX_AGE_DEFAULT"] = _YEAR
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @cache
    def version(name: str) -> str:
        folder = Path(app.static_folder or "")
        return hashlib.sha256((folder / name).read_bytes()).hexdigest()[:12]

    def asset(name: str) -> str:
        return url_for("static", filename=name, v=version(name))

    app.jinja_env.filters.update(in_words=in_words, iso=_iso, clock=_clock, day=_day)
    app.jinja_env.globals.update(asset=asset, qr=qr, reference=access_log.request_id)


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M UTC")


def _day(moment: datetime) -> str:
    return str(format_date(moment, "d MMMM y"))


def qr(text: str) -> tuple[int, str]:
    """Return a QR code as its width in modules and the `d` of one SVG path."""
    code = qrcode.QRCode(border=3, error_correction=qrcode.constants.ERROR_CORRECT_M)
    code.add_data(text)
    code.make(fit=True)
    matrix = code.get_matrix()
    path = "".join(
        f"M{start} {y}h{end - start}v1h-{end - start}z"
        for y, row in enumerate(matrix)
        for start, end in _runs(row)
    )
    return len(matrix), path


def _runs(row: list[bool]) -> list[tuple[int, int]]:
    """Return where a row is dark, as half-open spans."""
    edges = [x for x in range(len(row) + 1) if (x < len(row) and row[x]) != (x > 0 and row[x - 1])]
    return list(zip(edges[::2], edges[1::2], strict=True))
