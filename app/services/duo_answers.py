"""Duo's answer: an issued result, in the words of Duo Universal."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import jose
from app.config import Config
from app.factors import PASSKEY
from app.models import DuoClient, Event, GatewaySession, Purpose, Result, Verification
from app.services.audit import EventKind
from app.services.duo_tokens import PATH

SECONDS = 300
"""So long an ID token may be shown; the SDKs look at it at once."""

_REASONS = {Purpose.TRUST: "remembered_device", Purpose.ENROLLMENT: "user_approved"}


class DuoAnswers:
    """Writes ID tokens: what stands in a result, and what is known of how it came about."""

    def __init__(self, config: Config) -> None:
        self.issuer = f"{config.base_url}{PATH}/token"

    def claims(
        self, tx: Session, client: DuoClient, session: GatewaySession, result: Result
    ) -> jose.Claims:
        """Return what the ID token of a result says.

        The name of the user is the one that the application gave, to the letter: SDKs compare it.
        """
        asked, said = session.asked, result.claims
        nonce = {"nonce": asked["nonce"]} if asked.get("nonce") else {}
        return {
            "iss": self.issuer,
            "aud": client.client_id,
            "sub": said["sub"],
            "preferred_username": asked["name"],
            "exp": said["iat"] + SECONDS,
            "iat": said["iat"],
            "auth_time": said["auth_time"],
            "jti": said["jti"],
            **nonce,
            "amr": said["amr"],
            "acr": said["acr"],
            "auth_result": {
                "result": "allow",
                "status": "allow",
                "status_msg": "Login Successful",
            },
            "auth_context": self._context(tx, client, session, result),
        }

    def _context(
        self, tx: Session, client: DuoClient, session: GatewaySession, result: Result
    ) -> jose.Claims:
        """Return what we know of the visit; nothing that we don't."""
        verification = tx.get_one(Verification, result.verification_id)
        person, at = session.user, verification.at
        enrolled = verification.purpose is Purpose.ENROLLMENT
        return {
            "txid": session.id,
            "timestamp": int(at.timestamp()),
            "isotimestamp": at.isoformat(timespec="seconds"),
            "event_type": "enrollment" if enrolled else "authentication",
            "result": "success",
            "reason": _reason(verification),
            "factor": result.claims["mfa_method"],
            **({"email": person.email} if person.email else {}),
            "user": {"key": str(person.id), "name": session.asked["name"], "groups": []},
            "application": {"key": client.client_id, "name": client.application.name},
            "access_device": _browser(tx, session),
        }


def _reason(verification: Verification) -> str:
    codes = "user_approved" if verification.kind == PASSKEY.kind else "valid_passcode"
    return _REASONS.get(verification.purpose, codes)


def _browser(tx: Session, session: GatewaySession) -> dict[str, str]:
    """Return of the bound browser what was recorded as it came."""
    entered = tx.scalar(
        sa.select(Event).where(
            Event.organization_id == session.user.organization_id,
            Event.kind == EventKind.GATEWAY_SESSION_ENTERED.value,
            Event.gateway_session_id == session.id,
        )
    )
    if entered is None:
        return {}
    known = {"ip": entered.address} if entered.address else {}
    browser, _, system = (entered.device or "").partition(", ")
    return {**known, "browser": browser, "os": system} if system else known
