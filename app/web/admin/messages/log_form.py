"""What is looked for in the delivery log, as it is typed into the form of the page."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from wtforms import Form, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Optional, ValidationError

from app.errors import Invalid, NotFound
from app.models import MessageStatus, Organization
from app.providers.base import CHANNELS
from app.services.message_log import MessageFilter
from app.services.phone_numbers import parse
from app.services.user_fields import checked_email
from app.web.admin.audit_form import DAYS, DayField
from app.web.admin.messages.limit_words import countries
from app.web.admin.messages.log_words import STATUSES
from app.web.admin.messages.words import CHANNEL
from app.web.support import services

FIELDS = ("to", "channel", "status", "provider", "country", "since", "until")
OWN = "deployment"
"""Stands for the deployment's own mail server, which is nobody's account."""


def _stripped(value: str | None) -> str:
    return (value or "").strip()


class LogForm(Form):  # type: ignore[misc]
    """Each field is open until something is chosen; it is sent by GET, so it holds no secret."""

    to = StringField(
        "To", filters=[_stripped], render_kw={"placeholder": "Email, number or id of a user"}
    )
    channel = SelectField("Channel", filters=[_stripped])
    status = SelectField("State", filters=[_stripped])
    provider = SelectField("Provider", filters=[_stripped])
    country = SelectField("Country of the number", filters=[_stripped])
    since = DayField("From", validators=[Optional()])
    until = DayField("To the end of", validators=[Optional()])

    def __init__(self, tx: Session, organization: Organization, asked: MultiDict[str, str]) -> None:
        self._organization = organization
        self._user_id: uuid.UUID | None = None
        self._recipient: str | None = None
        super().__init__(asked)
        self.channel.choices = _choices("Any", {one: CHANNEL[one].name for one in CHANNELS})
        self.status.choices = _choices("Any", {one: STATUSES[one][0] for one in STATUSES})
        self.provider.choices = _choices("Any", _providers(tx, organization))
        self.country.choices = _choices("Any", countries())

    @property
    def narrows(self) -> bool:
        """Tell whether one of the fields is used that the page folds away."""
        folded = {"provider", "country", "since", "until"}
        return bool(folded & ({*self.values} | {*self.errors}))

    @property
    def values(self) -> dict[str, str]:
        """Return what was chosen, as it stands in addresses."""
        return {name: str(self[name].data) for name in FIELDS if self[name].data}

    def wanted(self, tx: Session) -> MessageFilter | None:
        """Return what is looked for; None if a field can't be used, which then says why."""
        is_whole = self.validate()
        if not self._find_recipient(tx) or not is_whole:
            return None
        status, provider = self.status.data, self.provider.data
        own = services().provider_accounts.own
        return MessageFilter(
            organization_id=self._organization.id,
            channel=self.channel.data or None,
            status=MessageStatus(status) if status else None,
            user_id=self._user_id,
            recipient=self._recipient,
            country=self.country.data or None,
            account_id=uuid.UUID(provider) if provider not in {"", OWN} else None,
            provider=own.name if own and provider == OWN else None,
            since=_midnight(self.since.data),
            until=_midnight(self.until.data, days=1),
        )

    def validate_since(self, field: DayField) -> None:
        """Take a day on which something may have been sent."""
        _demand_day(field)

    def validate_until(self, field: DayField) -> None:
        """Demand days that something can lie between."""
        _demand_day(field)
        if field.data and self.since.data and field.data < self.since.data:
            raise ValidationError("Choose the first day or a later one.")

    def _find_recipient(self, tx: Session) -> bool:
        """Find who is meant: a user of today, or else whoever was written to at this address."""
        typed = self.to.data
        if not typed:
            return True
        try:
            self._user_id = services().directory.find(tx, self._organization, typed).id
        except NotFound:
            self._recipient = self._address(typed)
        if self._user_id or self._recipient:
            return True
        told = "Write a whole email address, a number such as +33612345678, or the id of a user."
        self.to.errors = [told]
        return False

    def _address(self, typed: str) -> str | None:
        home = services().sending_rules.home(self._organization)[0]
        try:
            return checked_email(typed) if "@" in typed else parse(typed, country=home).e164
        except Invalid:
            return None


def _choices(nothing: str, named: dict[str, str]) -> list[SelectChoice]:
    return [SelectChoice("", nothing), *(SelectChoice(*one) for one in named.items())]


def _providers(tx: Session, organization: Organization) -> dict[str, str]:
    accounts = services().provider_accounts
    own = {OWN: accounts.own.name} if accounts.own else {}
    return {str(row.id): row.name for row in accounts.all(tx, organization)} | own


def _demand_day(field: DayField) -> None:
    if field.data and not DAYS[0] <= field.data <= DAYS[1]:
        raise ValidationError("Choose a day from the year 2000 on.")


def _midnight(day: date | None, *, days: int = 0) -> datetime | None:
    return datetime.combine(day + timedelta(days=days), time(), UTC) if day else None
