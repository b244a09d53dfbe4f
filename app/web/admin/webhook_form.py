"""What a webhook is asked about: where it leads, and of which events it hears."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from wtforms import RadioField, SelectMultipleField, StringField
from wtforms.validators import ValidationError

from app.errors import Invalid
from app.models import Webhook
from app.services.audit import EventKind
from app.services.credentials import checked_name
from app.services.webhook_drafts import CODES, Draft
from app.services.webhook_fanout import ALL
from app.services.webhook_payloads import TEST
from app.web.admin.desk import explain
from app.web.admin.event_subjects import SUBJECTS
from app.web.admin.event_words import WORDS
from app.web.admin.once import OnceForm
from app.web.admin.told import Checked
from app.web.support import services

CHOSEN = "chosen"


@dataclass(frozen=True, kw_only=True)
class Group:
    """The events of one subject.

    Attributes:
        code: stands for all of them.
        kinds: code and words of each.
    """

    code: str
    heading: str
    kinds: Sequence[tuple[str, str]]


class WebhookForm(OnceForm):
    """Its fields, as they are typed."""

    name = StringField(
        "Name",
        validators=[Checked(checked_name, empty=True)],
        description="For you, to tell webhooks apart: “Sign-in log”.",
        render_kw={"required": True, "maxlength": 100, "autocomplete": "off"},
    )
    target_url = StringField(
        "Address",
        filters=[lambda typed: (typed or "").strip()],
        description="It gets a POST for each event. It begins with https:// and is reachable "
        "from the internet.",
        render_kw={
            "required": True,
            "inputmode": "url",
            "autocomplete": "off",
            "spellcheck": "false",
            "autocapitalize": "none",
        },
    )
    reach = RadioField(
        "Which events does it hear of?",
        choices={
            ALL: "All events, and those that later releases add",
            CHOSEN: "Only what is chosen below",
        },
        default=ALL,
    )
    event_codes = SelectMultipleField("Events", choices={code: code for code in CODES})

    @classmethod
    def of(cls, webhook: Webhook) -> WebhookForm:
        """Return the form with what stands now."""
        hears_all = ALL in webhook.event_codes
        return cls(
            formdata=None,
            name=webhook.name,
            target_url=webhook.target_url,
            reach=ALL if hears_all else CHOSEN,
            event_codes=[] if hears_all else webhook.event_codes,
        )

    def validate_event_codes(self, field: SelectMultipleField) -> None:
        """Demand one at least, where they are chosen."""
        if self.reach.data == CHOSEN and not field.data:
            raise ValidationError("Choose at least one, or let it hear of all.")

    def draft(self) -> Draft | None:
        """Return what was typed, judged; None if it can't be, and then the fields say why.

        The address's name is looked up, so call it in no transaction.
        """
        if not self.validate():
            return None
        try:
            return services().webhook_drafts.drafted(
                name=self.name.data or "",
                target_url=self.target_url.data or "",
                event_codes=[ALL] if self.reach.data == ALL else self.event_codes.data,
            )
        except Invalid as invalid:
            explain(self, invalid)
            return None


def groups() -> list[Group]:
    """Return all events by their subjects, in the order of the headings."""
    by_subject = groupby(sorted(EventKind, key=_subject), key=_subject)
    found = [
        Group(
            code=f"{subject}:{ALL}",
            heading=SUBJECTS[subject],
            kinds=[(kind.value, WORDS[kind].name) for kind in kinds],
        )
        for subject, kinds in by_subject
    ]
    return sorted(found, key=lambda group: group.heading)


def in_words(codes: Iterable[str]) -> list[str]:
    """Return what a webhook hears of, as administrators read of it."""
    return [_words(code) for code in codes]


def event_name(kind: str) -> str:
    """Return what an event that was told is called."""
    if kind == TEST:
        return "Test"
    return WORDS[EventKind(kind)].name if kind in set(EventKind) else kind


def _words(code: str) -> str:
    if code == ALL:
        return "All events"
    subject, _, action = code.partition(":")
    return f"{SUBJECTS[subject]}: all" if action == ALL else event_name(code)


def _subject(kind: EventKind) -> str:
    return kind.value.partition(":")[0]
