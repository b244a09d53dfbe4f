"""All that Harbor Notes says to Gatehouse: open a session, check its result, redeem the result."""

from __future__ import annotations

import base64
import json
import math
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, NoReturn, Protocol
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key, KeyFlexible, KeySet

from harbor_notes.settings import Settings

KEYS_LIVE = 60  # seconds; what the gateway's Cache-Control allows
COOL_DOWN = 30  # seconds between two fetches that an unknown key caused
TIMEOUT = 10  # seconds for one call to the gateway
LONGEST_ANSWER = 100_000  # bytes


class CheckFailed(Exception):
    """A result, or the way it came, did not pass the check of this name."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.detail = detail


class GatewayError(Exception):
    """The gateway can't be reached, or refused a call."""

    def __init__(self, message: str, *, kind: str = "unreachable", status: int = 0) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


@dataclass(frozen=True)
class OpenedSession:
    """A gateway session that waits for the browser at `url`."""

    id: str
    url: str


def check_result(
    result: str,
    *,
    keys: KeyFlexible,
    issuer: str,
    client_id: str,
    organization: str,
    environment: str,
    nonce: str,
    user_id: str,
) -> dict[str, Any]:
    """Return the claims of a good result; `CheckFailed` names the first check that fails."""
    try:
        token = jwt.decode(result, keys, algorithms=["ES256", "RS256", "Ed25519"])
    except UnsupportedAlgorithmError:
        raise CheckFailed("alg") from None
    except (JoseError, ValueError):
        raise CheckFailed("signature") from None
    claims = token.claims
    checks = {
        "typ": token.header.get("typ") == "gatehouse-result+jwt",
        "iss": claims.get("iss") == issuer,
        "aud": claims.get("aud") == client_id,
        "exp": claims.get("exp", 0) + 60 > time.time(),  # our clock may be a minute ahead
        "nonce": bool(nonce) and claims.get("nonce") == nonce,
        "org": claims.get("org") == organization,
        "env": claims.get("env") == environment,
        "sub": claims.get("sub") == user_id,
    }
    for name, passed in checks.items():
        if not passed:
            raise CheckFailed(name)
    return claims


class Gatehouse:
    """The gateway, as this application sees it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opener = build_opener(
            _NoRedirects, HTTPSHandler(context=ssl.create_default_context(cafile=settings.ca_file))
        )
        self._keys = Keys(self._fetch_keys)

    def open_session(
        self, user_id: str, *, state: str, nonce: str, intent: str, response_mode: str
    ) -> OpenedSession:
        """Ask Gatehouse to verify this user, or to enroll another authenticator."""
        answer = self._call(
            f"/api/v2/org/{self._settings.organization}/gateway-sessions",
            {
                "user_id": user_id,
                "redirect_uri": self._settings.redirect_uri,
                "state": state,
                "nonce": nonce,
                "locale": "en",
                "intent": intent,
                "response_mode": response_mode,
            },
        )
        session = OpenedSession(id=str(answer.get("id")), url=str(answer.get("url")))
        if not session.url.startswith(self._settings.gateway_url + "/"):
            raise GatewayError("The session's address is not at the gateway.", kind="bad_answer")
        return session

    def check(self, result: str, *, nonce: str, user_id: str) -> dict[str, Any]:
        """Check a result against what this application expects."""
        return check_result(
            result,
            keys=self._keys,
            issuer=self._settings.gateway_url,
            client_id=self._settings.client_id,
            organization=self._settings.organization,
            environment=self._settings.environment,
            nonce=nonce,
            user_id=user_id,
        )

    def redeem(self, session_id: str, result: str) -> None:
        """Use the result up at Gatehouse, so that it can't be brought here a second time."""
        organization = self._settings.organization
        path = f"/api/v2/org/{organization}/gateway-sessions/{session_id}/redeem"
        try:
            self._call(path, {"result": result})
        except GatewayError as error:
            if error.status in {404, 409, 422}:
                raise CheckFailed("redeem", f"{error} ({error.kind})") from error
            raise

    def _call(self, path: str, body: dict[str, str]) -> dict[str, Any]:
        """Send JSON with our credentials; return the JSON that comes back."""
        credentials = f"{self._settings.client_id}:{self._settings.client_secret}".encode()
        headers = {
            "Authorization": f"Basic {base64.b64encode(credentials).decode()}",
            "Content-Type": "application/json",
        }
        url = self._settings.gateway_url + path
        return self._send(Request(url, json.dumps(body).encode(), headers))  # noqa: S310

    def _fetch_keys(self) -> KeySet:
        url = self._settings.gateway_url + "/.well-known/jwks.json"
        return KeySet.import_key_set(self._send(Request(url)))  # type: ignore[arg-type]  # noqa: S310

    def _send(self, request: Request) -> dict[str, Any]:
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                answer = json.loads(response.read(LONGEST_ANSWER))
        except HTTPError as error:
            _refused(error)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise GatewayError(f"Gatehouse did not answer: {reason}") from error
        if not isinstance(answer, dict):
            raise GatewayError("Gatehouse's answer is not a JSON object.", kind="bad_answer")
        return answer


class Keys:
    """The gateway's public keys: kept a minute, fetched again once when a key is unknown."""

    def __init__(self, fetch: Callable[[], KeySet]) -> None:
        self._fetch = fetch
        self._keys = KeySet([])
        self._fetched = self._missed = -math.inf
        self._lock = Lock()

    def __call__(self, token: _Headed) -> Key:
        """Return the key that a token's header names; never one that the token brings along."""
        kid = token.headers().get("kid")
        with self._lock:
            now = time.monotonic()
            unknown = all(key.kid != kid for key in self._keys)
            if now - self._fetched > KEYS_LIVE:
                self._keys, self._fetched = self._fetch(), now
            elif unknown and now - self._missed > COOL_DOWN:
                self._keys, self._missed = self._fetch(), now
            for key in self._keys:
                if key.kid == kid:
                    return key
        raise InvalidKeyIdError("No key with this id.")


class _Headed(Protocol):
    def headers(self) -> dict[str, Any]: ...


class _NoRedirects(HTTPRedirectHandler):
    """An API does not redirect; our credentials must not follow one elsewhere."""

    def redirect_request(self, *_: object) -> None:
        return None


def _refused(error: HTTPError) -> NoReturn:
    """Raise what the gateway's error body says: {"error": {"type", "message"}}."""
    try:
        told = json.loads(error.read(LONGEST_ANSWER))["error"]
        message, kind = str(told["message"]), str(told["type"])
    except (OSError, ValueError, TypeError, KeyError):
        message, kind = f"Gatehouse answered with status {error.code}.", "bad_answer"
    raise GatewayError(message, kind=kind, status=error.code) from error
