"""What pages show of the code that they ask for, by the kind of what it is for."""

from __future__ import annotations

from math import ceil

from flask import request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.factors import MESSAGE_CODES, PASSKEY, totp
from app.factors.base import Prompt, Refused
from app.models import Authenticator, AuthenticatorStatus, GatewaySession, User
from app.services.challenges import Asked
from app.services.masked import masked, readable
from app.services.visit_codes import Question
from app.web.gateway.visit import render, user
from app.web.support import services
from app.web.support.headers import allow_requests
from app.web.support.sentences import (
    message_sentence,
    passkey_sentence,
    sending_sentence,
    sentence,
)


def facts_of(
    tx: Session,
    session: GatewaySession,
    authenticator: Authenticator,
    refused: Refused | None = None,
    typed: str = "",
) -> dict[str, object]:
    """Return what the template of an authenticator's kind shows.

    Args:
        refused: why the answer was refused, if one was.
        typed: that answer.
    """
    if authenticator.kind == PASSKEY.kind:
        allow_requests()
        error = passkey_sentence(refused) if refused else None
        return {**_addresses(session, authenticator), "error": error, "refused": refused}
    if authenticator.kind not in MESSAGE_CODES:
        shown = totp.shown(authenticator.parameters)
        return {
            "prompt": _prompt(tx, session, authenticator),
            "shown": shown,
            "error": sentence(refused, typed, digits=shown.digits) if refused else None,
            "refused": refused,
            "typed": typed,
        }
    question = services().visit_codes.question(tx, session, authenticator)
    allow_requests()
    return {
        "question": question,
        "places": [_place(session.user, authenticator, one) for one in question.recipients],
        "wait": _seconds_until(question),
        **_addresses(session, authenticator),
        "safest": services().visit_choices.safest(tx, session),
        "error": _message_error(refused, typed, question) if refused else None,
        "refused": refused,
        "typed": typed.split("/"),
    }


def sent(tx: Session, session: GatewaySession, authenticator: Authenticator) -> Asked | Refused:
    """Do what a button of the page asks for: send a code, or another one."""
    codes = services().visit_codes
    send = codes.send_again if "again" in request.form else codes.send
    channel = request.form.get("channel", "")
    return send(tx, user(), session, authenticator, channel=channel)


def why_not_sent(
    session: GatewaySession, refused: Refused, channel: str, recipient: str | None
) -> str:
    """Return what the page says if a code is not sent.

    Args:
        channel: by which it would have gone.
        recipient: where to; for two addresses, both.
    """
    return sending_sentence(
        refused,
        channel=channel,
        organization=session.user.organization.name,
        application=session.application.name,
        number=(recipient or "").rpartition(":")[2],
    )


def progress_of(
    tx: Session, session: GatewaySession, authenticator: Authenticator
) -> ResponseReturnValue:
    """Answer the page's script, which asks how the newest message stands."""
    question = services().visit_codes.question(tx, session, authenticator)
    return render("gateway/progress.html", session, question=question)


def _addresses(session: GatewaySession, authenticator: Authenticator) -> dict[str, str]:
    """Return where the page's forms and its script go."""
    visit_id, one = session.short_id, authenticator.id
    if authenticator.status is AuthenticatorStatus.PENDING:
        return {
            "answer": url_for("gateway.enroll", visit_id=visit_id),
            "send": url_for("gateway.send_first", visit_id=visit_id),
            "progress": url_for("gateway.first_progress", visit_id=visit_id),
        }
    return {
        "answer": url_for("gateway.verify", visit_id=visit_id, authenticator_id=one),
        "send": url_for("gateway.send", visit_id=visit_id, authenticator_id=one),
        "progress": url_for("gateway.progress", visit_id=visit_id, authenticator_id=one),
    }


def _prompt(tx: Session, session: GatewaySession, authenticator: Authenticator) -> Prompt | None:
    """Return what is shown until the first code."""
    if authenticator.status is not AuthenticatorStatus.PENDING:
        return None
    return services().visits.prompt(tx, session, authenticator)


def _message_error(refused: Refused, typed: str, question: Question) -> str:
    challenge = question.challenge
    return message_sentence(
        refused,
        typed,
        digits=question.digits,
        two=bool(challenge and challenge.second_hash),
        reference=challenge.reference if challenge and question.channel != "voice" else None,
    )


def _place(user: User, authenticator: Authenticator, recipient: str) -> str:
    """Return where codes go; in full what was typed in this visit, so that a slip is seen."""
    pending = authenticator.status is AuthenticatorStatus.PENDING
    known = recipient in {user.email, user.phone_number}
    return readable(recipient) if pending and not known else masked(recipient)


def _seconds_until(question: Question) -> int:
    if question.retry_at is None:
        return 0
    return max(0, ceil((question.retry_at - services().clock.now()).total_seconds()))
