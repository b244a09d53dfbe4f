"""ID tokens for Entra: what an issued result says, in the words that Entra demands."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app import jose
from app.models import GatewaySession, KeyUse, Result, SessionStatus, Verification
from app.services.entra_connections import EntraConnections
from app.services.entra_methods import AMR
from app.services.signing_keys import SigningKeys

_CONFIRMED = {SessionStatus.VERIFIED, SessionStatus.ENROLLED}


class EntraAnswers:
    """Puts results into ID tokens; it makes none."""

    def __init__(self, signing_keys: SigningKeys, connections: EntraConnections) -> None:
        self._signing_keys = signing_keys
        self._connections = connections

    def id_token(self, tx: Session, session: GatewaySession, result: Result) -> str | None:
        """Return a result of a session as an ID token; None where that can't be said truly.

        The one method is that of the verification that the result rests on: after a recovery
        code, what was set up in place of what was lost.
        """
        verification = tx.get_one(Verification, result.verification_id)
        amr = AMR.get(verification.kind)
        if (
            amr is None
            or result.claims["status"] not in _CONFIRMED
            or not session.takes(verification.kind)
        ):
            return None
        connection = self._connections.of(tx, session.application)
        claims: jose.Claims = {
            "iss": self._connections.issuer(connection.id),
            "aud": result.claims["aud"],
            "sub": session.asked["sub"],
            "iat": result.claims["iat"],
            "exp": result.claims["exp"],
            "acr": session.asked["acr"],
            "amr": [amr],
        }
        if session.nonce is not None:
            claims["nonce"] = session.nonce
        signer = self._signing_keys.signer(tx, KeyUse.ENTRA)
        return jose.sign(claims, typ="JWT", key=signer)
