"""What is looked for in the audit record, as it is typed into the form of the page."""

from __future__ import annotations

import ipaddress
import re
import uuid
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from wtforms import DateField, Form, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Optional, ValidationError

from app.errors import NotFound
from app.models import Organization
from app.services.audit import EventKind
from app.services.audit_names import actors_of, applications_of
from app.services.audit_search import EventFilter
from app.web.admin.event_subjects import SUBJECTS
from app.web.admin.event_words import WORDS
from app.web.support import services

FIELDS = ("kind", "user", "by", "application", "since", "until", "address")

_ACTOR = re.compile(r"(administrator|api_key|application):[0-9a-f-]{36}")
DAYS = (date(2000, 1, 1), date(2999, 12, 31))
"""Nothing happened before, and nobody will look after."""


def _stripped(value: str | None) -> str:
    return (value or "").strip()


class DayField(DateField):  # type: ignore[misc]
    """A day, whose refusal says how to write one."""

    def process_formdata(self, valuelist: list[str]) -> None:
        """Read a day as browsers send it.

        Raises:
            ValueError: it is none.
        """
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError("Write a day, such as 2026-11-28.") from None


class FilterForm(Form):  # type: ignore[misc]
    """Each field is open until something is chosen; it is sent by GET, so it holds no secret."""

    kind = SelectField("What happened", filters=[_stripped])
    user = StringField("User", filters=[_stripped], render_kw={"placeholder": "Email or id"})
    by = SelectField("By", filters=[_stripped])
    application = SelectField("Application", filters=[_stripped])
    since = DayField("From", validators=[Optional()])
    until = DayField("To", validators=[Optional()])
    address = StringField(
        "Address", filters=[_stripped], render_kw={"placeholder": "Such as 203.0.113.7"}
    )

    def __init__(self, tx: Session, organization: Organization, asked: MultiDict[str, str]) -> None:
        self._organization = organization
        self._user_id: uuid.UUID | None = None
        super().__init__(asked)
        self.kind.choices = {"": [SelectChoice("", "Anything")], **_kinds()}
        self.by.choices = _actors(tx, organization, self.by.data)
        self.application.choices = [
            SelectChoice("", "Any application"),
            *(SelectChoice(one.value, one.name) for one in applications_of(tx, organization)),
        ]

    @property
    def narrows(self) -> bool:
        """Tell whether one of the fields is used that the page folds away."""
        folded = {"since", "until", "address", "application"}
        return bool(folded & ({*self.values} | {*self.errors}))

    @property
    def values(self) -> dict[str, str]:
        """Return what was chosen, as it stands in addresses."""
        return {name: str(self[name].data) for name in FIELDS if self[name].data}

    def wanted(self, tx: Session) -> EventFilter | None:
        """Return what is looked for; None if a field can't be used, which then says why."""
        if not self.validate() or not self._find_user(tx):
            return None
        chosen = self.application.data
        return EventFilter(
            organization_id=self._organization.id,
            kind=self.kind.data or None,
            actor=self.by.data or None,
            user_id=self._user_id,
            application_id=uuid.UUID(chosen) if chosen else None,
            address=self.address.data or None,
            since=_midnight(self.since.data),
            until=_midnight(self.until.data, days=1),
        )

    def validate_address(self, field: StringField) -> None:
        """Take an address as events have it."""
        if not field.data:
            return
        try:
            field.data = str(ipaddress.ip_address(field.data))
        except ValueError:
            raise ValidationError("Write a whole IP address, such as 203.0.113.7.") from None

    def validate_since(self, field: DateField) -> None:
        """Take a day on which something may have happened."""
        _demand_day(field)

    def validate_until(self, field: DateField) -> None:
        """Demand days that something can lie between."""
        _demand_day(field)
        if field.data and self.since.data and field.data < self.since.data:
            raise ValidationError("Choose the first day or a later one.")

    def _find_user(self, tx: Session) -> bool:
        """Find who is meant; an id is taken as it is, since events outlive their users."""
        typed = self.user.data
        if not typed:
            return True
        try:
            self._user_id = uuid.UUID(typed)
        except ValueError:
            try:
                self._user_id = services().directory.find(tx, self._organization, typed).id
            except NotFound:
                told = "Nobody here has this email address. A deleted user is found by id."
                self.user.errors = [told]
                return False
        return True


def _demand_day(field: DateField) -> None:
    if field.data and not DAYS[0] <= field.data <= DAYS[1]:
        raise ValidationError("Choose a day from the year 2000 on.")


def _kinds() -> dict[str, list[SelectChoice]]:
    """Return the kinds to choose from, in groups by their subject."""
    groups = {}
    for subject, heading in sorted(SUBJECTS.items(), key=lambda pair: pair[1]):
        mine = [kind for kind in EventKind if kind.value.partition(":")[0] == subject]
        all_of_it = [SelectChoice(subject, f"{heading}: all")] if len(mine) > 1 else []
        groups[heading] = [
            *all_of_it,
            *(SelectChoice(kind.value, WORDS[kind].name) for kind in mine),
        ]
    return groups


def _actors(tx: Session, organization: Organization, asked: str) -> list[SelectChoice]:
    choices = [
        SelectChoice("", "Anybody"),
        SelectChoice("user", "Users themselves"),
        *(SelectChoice(one.value, one.name) for one in actors_of(tx, organization)),
        SelectChoice("operator", "The operator"),
        SelectChoice("system", "Gatehouse itself"),
    ]
    # Somebody who is gone, or acts for all organizations, is reached from a row of the table.
    if asked not in {choice.value for choice in choices} and _ACTOR.fullmatch(asked):
        kind = asked.partition(":")[0].replace("_", " ").replace("api", "API")
        choices.append(SelectChoice(asked, f"Another {kind}"))
    return choices


def _midnight(day: date | None, *, days: int = 0) -> datetime | None:
    return datetime.combine(day + timedelta(days=days), time(), UTC) if day else None
