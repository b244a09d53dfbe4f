"""Gateway sessions as a visit reads them: with all that each of its pages asks for, at once."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.orm import Session, contains_eager

from app.models import Application, Brand, GatewaySession, MagicLink, Organization, User
from app.remembered import remember, remembered

_ID, _HASHES = "session_id", "browser_hashes"
_FOUND = (
    sa.select(GatewaySession)
    .join(GatewaySession.user)
    .join(User.organization)
    .join(GatewaySession.application)
    .where(
        GatewaySession.id == sa.bindparam(_ID),
        # With its organization or its application it is gone for every door.
        Organization.deleted_at.is_(None),
        Application.deleted_at.is_(None),
    )
    .options(
        contains_eager(GatewaySession.user).contains_eager(User.organization),
        contains_eager(GatewaySession.application).lazyload(Application.organizations),
    )
)
_VISITED = (
    _FOUND.add_columns(Brand, MagicLink)
    .outerjoin(Brand, Brand.organization_id == Organization.id)
    .outerjoin(MagicLink, MagicLink.gateway_session_id == GatewaySession.id)
)
_HELD = (
    _VISITED.where(GatewaySession.browser_hash.in_(sa.bindparam(_HASHES, expanding=True)))
    .with_for_update(of=GatewaySession)
    .execution_options(populate_existing=True)
)
_LINK = sa.select(MagicLink).where(MagicLink.gateway_session_id == sa.bindparam(_ID))


def found(tx: Session, session_id: str) -> GatewaySession | None:
    """Return a session with its user, organization and application."""
    return tx.scalar(_FOUND, {_ID: session_id})


def visited(tx: Session, session_id: str) -> GatewaySession | None:
    """Return it with what pages ask for besides."""
    return _told(tx, tx.execute(_VISITED, {_ID: session_id}).one_or_none())


def held(tx: Session, session_id: str, browser_hashes: Collection[str]) -> GatewaySession | None:
    """Return it to the browser that it is bound to, and keep others from it.

    Whoever doesn't know the secret of that browser keeps nobody from anything.

    Args:
        browser_hashes: of the secret that the browser brings.
    """
    values = {_ID: session_id, _HASHES: list(browser_hashes)}
    return _told(tx, tx.execute(_HELD, values).one_or_none())


def link_of(tx: Session, session: GatewaySession) -> MagicLink | None:
    """Return the magic link that completes a session, if it is one of those."""
    return remembered(
        tx, (MagicLink, session.id), lambda: tx.scalar(_LINK, {_ID: session.id}), of=[MagicLink]
    )


def _told(
    tx: Session, row: sa.Row[GatewaySession, Brand | None, MagicLink | None] | None
) -> GatewaySession | None:
    if row is None:
        return None
    session, brand, link = row
    remember(tx, (Brand, session.user.organization_id), brand, of=[Brand])
    remember(tx, (MagicLink, session.id), link, of=[MagicLink])
    return session
