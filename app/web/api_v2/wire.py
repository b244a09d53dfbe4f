"""How the API writes its answers: resources, lists, and times."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from app.models import Environment, Organization
from app.web.api_v2.body import Number

Item = TypeVar("Item", bound="Answer")


def naive(moment: datetime) -> str:
    """Return a moment as the Cryptr resources have it: UTC, whole seconds, no zone."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def naive_micro(moment: datetime) -> str:
    """Return a moment as the Cryptr challenges have it: UTC, microseconds, no zone."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def zoned(moment: datetime) -> str:
    """Return a moment as our own resources have it: RFC 3339, UTC, whole seconds."""
    return f"{naive(moment)}Z"


Naive = Annotated[
    datetime,
    PlainSerializer(naive),
    Field(examples=["2026-03-01T12:00:05"], description="UTC, without a zone."),
]
NaiveMicro = Annotated[
    datetime,
    PlainSerializer(naive_micro),
    Field(examples=["2026-03-01T12:00:05.000000"], description="UTC, without a zone."),
]
Zoned = Annotated[
    datetime,
    PlainSerializer(zoned),
    Field(examples=["2026-03-01T12:00:05Z"], description="RFC 3339, UTC."),
]


class Answer(BaseModel):
    """The body of an answer; its fields are what the reference page shows."""

    model_config = ConfigDict(
        extra="forbid", validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    def json_text(self) -> str:
        """Return the answer as it goes over the wire."""
        return self.model_dump_json(by_alias=True)


class ErrorTold(Answer):
    """What went wrong."""

    type: str = Field(description="One of a stable list.", examples=["not_found"])
    message: str = Field(description="What to do, in English, for a developer.")
    doc_urls: list[str]
    retry_at: str | None = Field(
        None, description="When it may be granted, if only time is in the way; else absent."
    )


class ErrorShown(Answer):
    """An error."""

    error: ErrorTold


class OAuthErrorShown(Answer):
    """An error of the token call (RFC 6749 section 5.2)."""

    error: str = Field(examples=["invalid_client"])
    error_description: str


class OfOrganization(Answer):
    """A resource of one organization."""

    domain_: str = Field(alias="__domain__", description="Slug of the organization.")
    environment_: Environment = Field(alias="__environment__")


def place(organization: Organization) -> dict[str, Any]:
    """Return the fields that tell whose a resource is."""
    return {"domain_": organization.domain, "environment_": organization.environment}


class Pagination(Answer):
    """Where a page of a list stands."""

    current_page: int
    current_pages: list[int] = Field(description="Numbers of the pages around this one.")
    next_page: int | None
    prev_page: int | None
    per_page: int
    total_pages: int


class Listing(Answer, Generic[Item]):
    """A page of a list."""

    type_: Literal["List"] = Field("List", alias="__type__")
    data: list[Item]
    pagination: Pagination
    total: int


class Deleted(Answer, Generic[Item]):
    """What was deleted, as it was."""

    deleted: Literal[True] = True
    resource: Item


class Page(BaseModel):
    """Which page of a list is asked for; the SDK says `current_page`."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    page: Number | None = Field(None, ge=1, le=1_000_000)
    current_page: Number | None = Field(None, ge=1, le=1_000_000)
    per_page: Number = Field(10, ge=1, le=100)

    @property
    def number(self) -> int:
        """The page, counted from 1."""
        return self.page or self.current_page or 1

    @property
    def offset(self) -> int:
        """How many rows come before it."""
        return (self.number - 1) * self.per_page


def listing(data: list[Item], total: int, page: Page) -> Listing[Item]:
    """Return a page of a list in the envelope of the Cryptr API."""
    pages, number = max(1, -(-total // page.per_page)), page.number
    return Listing(
        data=data,
        total=total,
        pagination=Pagination(
            current_page=number,
            current_pages=list(range(max(1, number - 2), min(pages, number + 2) + 1)),
            next_page=number + 1 if number < pages else None,
            prev_page=number - 1 if number > 1 else None,
            per_page=page.per_page,
            total_pages=pages,
        ),
    )
