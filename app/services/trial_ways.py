"""Ways of a trial: what each door does of one, and what it looks at in the token that comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from app import jose
from app.crypto import Vault
from app.models import Application, GatewaySession, Organization, User
from app.services.audit import Actor
from app.services.signing_keys import LEEWAY_SECONDS

_VERIFIER = "code verifier of a trial"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that an application has to look at.

    Attributes:
        name: of the claim, or what `claim_words.CHECKS` has in its place.
        wanted: what it has to be.
        found: what it is.
    """

    name: str
    passed: bool
    wanted: str
    found: str


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is tried, with whom, and how the browser is to come back.

    Attributes:
        name: the user's, as the administrator typed it.
        back: the page of ours where it ends.
        state: brought back there, and known to whoever began alone.
    """

    organization: Organization
    application: Application
    user: User
    name: str
    back: str
    state: str
    nonce: str


@dataclass(frozen=True, kw_only=True)
class Begun:
    """Where the browser goes, and the session that waits there, if it is open by now."""

    url: str = field(repr=False)
    session: GatewaySession | None = None


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What an application makes of what the browser brought.

    Attributes:
        token: empty if what was brought is worth none.
        header: of the token; empty if its signature is not ours, as are the claims.
        checks: all that an application does, in order, as far as they got.
    """

    token: str = field(default="", repr=False)
    header: jose.Claims = field(default_factory=dict)
    claims: jose.Claims = field(default_factory=dict)
    checks: list[Check]


class Way(Protocol):
    """What one door does of a trial."""

    def begin(self, tx: Session, actor: Actor, trial: Trial) -> Begun:
        """Ask as an application of this door does; the session's nonce is the trial's.

        Raises:
            Refusal: as `GatewaySessions.open` does.
        """
        ...

    def judge(
        self, tx: Session, actor: Actor, session: GatewaySession, brought: Mapping[str, str]
    ) -> Judged | None:
        """Use up what the browser brought, and judge what it is worth; None if it is nothing."""
        ...


def code_verifier(vault: Vault, nonce: str) -> str:
    """Return a trial's code verifier: made of its nonce by a key that is in no database."""
    return vault.hash(nonce, purpose=_VERIFIER).partition(":")[2]


def exchanged(token: str) -> Check:
    """Say whether a code was worth a token."""
    return Check(
        name="code",
        passed=bool(token),
        wanted="not exchanged before",
        found="exchanged now" if token else "exchanged before, or too old",
    )


def signed(token: str) -> Check:
    """Say which key a token was signed with, whose signature is right."""
    header = jose.header(token)
    found = f"{header['alg']}, key {header['kid']}"
    return Check(name="signature", passed=True, wanted="one of the published keys", found=found)


def compared(claims: jose.Claims, wanted: Mapping[str, Any]) -> list[Check]:
    """Compare claims with what they have to be, letter by letter."""
    return [
        Check(
            name=name,
            passed=claims.get(name) == value,
            wanted=str(value),
            found=str(claims.get(name)),
        )
        for name, value in wanted.items()
    ]


def in_time(claims: jose.Claims, now: datetime) -> Check:
    """Say whether a token is not expired, with the leeway that clocks get."""
    return Check(
        name="exp",
        passed=now.timestamp() < claims["exp"] + LEEWAY_SECONDS,
        wanted=f"after {now:%H:%M:%S} UTC",
        found=f"{datetime.fromtimestamp(claims['exp'], UTC):%H:%M:%S} UTC",
    )
