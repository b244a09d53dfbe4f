"""What a new organization does first, in the order in which it makes sense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from app.services.attention import Found, Matter
from app.services.overview import People
from app.services.roles import Action
from app.web.admin.desk import Seat
from app.web.support import services


@dataclass(frozen=True, kw_only=True)
class Step:
    """One of them.

    Attributes:
        is_done: as far as can be seen from here.
        endpoint: of the page where it is done.
    """

    icon: str
    title: str
    says: str
    endpoint: str
    button: str
    needs: Action
    is_done: bool = False


@dataclass(frozen=True, kw_only=True)
class FirstSteps:
    """All of them, and what of it needs no mention elsewhere."""

    steps: Sequence[Step]
    matters = (Matter.METHODS_OFF, Matter.NO_APPLICATION, Matter.ONE_OWNER, Matter.OVERDUE)

    @property
    def done(self) -> int:
        """How many are done."""
        return sum(step.is_done for step in self.steps)


_CHOOSE = Step(
    icon="methods",
    title="Choose a method",
    says="Such as codes of an authenticator app, which work without a network.",
    endpoint="admin_methods.index",
    button="Choose methods",
    needs=Action.SEE_SETTINGS,
)
_CONNECT = Step(
    icon="window",
    title="Connect an application",
    says="It sends its users here, and gets a signed result back.",
    endpoint="admin_applications.index",
    button="See applications",
    needs=Action.SEE_SETTINGS,
)
_ADD = Step(
    icon="users",
    title="Add your users",
    says="One by one, from a file, or by the API.",
    endpoint="admin_users.index",
    button="Add users",
    needs=Action.SEE_USERS,
)
_INVITE = Step(
    icon="gate",
    title="Invite a second owner",
    says="Then a lost phone locks nobody out of this organization.",
    endpoint="admin_administrators.index",
    button="See administrators",
    needs=Action.SEE_ADMINISTRATORS,
)
_TRY = Step(
    icon="app",
    title="See the first user confirm",
    says="Try it from the application’s own page. The figures appear here then.",
    endpoint="admin_applications.index",
    button="Try an application",
    needs=Action.TRY_APPLICATION,
)


def first_steps(tx: Session, seat: Seat, people: People, attention: Sequence[Found]) -> FirstSteps:
    """Return the steps of an organization in which nobody verified yet."""
    missing = {found.matter for found in attention}
    offered = services().method_settings.offered(tx, seat.organization)
    steps = {
        _CHOOSE: bool(offered),
        _CONNECT: Matter.NO_APPLICATION not in missing,
        _ADD: people.total > 0,
        _INVITE: Matter.ONE_OWNER not in missing,
        _TRY: False,
    }
    return FirstSteps(steps=[replace(step, is_done=done) for step, done in steps.items()])
