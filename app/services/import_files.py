"""Reading a file of users line by line: JSON lines, and CSV with a header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import IO, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, SecretStr

from app.errors import Invalid, Refusal
from app.json_objects import Body, Fields, json_object, validated
from app.services.import_rows import BadRow, Row, Seed
from app.services.user_fields import UserChanges

MOST_ROW_BYTES = 64 * 1024
_CHUNK = 64 * 1024
_PROFILE = "profile."
_OF_PROFILE = ("given_name", "family_name", "locale")


def _plain_name(value: Any) -> Any:
    return re.sub(r"^HMAC|[-_]", "", value.upper()) if isinstance(value, str) else value


class ImportFields(Fields):
    """A row. A field that is missing, null or empty changes nothing about a user who is there.

    It has an email, or a phone_number, or both.
    """

    email: str | None = None
    phone_number: str | None = Field(None, description="In E.164.")
    external_id: str | None = None
    given_name: str | None = Field(None, description="The same as profile.given_name.")
    family_name: str | None = None
    locale: str | None = None
    profile: dict[str, Any] | None = Field(
        None, max_length=50, description="In CSV, columns such as profile.given_name."
    )
    totp_secret: SecretStr | None = Field(
        None,
        description="Base32, 80 to 1024 bits, of an authenticator app that the user already has; "
        "taken over only if the user has none here, and never shown again.",
    )
    totp_digits: int = Field(6, ge=6, le=8)
    totp_period: int = Field(30, ge=15, le=120, description="Seconds.")
    totp_algorithm: Annotated[Literal["SHA1", "SHA256", "SHA512"], BeforeValidator(_plain_name)] = (
        "SHA1"
    )

    EXAMPLE: ClassVar[Body] = {
        "email": "paul@communitiz-app.co",
        "totp_secret": "JBSW Y3DP EHPK 3PXP",
    }


class TooLong(Exception):
    """A row has more bytes than a row may have."""


class Lines:
    """The lines of a stream, never more than one of them in memory.

    Args:
        stream: what to read, in chunks.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._rest = b""
        self._row_bytes = 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> bytes:
        """Return the next line with its end.

        Raises:
            TooLong: the row that it belongs to is; the next call goes on after this line.
        """
        line = self._line()
        if not line:
            raise StopIteration
        self._row_bytes += len(line)
        if self._row_bytes > MOST_ROW_BYTES:
            self._skip(line)
            self.begin_row()
            raise TooLong
        return line

    def begin_row(self) -> None:
        """Say that the next line begins a row: several lines of a CSV may make one."""
        self._row_bytes = 0

    def _line(self) -> bytes:
        """Return up to and with the next line feed; less only at the end, or if it is too long."""
        while b"\n" not in self._rest and len(self._rest) <= MOST_ROW_BYTES:
            chunk = self._stream.read(_CHUNK)
            if not chunk:
                break
            self._rest += chunk
        end = self._rest.find(b"\n") + 1 or len(self._rest)
        line, self._rest = self._rest[:end], self._rest[end:]
        return line

    def _skip(self, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            line = self._line()


def rows_of(content: bytes) -> Iterator[Row | BadRow]:
    """Return the rows of a whole file: JSON lines if it begins with an object, else CSV.

    Raises:
        Invalid: its first bytes say that it is neither.
    """
    begins = content[:100].removeprefix(b"\xef\xbb\xbf").lstrip()
    if begins.startswith(b"PK\x03\x04"):
        raise Invalid("file", "this is a workbook. Save it as CSV first.")
    if begins.startswith(b"["):
        raise Invalid("file", "write one JSON object a line, without brackets around them all.")
    if begins.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Invalid("file", "this is UTF-16. Save it as UTF-8 first.")
    stream = io.BytesIO(content)
    return json_rows(stream) if begins.startswith(b"{") else csv_rows(stream)


def json_rows(stream: IO[bytes]) -> Iterator[Row | BadRow]:
    """Yield the rows of JSON lines; a row's number is that of its line."""
    lines, number = Lines(stream), 0
    while True:
        number += 1
        lines.begin_row()
        try:
            line = next(lines)
        except StopIteration:
            return
        except TooLong:
            yield _too_long(number)
            continue
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if line.strip():
            yield _json_row(number, line)


def csv_rows(stream: IO[bytes]) -> Iterator[Row | BadRow]:
    """Yield the rows of a CSV (RFC 4180); the header is row 1, as a spreadsheet counts.

    Raises:
        Invalid: there is no header with a column `email` or `phone_number`.
    """
    lines = Lines(stream)
    names, dialect = _header(lines)
    reader, number = csv.reader(_decoded(lines), delimiter=dialect, strict=True), 1
    while True:
        number += 1
        lines.begin_row()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except TooLong:
            reader = csv.reader(_decoded(lines), delimiter=dialect, strict=True)
            yield _too_long(number)
        except csv.Error:
            yield BadRow(number=number, code="invalid_csv", message="The row can't be read.")
        else:
            if cells:
                yield _csv_row(number, names, cells)


def _header(lines: Lines) -> tuple[list[str], str]:
    """Return the names of the columns, and what parts them (a French spreadsheet writes `;`)."""
    try:
        line = next(lines, b"").removeprefix(b"\xef\xbb\xbf").decode()
        delimiter = ";" if ";" in line and "," not in line else ","
        [cells] = csv.reader([line], delimiter=delimiter, strict=True)
    except (TooLong, ValueError, csv.Error):
        cells, delimiter = [], ","
    names = [cell.strip().lower() for cell in cells]
    if not {"email", "phone_number"} & set(names):
        raise Invalid("email", "the first line must name the columns, one of them email.")
    for name in filter(None, names):
        if names.count(name) > 1 or not name.isprintable():
            raise Invalid(ascii(name[:100]), "the column is there twice, or can't be printed.")
    return names, delimiter


def _decoded(lines: Lines) -> Iterator[str]:
    """Yield lines as text, in which what is not UTF-8 is told by halves of surrogate pairs."""
    return (line.decode("utf-8", "surrogateescape") for line in lines)


def _csv_row(number: int, names: list[str], cells: list[str]) -> Row | BadRow:
    if len(cells) != len(names):
        message = f"The row has {len(cells)} columns, and the header {len(names)}."
        return BadRow(number=number, code="wrong_columns", message=message)
    if any("\ud800" <= mark <= "\udfff" for cell in cells for mark in cell):
        return _not_utf8(number)
    if any("\0" in cell for cell in cells):
        message = "Text must be valid Unicode without NUL."
        return BadRow(number=number, code="invalid_request", message=message)
    body: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        if name.startswith(_PROFILE):
            body.setdefault("profile", {})[name.removeprefix(_PROFILE)] = cell.strip()
        elif name != "profile":
            body[name] = cell.strip()
    return _row(number, body)


def _json_row(number: int, line: bytes) -> Row | BadRow:
    try:
        line.decode()
        body = json_object(line)
    except UnicodeDecodeError:
        return _not_utf8(number)
    except Invalid as error:
        return BadRow(number=number, code=error.code, message=error.message)
    except Refusal:
        message = "The line is not a JSON object, or a field is there twice."
        return BadRow(number=number, code="invalid_json", message=message)
    return _row(number, body)


def _row(number: int, body: dict[str, Any]) -> Row | BadRow:
    try:
        fields = validated(ImportFields, _without_blanks(body))
    except Invalid as error:
        message = error.message.removeprefix(f"{error.field}: ")
        return BadRow(number=number, code=error.code, message=message, field=error.field)
    profile = _without_blanks(fields.profile or {})
    for name in _OF_PROFILE:
        if value := getattr(fields, name):
            profile[name] = value
    changes = UserChanges()
    if fields.email:
        changes["email"] = fields.email
    if fields.phone_number:
        changes["phone_number"] = fields.phone_number
    if fields.external_id:
        changes["external_id"] = fields.external_id
    if profile:
        changes["profile"] = profile
    return Row(number=number, changes=changes, seed=_seed(fields))


def _seed(fields: ImportFields) -> Seed | None:
    if fields.totp_secret is None:
        return None
    return Seed(
        secret=fields.totp_secret.get_secret_value(),
        digits=fields.totp_digits,
        period=fields.totp_period,
        algorithm=fields.totp_algorithm,
    )


def _without_blanks(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value not in (None, "")}


def _not_utf8(number: int) -> BadRow:
    return BadRow(number=number, code="invalid_utf8", message="The row is not UTF-8.")


def _too_long(number: int) -> BadRow:
    message = f"The row is longer than {MOST_ROW_BYTES} bytes."
    return BadRow(number=number, code="row_too_long", message=message)
