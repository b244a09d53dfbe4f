"""CSV for spreadsheets: no cell is ever taken for a formula, whatever a user is called."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet may take for one; the last four are the full-width forms."""

_BLANKS = " \xa0\u3000\ufeff"
"""What some spreadsheets skip before they look for a formula."""


_NUMBER = re.compile(r"\+[0-9]{7,15}")
"""A phone number in E.164: there is nothing to calculate, and what reads the file wants it."""


def neutral(value: object) -> str:
    """Return a cell's text, with an apostrophe before what a spreadsheet would calculate.

    Args:
        value: anything that says itself as text; None is an empty cell.
    """
    text = "" if value is None else str(value).replace("\0", "")
    if _NUMBER.fullmatch(text) or not text.lstrip(_BLANKS).startswith(_STARTS_FORMULA):
        return text
    return f"'{text}"


def csv_line(cells: Iterable[object]) -> str:
    """Return one line of CSV (RFC 4180), each cell neutralised."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([neutral(cell) for cell in cells])
    return line.getvalue()
