"""Signing keys, to look at: rotating them is the operator's, for all organizations at once."""

from __future__ import annotations

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.models import KeyState
from app.services.roles import Action
from app.services.signing_keys import ENTRA_LEAD, JWKS_MAX_AGE_SECONDS, KeyStanding
from app.web.admin.desk import Seat, noun, page, render
from app.web.admin.paging import PER_PAGE
from app.web.admin.recipes import jwks_address
from app.web.support import services

blueprint = noun("signing-keys")


@blueprint.get("")
@page(Action.SEE_SETTINGS)
def index(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Show which keys sign, which will, and which did."""
    keys = services().signing_keys.standing(tx)
    over = [key for key in keys if not key.published]
    return render(
        "admin/signing_keys/index.html",
        seat,
        published=sorted((key for key in keys if key.published), key=_order),
        over=over[:PER_PAGE],
        over_count=len(over),
        jwks=jwks_address(services().config.base_url),
        kept_minutes=JWKS_MAX_AGE_SECONDS // 60,
        lead_hours=int(ENTRA_LEAD.total_seconds()) // 3600,
        now=services().clock.now(),
    )


def _order(key: KeyStanding) -> tuple[int, str]:
    """Put first what signs now, then what will."""
    states = (KeyState.ACTIVE, KeyState.NEXT, KeyState.RETIRED)
    return states.index(key.state), key.use.value
