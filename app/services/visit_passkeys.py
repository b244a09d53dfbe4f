"""Passkeys in visits: what the browser's prompt needs, and which are lost."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.factors import PASSKEY
from app.models import Authenticator, GatewaySession
from app.services.assurance import PHR, satisfies
from app.services.audit import Actor
from app.services.means import Means
from app.services.passkeys import Passkeys
from app.services.verification import Verifications
from app.services.visits import Step, Visits


class VisitPasskeys:
    """Asks a visit's browser for passkeys; what one signs is judged by `Visits`."""

    def __init__(
        self,
        means: Means,
        passkeys: Passkeys,
        verifications: Verifications,
        visits: Visits,
    ) -> None:
        self._means = means
        self._passkeys = passkeys
        self._verifications = verifications
        self._visits = visits

    def options(self, tx: Session, session: GatewaySession) -> dict[str, Any] | None:
        """Return what the browser's passkey prompt needs now; None if it isn't its turn."""
        user, step = session.user, self._visits.step(tx, session)
        verified = not satisfies(PHR, session.acr_values)
        if step is Step.ENROLL:
            pending = self._visits.pending(tx, session)
            if pending is None or pending.kind != PASSKEY.kind:
                return None
            issuer = user.organization.name
            new = self._passkeys.ask_new(tx, user, issuer, session=session, verified=verified)
            return new.options
        if step is not Step.VERIFY:
            return None
        choices = self._means.choices(tx, session)
        mine = [one for one in choices if one.kind == PASSKEY.kind]
        asked = self._passkeys.ask(tx, user, mine, session=session, verified=verified)
        return asked.options if asked else None

    def tell_losses(
        self, tx: Session, actor: Actor, session: GatewaySession, lost: Collection[uuid.UUID]
    ) -> None:
        """Suspend the passkeys that the user has lost, if that is what comes next."""
        if self._visits.step(tx, session) is not Step.TELL_LOSSES:
            return
        self._verifications.suspend_passkeys(tx, actor, session.user, lost, session=session)
        session.losses_told = True
        tx.flush()

    def mine(self, tx: Session, session: GatewaySession) -> Sequence[Authenticator]:
        """Return the user's passkeys that work."""
        return self._passkeys.mine(tx, session.user)
