"""Requests of Entra: from a hint to the gateway session of the user whom it names."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import jose
from app.clock import Clock
from app.crypto import Vault
from app.db import lock
from app.errors import Invalid, NotFound, Refusal
from app.models import (
    Door,
    EntraConnection,
    EntraHint,
    Organization,
    ResponseMode,
    SessionStatus,
    User,
)
from app.models.gateway_session import METHODS_ASKED
from app.services.assurance import SMS
from app.services.audit import Actor
from app.services.directory import Directory
from app.services.entra_clouds import addresses
from app.services.entra_connections import EntraConnections
from app.services.entra_hints import Named, judged
from app.services.entra_keys import EntraKeys, KeysUnavailable
from app.services.entra_methods import chosen_acr, chosen_methods
from app.services.gateway_sessions import Ask, GatewaySessions
from app.services.subjects import Subjects

DENIED, UNAVAILABLE, INVALID = "access_denied", "temporarily_unavailable", "invalid_request"
_HINT = "entra hint"


@dataclass(frozen=True, kw_only=True)
class EntraRequest:
    """What Entra asks, beside what is the same at each of its requests.

    Attributes:
        hint: `id_token_hint`.
        acr: classes of which it wants one.
        amr: methods of which it wants one.
    """

    hint: str = field(repr=False)
    acr: list[str]
    amr: list[str]
    state: str | None = field(repr=False)
    nonce: str | None = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class TurnedAway:
    """Why Entra is told that nothing came of a request.

    Attributes:
        error: what it is told.
        reason: one word for the log.
    """

    error: str
    reason: str


class EntraRequests:
    """Takes users that Entra sends."""

    def __init__(
        self,
        clock: Clock,
        vault: Vault,
        connections: EntraConnections,
        keys: EntraKeys,
        subjects: Subjects,
        directory: Directory,
        gateway_sessions: GatewaySessions,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._connections = connections
        self._keys = keys
        self._subjects = subjects
        self._directory = directory
        self._gateway_sessions = gateway_sessions

    def read(self, connection: EntraConnection, request: EntraRequest) -> Named | TurnedAway:
        """Check whom a request names; Microsoft may be called for it, so within no transaction."""
        if chosen_acr(request.acr) is None or not chosen_methods(request.amr):
            return TurnedAway(error=DENIED, reason="unmet")
        try:
            kid = jose.header(request.hint).get("kid")
            keys = self._keys.for_hint(connection, kid)
            claims, key = jose.verify_rs256(request.hint, keys=keys)
        except KeysUnavailable:
            return TurnedAway(error=UNAVAILABLE, reason="keys")
        except jose.BadToken:
            return TurnedAway(error=DENIED, reason="signature")
        named = judged(claims, key, connection=connection, now=self._clock.now())
        return TurnedAway(error=DENIED, reason=named) if isinstance(named, str) else named

    def open(
        self,
        tx: Session,
        actor: Actor,
        connection: EntraConnection,
        request: EntraRequest,
        named: Named,
    ) -> str | TurnedAway:
        """Open a gateway session for whom a request names, and return where the browser goes.

        A hint opens one. Should it come again, because the user went back, it leads to the same
        one, which only the same browser can go on with; to a new one only as long as no browser
        has been there.

        Raises:
            Refusal: the user is suspended, say, or the organization offers no method.
        """
        lock(tx, EntraConnection.id, connection.id)  # one request at a time decides who is new
        if again := self._again(tx, actor, connection, request.hint):
            return again
        organization = self._subjects.organization(tx, connection.application)
        user = self._user_of(tx, actor, connection, organization, named)
        if isinstance(user, str):
            return TurnedAway(error=DENIED, reason=user)
        ask = Ask(
            user=str(user.id),
            redirect_uri=addresses(connection.cloud).redirect_uri,
            state=request.state,
            nonce=request.nonce,
            acr_values=(SMS,),  # at least so much have all for which Entra has a word
            response_mode=ResponseMode.FORM_POST,
            door=Door.ENTRA,
            asked={
                "sub": named.sub,
                "acr": chosen_acr(request.acr),
                METHODS_ASKED: chosen_methods(request.amr),
            },
        )
        application = connection.application
        opened = self._gateway_sessions.open(tx, actor, organization, application, ask)
        self._remember(tx, connection, request.hint, opened.session.id)
        return opened.url

    def _again(
        self, tx: Session, actor: Actor, connection: EntraConnection, hint: str
    ) -> str | None:
        """Return where a hint leads that came before; None if it may open a session."""
        row = tx.scalar(
            sa.select(EntraHint).where(
                EntraHint.connection_id == connection.id,
                EntraHint.hint_hash.in_(self._vault.hashes(hint, purpose=_HINT)),
            )
        )
        if row is None:
            return None
        session = self._gateway_sessions.known(tx, row.gateway_session_id)
        if session is None:
            return None
        status = self._gateway_sessions.status(session)
        if status is not SessionStatus.PENDING or session.browser_hash is not None:
            return self._gateway_sessions.address(session)
        self._gateway_sessions.cancel(tx, actor, session)
        return None

    def _remember(
        self, tx: Session, connection: EntraConnection, hint: str, session_id: str
    ) -> None:
        """Let a hint lead to this session from now on."""
        hashes = self._vault.hashes(hint, purpose=_HINT)
        tx.execute(
            sa.delete(EntraHint).where(
                EntraHint.connection_id == connection.id, EntraHint.hint_hash.in_(hashes)
            )
        )
        tx.add(
            EntraHint(
                connection_id=connection.id,
                hint_hash=self._vault.hash(hint, purpose=_HINT),
                gateway_session_id=session_id,
                created_at=self._clock.now(),
            )
        )
        tx.flush()

    def _user_of(
        self,
        tx: Session,
        actor: Actor,
        connection: EntraConnection,
        organization: Organization,
        named: Named,
    ) -> User | str:
        """Return the user whose account it is; or, in one word, why there is none."""
        tid, oid = named.tid, named.oid
        if known := self._connections.linked(tx, connection, tid, oid):
            return known
        by_name = connection.links_by_name
        user = self._by_name(tx, organization, named.username) if by_name else None
        if user and self._is_taken(tx, connection, tid, user):
            return "linked"
        if user is None and connection.application.creates_users:
            user = self._created(tx, actor, organization, named)
        if user is None:
            return "unknown"
        self._connections.link(tx, actor, connection, user, tid=tid, oid=oid)
        return user

    def _is_taken(self, tx: Session, connection: EntraConnection, tid: str, user: User) -> bool:
        """Tell whether another account of the same directory is linked to a user."""
        accounts = self._connections.accounts_of(tx, connection, user)
        return any(account.tenant_id == tid for account in accounts)

    def _by_name(self, tx: Session, organization: Organization, username: str) -> User | None:
        """Return who has this e-mail address; other names of ours are no business of Entra's."""
        if "@" not in username:
            return None
        with contextlib.suppress(NotFound):
            return self._directory.find(tx, organization, username)
        return None

    def _created(
        self, tx: Session, actor: Actor, organization: Organization, named: Named
    ) -> User | None:
        """Make a user: with the name that Entra shows if it is a free address, else by its id."""
        with contextlib.suppress(Invalid, Refusal):
            return self._directory.create(tx, actor, organization, email=named.username)
        external_id = f"{named.tid}:{named.oid}"
        with contextlib.suppress(Refusal):
            return self._directory.create(
                tx, actor, organization, external_id=external_id, named=True
            )
        return self._subjects.find(tx, organization, external_id)
