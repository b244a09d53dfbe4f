"""Magic links: a session that is completed by whoever reads the user's mailbox.

A link is bound to the browser that asked, if the application sent it to the session's address,
else to the browser that follows the link. Followed in another one it completes nothing there: it
tells a short code to type in the browser that asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa
from ksuid import Ksuid
from sqlalchemy.orm import Session, joinedload

from app.clock import Clock
from app.crypto import Vault, new_token
from app.db import lock, touched_one
from app.factors import magic_link
from app.factors.base import Reason, Refused
from app.factors.recovery_code import normalize
from app.models import (
    GatewaySession,
    MagicLink,
    Purpose,
    SessionStatus,
    User,
    Verification,
)
from app.services.audit import Actor, Audit, EventKind
from app.services.gateway_sessions import GatewaySessions
from app.services.limits import Answering, Limits
from app.services.session_rows import link_of
from app.services.standing import is_suspended

TOKEN_BITS = 192
ID_PREFIX = "magic-link-challenge_"

_TOKEN, _CODE_MAKING, _CODE = "magic link token", "magic link code", "magic link code hash"


@dataclass(frozen=True, kw_only=True)
class Followed:
    """What came of following a link; without a code, the session is complete.

    Attributes:
        secret: for the cookie of a browser that was bound just now.
        code: to be typed in the browser that asked.
    """

    secret: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)


class MagicLinks:
    """Completes the session of a link that is followed, in one browser and once."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        gateway_sessions: GatewaySessions,
        limits: Limits,
        audit: Audit,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._gateway_sessions = gateway_sessions
        self._limits = limits
        self._audit = audit

    def make(self, tx: Session, session: GatewaySession) -> tuple[MagicLink, str]:
        """Make the link of a new session, and return it with the token in its address."""
        token = new_token(TOKEN_BITS)
        link = MagicLink(
            id=ID_PREFIX + str(Ksuid(session.created_at)),
            gateway_session_id=session.id,
            gateway_session=session,
            token_hash=self._vault.hash(token, purpose=_TOKEN),
            created_at=session.created_at,
            expires_at=session.expires_at,
        )
        tx.add(link)
        tx.flush()
        return link, token

    def of(self, tx: Session, session: GatewaySession) -> MagicLink | None:
        """Return the link that completes a session, if it is one of those."""
        return link_of(tx, session)

    def is_locked(self, user: User) -> bool:
        """Tell whether an administrator has to unlock the user first."""
        return self._limits.spent(user, Answering(), now=self._clock.now()) is not None

    # The browser that follows it

    def find(self, tx: Session, token: str) -> MagicLink | None:
        """Return the link with this token, and its session; looking at it changes nothing."""
        session = joinedload(MagicLink.gateway_session)
        return tx.scalar(
            sa.select(MagicLink)
            .join(MagicLink.gateway_session)
            .where(
                MagicLink.token_hash.in_(self._vault.hashes(token, purpose=_TOKEN)),
                GatewaySession.found(),
            )
            .options(
                session.joinedload(GatewaySession.user).joinedload(User.organization),
                session.joinedload(GatewaySession.application),
            )
        )

    def is_open(self, link: MagicLink) -> bool:
        """Tell whether following it now leads on."""
        status = self._gateway_sessions.status(link.gateway_session)
        suspended = is_suspended(link.gateway_session.user)
        return link.used_at is None and status is SessionStatus.PENDING and not suspended

    def follow(
        self, tx: Session, actor: Actor, link: MagicLink, *, token: str, secret: str
    ) -> Followed | None:
        """Complete the session in the browser that it is bound to, or that this binds it to.

        Args:
            token: the one in the link.
            secret: what the browser's cookie of this session holds.

        Returns:
            None once the link is used or over.
        """
        session = link.gateway_session
        lock(tx, GatewaySession.id, session.id)  # of many at the same instant one comes first
        tx.refresh(session, ["status", "browser_hash"])
        tx.refresh(link, ["used_at", "code_hash"])
        if not self.is_open(link):
            return None
        if session.browser_hash is None:
            entered = self._gateway_sessions.bind(tx, actor, session)
            if entered is None or self._complete(tx, actor, link) is None:
                return None
            return Followed(secret=entered.secret)
        if self._gateway_sessions.visit(tx, session.short_id, secret) is None:
            return Followed(code=self._shown_code(tx, actor, link, token))
        return Followed() if self._complete(tx, actor, link) else None

    # The browser that asked

    def answer_code(
        self, tx: Session, actor: Actor, session: GatewaySession, answer: str
    ) -> Verification | Refused:
        """Judge the short code that a link told in another browser, once, and remember it.

        It is charged to the session alone: it is right in no other.
        """
        link = self.of(tx, session)
        if link is None:
            return Refused(reason=Reason.EXPIRED)
        if not magic_link.well_formed(answer):
            return Refused(reason=Reason.MALFORMED, attempts_left=self._limits.left(session))
        if not self._limits.charge_session(tx, session, now=self._clock.now()):
            return Refused(reason=Reason.TOO_MANY)
        tx.refresh(link, ["used_at", "code_hash"])
        if self._vault.matches(normalize(answer), link.code_hash, purpose=_CODE):
            return self._complete(tx, actor, link) or Refused(reason=Reason.EXPIRED)
        self._record(tx, actor, link, reason=Reason.WRONG)
        left = self._limits.left(session)
        if left == 0:
            self._gateway_sessions.fail(tx, actor, session)
        return Refused(reason=Reason.WRONG, attempts_left=left)

    def _complete(self, tx: Session, actor: Actor, link: MagicLink) -> Verification | None:
        now, user = self._clock.now(), link.gateway_session.user
        if self.is_locked(user) or is_suspended(user):
            return None
        use = (
            sa.update(MagicLink)
            .where(MagicLink.id == link.id, MagicLink.used_at.is_(None), MagicLink.expires_at > now)
            .values(used_at=now)
        )
        if not touched_one(tx, use):
            return None
        verification = self._record(tx, actor, link)
        self._gateway_sessions.complete(tx, actor, link.gateway_session, verification)
        return verification

    def _record(
        self, tx: Session, actor: Actor, link: MagicLink, *, reason: Reason | None = None
    ) -> Verification:
        session = link.gateway_session
        verification = Verification(
            user_id=session.user_id,
            organization_id=session.user.organization_id,
            gateway_session_id=session.id,
            application_id=session.application_id,
            challenge_id=link.id,
            kind=magic_link.KIND,
            purpose=Purpose.VERIFICATION,
            accepted=reason is None,
            reason=reason.value if reason else None,
            at=self._clock.now(),
        )
        tx.add(verification)
        tx.flush()
        self._audit.record(
            tx,
            EventKind.VERIFICATION_REFUSED if reason else EventKind.VERIFICATION_ACCEPTED,
            actor,
            organization_id=session.user.organization_id,
            gateway_session=session,
            kind=verification.kind,
            purpose=verification.purpose.value,
            reason=verification.reason,
        )
        return verification

    def _shown_code(self, tx: Session, actor: Actor, link: MagicLink, token: str) -> str:
        """Return the link's code, the same each time: made from the token by a key of ours."""
        made = self._vault.hash(token, purpose=_CODE_MAKING).partition(":")[2]
        code = magic_link.short_code(bytes.fromhex(made))
        if link.code_hash is None:
            self._audit.record(
                tx,
                EventKind.MAGIC_LINK_CODE_SHOWN,
                actor,
                organization_id=link.gateway_session.user.organization_id,
                gateway_session=link.gateway_session,
            )
        link.code_hash = self._vault.hash(code, purpose=_CODE)
        return code
