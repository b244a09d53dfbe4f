"""Every page of the admin area: who sits at the desk, what they may do, and how pages are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from flask import (
    Blueprint,
    Response,
    current_app,
    flash,
    g,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound
from wtforms import TextAreaField
from wtforms.validators import ValidationError

from app.errors import Invalid, Refusal
from app.errors import NotFound as Unknown
from app.models import Administrator, AdministratorSession, Environment, Organization, Role
from app.services.administrators import administrator_actor
from app.services.audit import Actor
from app.services.roles import DANGEROUS, Action, may
from app.web.admin.gate import ask_to_sign_in, ask_to_verify
from app.web.admin.told import told
from app.web.support import actor, services

P = ParamSpec("P")
View = Callable[Concatenate[Session, "Seat", P], ResponseReturnValue]
_REASON_LENGTH = 500


@dataclass(frozen=True, kw_only=True)
class Seat:
    """An administrator at work in one organization."""

    session: AdministratorSession
    organization: Organization
    role: Role
    actor: Actor

    @property
    def administrator(self) -> Administrator:
        """Who it is."""
        return self.session.administrator

    def may(self, action: Action | str) -> bool:
        """Tell whether the role allows this; templates name an action as `roles.Action` does."""
        return may(self.role, Action[action] if action in Action.__members__ else Action(action))


def noun(path: str) -> Blueprint:
    """Return a blueprint for the pages about one noun, whose addresses name the organization.

    Args:
        path: below the organization's own address; empty for that itself.
    """
    name = "admin_" + (path.replace("-", "_").replace("/", "_") or "overview")
    prefix = "/admin/<environment>/<domain>" + (f"/{path}" if path else "")
    return Blueprint(name, __name__, url_prefix=prefix)


def page(
    action: Action, *, streams: bool = False
) -> Callable[[View[P]], Callable[P, ResponseReturnValue]]:
    """Make a view a page of the admin area: one transaction, a seat, and a role that may.

    Without a session the browser is sent to sign in and back. An organization that the
    administrator doesn't run is unknown here. A role that may not gets a page that says so. A
    dangerous action wants a second factor that was proved a few minutes ago.

    Args:
        streams: whether the view reads a long form for itself: its transaction only looks, and the
            view closes it before it reads, since slow senders must hold no lock.
    """

    def decorate(view: View[P]) -> Callable[P, ResponseReturnValue]:
        @wraps(view)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
            if not current_user.is_authenticated:
                return ask_to_sign_in()
            database = services().database
            reads = request.method in {"GET", "HEAD"}
            try:
                with database.reading() if reads or streams else database.writing() as tx:
                    seat = take_seat(tx, kwargs.pop("environment"), kwargs.pop("domain"))
                    if not seat.may(action):
                        return refuse(seat, action)
                    if action in DANGEROUS and not _is_fresh(seat, reads):
                        return ask_to_verify()
                    return view(tx, seat, *args, **kwargs)
            except Unknown:
                raise NotFound from None
            except Refusal as refusal:
                return refused(refusal)

        cast(Any, wrapped).action = action  # for whoever walks over all pages
        return wrapped

    return decorate


def take_seat(tx: Session, environment: object, domain: object) -> Seat:
    """Return the seat of who is signed in, in the organization that the address names.

    Raises:
        Unknown: there is no such organization, or it is not one that they run.
    """
    session: AdministratorSession = current_user.session
    for seated in services().appointments.seats(tx, session.administrator):
        found = seated.organization
        if (found.environment.value, found.domain) == (environment, domain):
            seat = Seat(
                session=session,
                organization=found,
                role=seated.role,
                actor=administrator_actor(session.administrator, actor("administrator")),
            )
            g.seat = seat
            return seat
    raise Unknown("organization")


def render(template: str, seat: Seat, status: int = 200, **view: object) -> Response:
    """Render a page of the admin area."""
    return make_response(render_template(template, seat=seat, **view), status)


def done(seat: Seat, notice: str, endpoint: str, **values: Any) -> ResponseReturnValue:
    """Answer a form that did what it says: with a notice, on the page that comes next.

    Args:
        notice: plain text; it travels in a cookie, so it holds no secret.
    """
    flash(notice)
    return redirect(url_for(endpoint, **values), 303)


def confirm(
    seat: Seat,
    *,
    question: str,
    says: Sequence[str],
    button: str,
    keep: str,
    back: str,
    reason: bool = False,
    form: FlaskForm | None = None,
    danger: bool = True,
    status: int = 200,
) -> Response:
    """Ask once, on a page of its own; its button posts to the same address.

    Args:
        question: with the thing's name in it.
        says: what stops, who is told, what is kept; a sentence or two each.
        button: a verb with its object.
        keep: what the way out says that stays.
        back: where the way out leads.
        reason: whether to ask for one; see `reason`.
        form: more fields to fill in, with what was typed.
    """
    return render(
        "admin/confirm.html",
        seat,
        status,
        question=question,
        says=says,
        button=button,
        keep=keep,
        back=back,
        form=form if form is not None else (ReasonForm() if reason else FlaskForm()),
        danger=danger,
    )


class ReasonForm(FlaskForm):  # type: ignore[misc]
    """Why something is done; it stands in the audit record."""

    reason = TextAreaField(
        "Reason",
        description="The audit record keeps it. Write what you checked, no secrets.",
        render_kw={"rows": 2, "maxlength": _REASON_LENGTH, "required": True},
    )

    def validate_reason(self, field: TextAreaField) -> None:
        """Demand some words, and not too many."""
        typed = " ".join((field.data or "").split())
        if not 3 <= len(typed) <= _REASON_LENGTH:
            raise ValidationError("Write in a few words why.")
        field.data = typed


def explain(form: FlaskForm, invalid: Invalid, **names: str) -> None:
    """Put a refused value's sentence at its field.

    Args:
        names: fields of the form that are called otherwise there (`email="address"`).
    """
    field = form[names.get(invalid.field, invalid.field)]
    field.errors = [*field.errors, told(invalid)]


def refuse(seat: Seat, action: Action) -> Response:
    """Say that the role doesn't allow it, and who can."""
    return render("admin/not_allowed.html", seat, 403, action=action)


