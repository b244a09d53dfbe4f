"""The load itself: were anything lost, or had anybody come in, it would see it."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.models import Event, GatewaySession, Result, SessionStatus, Verification
from tests.conftest import Harbor
from tests.faults.load import Load, SignIn


def test_the_load_sees_what_was_lost_and_who_came_in(live_harbor: Harbor) -> None:
    with Load(live_harbor, people=6) as load:
        load.goes_on(2)
    load.proves()
    one = load.redeemed[0]
    for changed, back in losses(one):
        with undone(live_harbor, changed, back), pytest.raises(AssertionError):
            load.proves()
    for told, false in ((load.created, str(uuid.uuid4())), (load.guessed, one.session_id)):
        told.append(false)
        with pytest.raises(AssertionError):
            load.proves()
        told.pop()
    load.proves()
    newest = sa.select(sa.func.max(Event.id)).where(Event.kind == "verification:accepted")
    live_harbor.executes(
        sa.update(Event).where(Event.id == newest.scalar_subquery()).values(actor="nobody")
    )
    with pytest.raises(AssertionError):
        load.proves()


def losses(one: SignIn) -> list[tuple[sa.Update, sa.Update]]:
    """Return changes that take something acknowledged back, each with what undoes it."""
    result = sa.update(Result).where(Result.gateway_session_id == one.session_id)
    session = sa.update(GatewaySession).where(GatewaySession.id == one.session_id)
    judged = sa.update(Verification).where(Verification.gateway_session_id == one.session_id)
    used = judged.where(Verification.step == one.step)
    return [
        (result.values(redeemed_at=None), result.values(redeemed_at=sa.func.now())),
        (
            session.values(status=SessionStatus.PENDING),
            session.values(status=SessionStatus.VERIFIED),
        ),
        (used.values(accepted=False), used.values(accepted=True)),
    ]


@contextlib.contextmanager
def undone(harbor: Harbor, changed: sa.Update, back: sa.Update) -> Iterator[None]:
    """Change something for as long as the block lasts."""
    harbor.executes(changed)
    yield
    harbor.executes(back)
