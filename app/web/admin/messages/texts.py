"""Texts: what messages with a code say, by channel and language, with a preview of the real one."""

from __future__ import annotations

from flask import url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import TextAreaField

from app.errors import Invalid, NotFound
from app.providers.base import CHANNELS
from app.services.channels import PLACEHOLDERS, ChannelSettings, check_text, longest_text
from app.services.roles import Action
from app.texts import LANGUAGES
from app.web.admin.brand_form import LANGUAGE_NAMES
from app.web.admin.desk import Seat, confirm, done, explain, noun, page, render
from app.web.admin.messages.text_previews import preview
from app.web.admin.messages.words import CHANNEL
from app.web.support import services
from app.web.support.headers import allow_requests

blueprint = noun("messages/texts")
_INDEX, _SHOW = "admin_messages_texts.index", "admin_messages_texts.show"

_STANDS_FOR = {
    "code": "the code; needed",
    "minutes": "for how many minutes it works; needed. Write “min” after it, which suits 1, too",
    "organization": "the name of the organization",
    "reference": "four letters that the page shows, too",
}
_ADDED = {
    "email": "Below it: on which page to type the code, and never to share it.",
    "sms": "Below it: never to share the code, and a line by which phones type it only on our "
    "pages.",
    "whatsapp": "Below it: never to share the code.",
    "voice": "After it: never to share the code. The code is said sign by sign.",
}


class TextForm(FlaskForm):  # type: ignore[misc]
    """The words of one channel in one language."""

    text = TextAreaField("Text", render_kw={"rows": 6})

    @property
    def own(self) -> str | None:
        """What was typed, with plain line breaks; None if it is empty."""
        typed = (self.text.data or "").replace("\r\n", "\n").replace("\r", "\n").strip()
        return typed or None


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show which texts are the organization's own."""
    rows = [
        (kind, CHANNEL[kind], services().channels.settings(tx, seat.organization, kind).texts)
        for kind in CHANNELS
    ]
    return render(
        "admin/messages/texts.html",
        seat,
        rows=rows,
        languages={one: LANGUAGE_NAMES[one] for one in LANGUAGES},
    )


@blueprint.get("/<kind>/<language>")
@page(Action.SEE_SETTINGS)
def show(tx: Session, seat: Seat, kind: str, language: str) -> ResponseReturnValue:
    """Show a text, and the message as it is sent."""
    settings = _settings(tx, seat, kind, language)
    form = TextForm(formdata=None, text=settings.texts.get(language, ""))
    return _page(seat, kind, language, settings, form)


@blueprint.post("/<kind>/<language>")
@page(Action.CHANGE_MESSAGES)
def save(tx: Session, seat: Seat, kind: str, language: str) -> ResponseReturnValue:
    """Let messages say what was typed; nothing means ours."""
    settings, form = _settings(tx, seat, kind, language), TextForm()
    try:
        changed = services().channels.set_text(
            tx, seat.actor, seat.organization, kind, language, form.own
        )
    except Invalid as invalid:
        explain(form, invalid, texts="text")
        return _page(seat, kind, language, settings, form, 422)
    notice = "Saved. It holds from the next code on." if changed else "Nothing was changed."
    return done(seat, notice, _SHOW, kind=kind, language=language)


@blueprint.post("/<kind>/<language>/preview")
@page(Action.CHANGE_MESSAGES, streams=True)
def look(tx: Session, seat: Seat, kind: str, language: str) -> ResponseReturnValue:
    """Show the message with what was typed; nothing is kept."""
    settings, form = _settings(tx, seat, kind, language), TextForm()
    try:
        if form.own is not None:
            check_text(kind, language, form.own)
    except Invalid as invalid:
        explain(form, invalid, texts="text")
        return _page(seat, kind, language, settings, form, 422)
    return _page(seat, kind, language, settings, form)


@blueprint.get("/<kind>/<language>/reset")
@page(Action.CHANGE_MESSAGES)
def ask_reset(tx: Session, seat: Seat, kind: str, language: str) -> ResponseReturnValue:
    """Ask whether messages are to say what ours say again."""
    _settings(tx, seat, kind, language)
    return confirm(
        seat,
        question="Use Gatehouse’s own text again?",
        says=[
            f"Your words for {CHANNEL[kind].many} in {LANGUAGE_NAMES[language]} are deleted. "
            "The next code goes out with ours."
        ],
        button="Use Gatehouse’s text",
        keep="Keep your text",
        back=url_for(_SHOW, kind=kind, language=language),
    )


@blueprint.post("/<kind>/<language>/reset")
@page(Action.CHANGE_MESSAGES)
def reset(tx: Session, seat: Seat, kind: str, language: str) -> ResponseReturnValue:
    """Let messages say what ours say."""
    _settings(tx, seat, kind, language)
    services().channels.set_text(tx, seat.actor, seat.organization, kind, language, None)
    return done(seat, "Gatehouse’s own text is used again.", _SHOW, kind=kind, language=language)


def _settings(tx: Session, seat: Seat, kind: str, language: str) -> ChannelSettings:
    if kind not in CHANNELS or language not in LANGUAGES:
        raise NotFound("text")
    return services().channels.settings(tx, seat.organization, kind)


def _page(
    seat: Seat,
    kind: str,
    language: str,
    settings: ChannelSettings,
    form: TextForm,
    status: int = 200,
) -> ResponseReturnValue:
    """Show what was typed, and the message that it makes; of a wrong text, the one in use."""
    allow_requests()
    own = settings.texts.get(language)
    shown = own if form.text.errors or status != 200 else form.own
    form.text.render_kw = {
        "rows": 8 if kind == "email" else 5,
        "lang": language,
        "maxlength": longest_text(kind),
        "placeholder": services().delivery.start(language),
    }
    form.text.description = f"Empty: Gatehouse’s own. Up to {longest_text(kind):,} characters."
    return render(
        "admin/messages/text.html",
        seat,
        status,
        kind=kind,
        channel=CHANNEL[kind],
        language=language,
        language_name=LANGUAGE_NAMES[language],
        form=form,
        own=own,
        is_draft=shown != own,
        placeholders={f"{{{one}}}": _STANDS_FOR[one] for one in PLACEHOLDERS},
        added=_ADDED[kind],
        preview=preview(seat.organization, kind, language, settings, shown),
        may_change=seat.may(Action.CHANGE_MESSAGES),
    )
