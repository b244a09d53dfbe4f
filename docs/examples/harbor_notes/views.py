"""The pages of Harbor Notes, and the way to Gatehouse and back."""

from __future__ import annotations

import secrets
from typing import Any, cast

from flask import (
    Blueprint,
    abort,
    current_app,
    g,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from harbor_notes.gatehouse import CheckFailed, Gatehouse
from harbor_notes.settings import Settings, User
from harbor_notes.texts import CHECKS, FAILED_CHECKS, NOTES, rows
from harbor_notes.visits import VISIT_LIVES, Ask, Refusal, Shelf, StepUp, Visit, secret

pages = Blueprint("pages", __name__)
visits: Shelf[Visit] = Shelf(lifetime=VISIT_LIVES, size=10_000)
posted: Shelf[MultiDict[str, str]] = Shelf(lifetime=60, size=1_000)


@pages.before_app_request
def only_our_own_forms() -> None:
    """Refuse a POST without this visit's form token; only an answer from Gatehouse has none."""
    if request.method in {"GET", "HEAD", "OPTIONS"} or request.endpoint == "pages.receive_form":
        return
    if not secrets.compare_digest(
        request.form.get("form_token", "").encode(), visit().form_token.encode()
    ):
        abort(403)


@pages.get("/")
def home() -> ResponseReturnValue:
    """The notes that every member may read."""
    if not visit().user:
        return redirect(url_for(".sign_in"), 303)
    return render_template("home.html", notes=NOTES)


@pages.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """Ask who is there."""
    return render_template("sign_in.html", users=settings().users)


@pages.post("/sign-in")
def create_visit() -> ResponseReturnValue:
    """Sign in; no password is checked, which the page says."""
    user = settings().user(request.form.get("email"))
    if not user:
        return render_template("sign_in.html", users=settings().users, unknown=True), 422
    start_visit(user)
    return redirect(url_for(".home"), 303)


@pages.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """Forget this browser."""
    visits.take(session.pop("visit", ""))
    return redirect(url_for(".sign_in"), 303)


@pages.post("/step-up")
def step_up() -> ResponseReturnValue:
    """Open a gateway session about the signed-in user and send the browser there."""
    user = visit().user
    if not user:
        return redirect(url_for(".sign_in"), 303)
    intent = _one_of("intent", "verify", "enroll", "manage")
    response_mode = _one_of("response_mode", "query", "form_post")
    state, nonce = secret(), secret()
    opened = gatehouse().open_session(
        user.id, state=state, nonce=nonce, intent=intent, response_mode=response_mode
    )
    visit().asks.put(state, Ask(session_id=opened.id, nonce=nonce))
    return redirect(opened.url, 303)


@pages.get("/callback")
def callback() -> ResponseReturnValue:
    """Take the answer that the browser brings back; leave nothing of it in the address bar."""
    answer = posted.take(request.args["posted"]) if "posted" in request.args else request.args
    outcome = judge(visit(), answer or MultiDict())
    if isinstance(outcome, Refusal):
        visit().refusal = outcome
        return redirect(url_for(".refused"), 303)
    visit().step_up = outcome
    return redirect(url_for(".logbook"), 303)


@pages.post("/callback")
def receive_form() -> ResponseReturnValue:
    """Keep a posted answer for a moment and come back for it by GET.

    Browsers leave a SameSite=Lax cookie out of a POST that starts at another site, so here we
    can't know whose answer it is. The GET that follows carries the cookie.
    """
    key = secret()
    posted.put(key, request.form)
    return redirect(url_for(".callback", posted=key), 303)


def judge(visit: Visit, answer: MultiDict[str, str]) -> StepUp | Refusal:
    """Decide what an answer is worth: the state first, then the result, then its one use."""
    ask = visit.asks.take(answer.get("state", ""))
    if not ask or not visit.user:
        return Refusal(check="state")
    if "error" in answer:
        return Refusal(error=answer["error"], detail=answer.get("error_description", ""))
    result = answer.get("result", "")
    try:
        claims = gatehouse().check(result, nonce=ask.nonce, user_id=visit.user.id)
        gatehouse().redeem(ask.session_id, result)
    except CheckFailed as failed:
        return Refusal(check=failed.name, detail=failed.detail)
    return StepUp(claims=claims)


@pages.get("/logbook")
def logbook() -> ResponseReturnValue:
    """The private note, for who took the second step in the last ten minutes."""
    step_up = visit().unlocked
    if not step_up:
        return redirect(url_for(".home"), 303)
    return render_template(
        "logbook.html", step_up=step_up, rows=rows(step_up.claims), checks=CHECKS
    )


@pages.post("/lock")
def lock() -> ResponseReturnValue:
    """Forget the second step, but not the sign-in."""
    visit().step_up = None
    return redirect(url_for(".home"), 303)


@pages.get("/refused")
def refused() -> ResponseReturnValue:
    """Say why the logbook stays locked, to the very check."""
    refusal = visit().refusal
    if not refusal:
        return redirect(url_for(".home"), 303)
    return render_template(
        "refused.html", refusal=refusal, failed=FAILED_CHECKS.get(refusal.check), checks=CHECKS
    )


@pages.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Answer, so that whoever started the application knows it runs."""
    return {"status": "ok"}


def visit() -> Visit:
    """Return what we know of this browser; a new one knows nobody."""
    if "visit" not in g:
        g.visit = visits.get(session.get("visit", "")) or start_visit(None)
    return cast(Visit, g.visit)


def start_visit(user: User | None) -> Visit:
    """Begin a visit under a new key, so that a key from before the sign-in is worth nothing."""
    visits.take(session.get("visit", ""))
    session["visit"] = key = secret()
    g.visit = Visit(user=user)
    visits.put(key, g.visit)
    return cast(Visit, g.visit)


def gatehouse() -> Gatehouse:
    """Return the gateway that this application calls."""
    return cast(Gatehouse, current_app.extensions["gatehouse"])


def settings() -> Settings:
    """Return this application's settings."""
    return cast(Settings, current_app.extensions["settings"])


@pages.app_context_processor
def for_every_page() -> dict[str, Any]:
    """Give the templates the visit and the gateway's address."""
    return {"visit": visit(), "gateway_url": settings().gateway_url}


def _one_of(field: str, *choices: str) -> str:
    """Return a form field's value, or the first choice if it holds none of them."""
    value = request.form.get(field, "")
    return value if value in choices else choices[0]
