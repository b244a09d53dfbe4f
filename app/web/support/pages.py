"""What every template can use."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path

from flask import Flask, url_for
from flask_babel import format_date

from app.config import Config
from app.services.masked import masked
from app.web.support import access_log
from app.web.support.qr import QrCode
from app.web.support.sentences import country_name, in_letters, in_words

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

    app.jinja_env.filters.update(
        in_words=in_words,
        in_letters=in_letters,
        iso=_iso,
        clock=clock,
        country=country_name,
        exact_clock=exact_clock,
        day=day,
        duration=duration,
        masked=masked,
    )
    app.jinja_env.globals.update(asset=asset, qr=_qr, reference=access_log.request_id)


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(moment: datetime) -> str:
    """Return the time of a moment, to the minute."""
    return moment.strftime("%H:%M UTC")


def exact_clock(moment: datetime) -> str:
    """Return the time of a moment, to the second."""
    return moment.strftime("%H:%M:%S UTC")


def day(moment: datetime) -> str:
    """Return the day of a moment, in the language of the page."""
    return str(format_date(moment, "d MMMM y"))


def duration(seconds: float) -> str:
    """Return how long something took, in as few words as say it: `6.2 s`, `2 min 5 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def _qr(text: str) -> tuple[int, str]:
    return QrCode(text).path()
