"""Webhooks of an organization: where its events are sent, and the secret that is shown once."""

from __future__ import annotations

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import Webhook
from app.services.roles import Action
from app.web.admin import recipes
from app.web.admin import webhook_words as words
from app.web.admin.desk import Seat, confirm, done, noun, page, render
from app.web.admin.paging import PER_PAGE, number, pages
from app.web.admin.secrets import ReplaceForm
from app.web.admin.webhook_form import WebhookForm, groups, in_words
from app.web.support import services

blueprint = noun("webhooks")
SHOW = "admin_webhooks.show"


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """List the organization's webhooks, newest first."""
    at = number()
    found, total = services().webhooks.page(
        tx, seat.organization.environment, seat.organization, page=at, per_page=PER_PAGE
    )
    return render(
        "admin/webhooks/index.html",
        seat,
        webhooks=[(one, words.state(one), in_words(one.event_codes)) for one in found],
        pages=pages("admin_webhooks.index", at, shown=len(found), total=total),
    )


@blueprint.get("/new")
@page(Action.CHANGE_WEBHOOKS)
def new(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask where a new webhook leads."""
    return _form_page(seat, WebhookForm(formdata=None))


@blueprint.post("/new")
@page(Action.CHANGE_WEBHOOKS, streams=True)
def create(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Create a webhook of this organization, and show its secret this once."""
    tx.close()  # the address is looked up, which may take seconds
    form = WebhookForm()
    draft = form.draft()
    if draft is None:
        return _form_page(seat, form, status=422)
    with services().database.writing() as writing:
        webhook, secret = services().webhooks.create(
            writing,
            seat.actor,
            draft,
            environment=seat.organization.environment,
            organization=seat.organization,
        )
        form.use_up(writing)
    return _hand_over(seat, webhook, secret, f"{webhook.name} is added")


@blueprint.get("/<webhook_id>/edit")
@page(Action.CHANGE_WEBHOOKS)
def edit(tx: Session, seat: Seat, webhook_id: str) -> ResponseReturnValue:
    """Show the form with what stands now."""
    webhook = find(tx, seat, webhook_id)
    return _form_page(seat, WebhookForm.of(webhook), webhook)


@blueprint.post("/<webhook_id>/edit")
@page(Action.CHANGE_WEBHOOKS, streams=True)
def save(tx: Session, seat: Seat, webhook_id: str) -> ResponseReturnValue:
    """Change a webhook."""
    webhook = find(tx, seat, webhook_id)
    tx.close()  # the address is looked up, which may take seconds
    form = WebhookForm()
    draft = form.draft()
    if draft is None:
        return _form_page(seat, form, webhook, status=422)
    with services().database.writing() as writing:
        found = find(writing, seat, webhook_id)
        services().webhooks.update(writing, seat.actor, found, draft)
    return done(seat, "Saved. It holds from the next event on.", SHOW, webhook_id=webhook_id)


@blueprint.get("/<webhook_id>/secret")
@page(Action.CHANGE_WEBHOOKS)
def ask_replace(tx: Session, seat: Seat, webhook_id: str) -> ResponseReturnValue:
    """Ask how long requests are to be signed with the old secret, too."""
    webhook = find(tx, seat, webhook_id)
    mark = services().webhooks.secret_mark(webhook)
    return _ask_replace(seat, webhook, ReplaceForm(formdata=None, instead_of=mark))


@blueprint.post("/<webhook_id>/secret")
@page(Action.CHANGE_WEBHOOKS)
def replace(tx: Session, seat: Seat, webhook_id: str) -> ResponseReturnValue:
    """Give a webhook a new secret, and show it this once."""
    webhook, form = find(tx, seat, webhook_id), ReplaceForm()
    if not form.validate():
        return _ask_replace(seat, webhook, form, status=422)
    secret = services().webhooks.replace_secret(
        tx, seat.actor, webhook, overlap=form.lasts, instead_of=form.instead_of.data
    )
    return _hand_over(seat, webhook, secret, f"{webhook.name} has a new secret")


@blueprint.get("/<webhook_id>/switch-off")
@page(Action.CHANGE_WEBHOOKS)
def ask_off(tx: Session, seat: Seat, webhook_id: str) -> ResponseReturnValue:
    """Ask whether a webhook is to hear of nothing more."""
    webhook = find(tx, seat, webhook_id)
    return confirm(
        seat,
        question=f"Switch {webhook.name} off?",
        says=[
            "What happens while it is off is never sent there. What waits is kept, and goes on "
            "when you switch it on again."
        ],
        button="Switch off",
        keep="Keep it on",
        back=url_for(SHOW, webhook_id=webhook.id),
    )


@blueprint.post("/<webhook_id>/switch-off")
@page(Action.CHANGE_WEBHOOKS)
def switch_off(tx: Session, seat: Seat, webhook_id: str) -> ResponseReturnValue:
    """Let a webhook hear of nothing more."""
    webhook = find(tx, seat, webhook_id)
    services().webhooks.switch_off(tx, seat.actor, webhook)
    return done(seat, f"{webhook.name} is off.", SHOW, webhook_id=webhook.id)


@blueprint.post("/<webhook_id>/switch-on")
@page(Action.CHANGE_WEBHOOKS)
def switch_on(tx: Session, seat: Seat, webhook_id: str) -> ResponseReturnValue:
    """Let a webhook hear of what happens from now on."""
    webhook = find(tx, seat, webhook_id)
    services().webhooks.switch_on(tx, seat.actor, webhook)
    return done(seat, f"{webhook.name} is on.", SHOW, webhook_id=webhook.id)


@blueprint.get("/<webhook_id>/delete")
@page(Action.CHANGE_WEBHOOKS)
def ask_delete(tx: Session, seat: Seat, webhook_id: str) -> ResponseReturnValue:
    """Ask whether a webhook is to be gone."""
    webhook = find(tx, seat, webhook_id)
    return confirm(
        seat,
        question=f"Delete {webhook.name}?",
        says=[
            "Nothing more is sent to its address. What waits for it, and its log, are deleted, "
            "too. The audit record keeps every event."
        ],
        button="Delete webhook",
        keep="Keep it",
        back=url_for(SHOW, webhook_id=webhook.id),
    )


@blueprint.post("/<webhook_id>/delete")
@page(Action.CHANGE_WEBHOOKS)
def delete(tx: Session, seat: Seat, webhook_id: str) -> ResponseReturnValue:
    """Delete a webhook."""
    webhook = find(tx, seat, webhook_id)
    services().webhooks.delete(tx, seat.actor, webhook)
    return done(seat, f"{webhook.name} is deleted.", "admin_webhooks.index")


def find(tx: Session, seat: Seat, webhook_id: str) -> Webhook:
    """Return a webhook of this organization alone; all others are unknown here."""
    organization = seat.organization
    return services().webhooks.named(tx, organization.environment, organization, webhook_id)


def _form_page(
    seat: Seat, form: WebhookForm, webhook: Webhook | None = None, *, status: int = 200
) -> ResponseReturnValue:
    return render(
        "admin/webhooks/form.html", seat, status, form=form, groups=groups(), webhook=webhook
    )


def _ask_replace(
    seat: Seat, webhook: Webhook, form: ReplaceForm, *, status: int = 200
) -> ResponseReturnValue:
    return confirm(
        seat,
        question=f"Replace the secret of {webhook.name}?",
        says=[
            "You get a new one, shown once. With an overlap each request carries two signatures, "
            "so your server accepts it by either while you change it. If the old one leaked, "
            "choose no time."
        ],
        button="Replace secret",
        keep="Keep the old one",
        back=url_for(SHOW, webhook_id=webhook.id),
        form=form,
        status=status,
    )


def _hand_over(seat: Seat, webhook: Webhook, secret: str, title: str) -> ResponseReturnValue:
    return render(
        "admin/webhooks/secret.html",
        seat,
        title=title,
        webhook=webhook,
        secret=secret,
        overlaps_until=services().webhooks.overlaps_until(webhook),
        verify=recipes.verify_event(),
    )
