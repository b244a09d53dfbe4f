"""POST /api/v2/org/{domain}/users/import: many users at once, as a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import IO, Literal

from flask import Blueprint, request
from pydantic import BaseModel, ConfigDict, Field

from app.errors import Refusal
from app.services.api_keys import Permission
from app.services.import_files import ImportFields, csv_rows, json_rows
from app.services.import_rows import BadRow, Row
from app.web.api_v2.access import Caller, streamed
from app.web.api_v2.body import read_query
from app.web.api_v2.wire import Answer
from app.web.support import services

blueprint = Blueprint("imports", __name__, url_prefix="/api/v2/org/<domain>/users/import")

MOST_BYTES = 64 * 1024 * 1024
READERS: dict[str, Callable[[IO[bytes]], Iterator[Row | BadRow]]] = {
    "application/x-ndjson": json_rows,
    "application/jsonl": json_rows,
    "text/csv": csv_rows,
}


class ImportQuery(BaseModel):
    """Who is told."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    notify: bool = Field(
        False,
        description="Whether users are told who are new, or whose authenticator the file brings: "
        "one message each. Left out, they are not: a nightly import stays silent.",
    )


class RowErrorShown(Answer):
    """Why a row was not taken over."""

    row: int = Field(description="From 1; a CSV's header is row 1, and empty lines count.")
    type: str = Field(
        description="`invalid_json`, `invalid_csv`, `invalid_utf8`, `row_too_long`, "
        "`wrong_columns`, `invalid_request` (see `field`), `duplicate_row`, "
        "`external_id_taken`, `already_enrolled`, or `seed_removed`."
    )
    message: str
    field: str | None


class ImportShown(Answer):
    """What became of the rows."""

    type_: Literal["UserImport"] = Field("UserImport", alias="__type__")
    total: int
    created: int
    updated: int
    unchanged: int
    failed: int
    told: int = Field(
        description="So many users were told: those that `notify` asks for, and those with an "
        "authenticator whose address or number is another now."
    )
    errors: list[RowErrorShown] = Field(description="The first 1,000.")


@blueprint.post("")
@streamed(
    Permission.WRITE_USERS,
    body=ImportFields,
    media="application/x-ndjson",
    most_bytes=MOST_BYTES,
    query=ImportQuery,
    answer=ImportShown,
    refusals=("too_many_rows",),
)
def create(caller: Caller, domain: str) -> ImportShown:
    """Create and update up to 100,000 users, one a line: JSON lines, or CSV with a header.

    A row is about the user who has its e-mail address, or else its external id; if there is
    none, it creates one. The same file again changes nothing. Rows are taken over in batches: if
    the answer is an error, those before it may be there, and the whole can be sent again.

    Who has an authenticator is told of another address or number in any case.
    """
    notify = read_query(ImportQuery).notify
    with services().database.reading() as tx:
        organization = caller.organization(tx, domain)
    reader = READERS.get(request.mimetype)
    if reader is None:
        raise Refusal("unsupported_media_type", f"Send {', '.join(READERS)}.", status=415)
    rows = reader(request.stream)
    tally = services().imports.run(caller.actor, organization, rows, notify=notify)
    return ImportShown(
        total=tally.total,
        created=tally.created,
        updated=tally.updated,
        unchanged=tally.unchanged,
        failed=tally.failed,
        told=tally.told,
        errors=[
            RowErrorShown(row=bad.number, type=bad.code, message=bad.message, field=bad.field)
            for bad in tally.errors
        ],
    )