def refused(refusal: Refusal) -> Response:
    """Say why something can't be done; what was there before is still there."""
    template = "admin/refused.html" if "seat" in g else "admin/refused_gate.html"
    html = render_template(template, refusal=refusal, seat=g.get("seat"), status=refusal.status)
    return make_response(html, refusal.status)


def _is_fresh(seat: Seat, reads: bool) -> bool:
    return services().administrator_sessions.is_fresh(seat.session, sends_form=not reads)


def fill_address(endpoint: str, values: dict[str, Any]) -> None:
    """Let links of the admin area stay in the organization that is shown."""
    seat: Seat | None = g.get("seat")
    if seat is None:
        return
    names = {"environment": seat.organization.environment.value, "domain": seat.organization.domain}
    for name, value in names.items():
        if current_app.url_map.is_endpoint_expecting(endpoint, name):
            values.setdefault(name, value)


def environments() -> dict[str, str]:
    """Return how the environments are called on pages."""
    return {Environment.SANDBOX.value: "Sandbox", Environment.PRODUCTION.value: "Production"}


MENU = (
    (
        None,
        (
            ("admin_overview.index", "chart", "Overview", Action.SEE_OVERVIEW),
            ("admin_users.index", "users", "Users", Action.SEE_USERS),
            ("admin_audit.index", "audit", "Audit", Action.SEE_AUDIT),
            ("admin_inbox.index", "mail", "Inbox", Action.READ_INBOX),
        ),
    ),
    (
        "Verification",
        (
            ("admin_methods.index", "methods", "Methods", Action.SEE_SETTINGS),
            ("admin_policy.index", "policy", "Policy", Action.SEE_SETTINGS),
            ("admin_messages.index", "chat", "Messages", Action.SEE_SETTINGS),
            ("admin_branding.index", "drop", "Branding", Action.SEE_SETTINGS),
        ),
    ),
    (
        "Developers",
        (
            ("admin_applications.index", "window", "Applications", Action.SEE_SETTINGS),
            ("admin_api_keys.index", "code", "API keys", Action.SEE_SETTINGS),
            ("admin_webhooks.index", "webhook", "Webhooks", Action.SEE_SETTINGS),
            ("admin_signing_keys.index", "key", "Signing keys", Action.SEE_SETTINGS),
        ),
    ),
    (
        "Organization",
        (("admin_administrators.index", "gate", "Administrators", Action.SEE_ADMINISTRATORS),),
    ),
)
"""Sections of the menu: endpoint, icon, words, and what a role must allow."""

_SANDBOX_ONLY = {"admin_inbox.index"}


def menu(seat: Seat) -> list[tuple[str | None, list[tuple[str, str, str]]]]:
    """Return what of the menu this administrator may open: sections of endpoint, icon, words."""
    sandbox = seat.organization.environment is Environment.SANDBOX
    sections = []
    for title, entries in MENU:
        shown = [
            (endpoint, icon, words)
            for endpoint, icon, words, action in entries
            if seat.may(action)
            and endpoint in current_app.view_functions
            and (sandbox or endpoint not in _SANDBOX_ONLY)
        ]
        if shown:
            sections.append((title, shown))
    return sections
