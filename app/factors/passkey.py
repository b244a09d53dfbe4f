"""Passkeys and security keys: WebAuthn Level 3, by py_webauthn and the checks that it leaves to us.

An answer is the JSON that a browser's `credential.toJSON()` returns.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import AttestationFormat, AuthenticatorTransport

from app.factors.base import Parameters, Reason, Refused
from app.factors.passkey_checks import (
    comes_from_a_frame,
    demand_fitting_key,
    demand_nothing_more,
    is_attested,
)
from app.models import KeyStorage

KIND = "passkey"
ALGORITHMS = (
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
)
"""Those that are offered; a key of another one is refused (7.1 step 20)."""
TIMEOUT = 300
"""Seconds for which the browser's prompt may stay open, and a challenge be answered."""
LONGEST_ID = 1023
"""Bytes of a credential id (7.1 step 25)."""
LONGEST_ANSWER = 32 * 1024
_PROVIDERS: dict[str, str] = json.loads(
    Path(__file__).with_name("passkey_models.json").read_text(encoding="utf-8")
)
"""Names by AAGUID, for people to tell their passkeys apart; nothing is decided by them."""
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")


class Passkey:
    """A key pair on the user's device or in their password manager, bound to our address."""

    kind = KIND
    hosted = True

    def well_formed(self, answer: str) -> bool:
        """Tell whether it is a credential as a browser hands it over, of a believable size."""
        return _parsed(answer) is not None


@dataclass(frozen=True, kw_only=True)
class RelyingParty:
    """Who asks: the only place where the passkeys work.

    Attributes:
        id: the host's name.
        origin: scheme, host, and the port if it is unusual.
    """

    id: str
    origin: str


@dataclass(frozen=True, kw_only=True)
class Demands:
    """What an organization demands of passkeys.

    Attributes:
        user_verification: a fingerprint, a face or a PIN each time, not only a touch.
        attested: a new one's maker has to vouch for its model.
        models: AAGUIDs of the models that are taken; used with `attested`.
        roots: certificates (PEM) of makers, on one of which an attestation has to rest.
    """

    user_verification: bool = False
    attested: bool = False
    models: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A new passkey.

    Attributes:
        id: in base64url.
        sign_count: how often it was used, as it counts; 0 if it doesn't.
        parameters: what is kept of it to judge its answers.
        user_verified: whether it made sure that it is its owner.
    """

    id: str
    sign_count: int
    parameters: dict[str, Any]
    user_verified: bool


@dataclass(frozen=True, kw_only=True)
class Proof:
    """An answer that a passkey signed.

    Attributes:
        sign_count: as it counts now.
        counted_back: whether it counts less than before, or the same: somebody may have a copy.
        user_verified: whether it made sure that it is its owner.
        backed_up: whether a copy of it lies elsewhere, with its provider.
    """

    sign_count: int
    counted_back: bool
    user_verified: bool
    backed_up: bool


def challenge_of(answer: str) -> str | None:
    """Return the challenge that an answer is for, in base64url; None if it is no answer."""
    parsed = _parsed(answer)
    return _client_data(parsed).get("challenge") if parsed else None


def id_of(answer: str) -> str | None:
    """Return the id of the passkey that an answer comes from, if it says."""
    parsed = _parsed(answer)
    return parsed["id"] if parsed else None


def registered(
    answer: str, *, party: RelyingParty, challenge: bytes, demands: Demands
) -> Credential | Refused:
    """Judge a new passkey (7.1).

    Args:
        challenge: the one that was sent, and is used up.
    """
    parsed = _parsed(answer)
    if parsed is None or comes_from_a_frame(_client_data(parsed)):
        return Refused(reason=Reason.WRONG)
    try:
        attestation = base64url_to_bytes(parsed["response"]["attestationObject"])
        demand_nothing_more(attestation)
        found = webauthn.verify_registration_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=demands.user_verification,
            supported_pub_key_algs=list(ALGORITHMS),
            pem_root_certs_bytes_by_fmt=_roots(demands),
        )
        demand_fitting_key(found.credential_public_key)
        attested = demands.attested and is_attested(attestation, found.aaguid)
    except Exception:  # a stranger's bytes: whatever the parsers below make of them is a refusal
        return Refused(reason=Reason.WRONG)
    if len(found.credential_id) > LONGEST_ID:
        return Refused(reason=Reason.WRONG)
    if demands.attested and not (attested and found.aaguid in demands.models):
        return Refused(reason=Reason.NOT_ALLOWED)
    eligible = found.credential_device_type == "multi_device"
    return Credential(
        id=bytes_to_base64url(found.credential_id),
        sign_count=found.sign_count,
        parameters={
            "public_key": bytes_to_base64url(found.credential_public_key),
            "aaguid": found.aaguid,
            "transports": _transports(parsed),
            "backup_eligible": eligible,
            "backed_up": found.credential_backed_up,
            "key": _storage(attested=attested, eligible=eligible),
        },
        user_verified=found.user_verified,
    )


def asserted(
    answer: str,
    *,
    party: RelyingParty,
    challenge: bytes,
    demands: Demands,
    credential_id: str,
    parameters: Parameters,
    sign_count: int,
    handle: bytes,
) -> Proof | Refused:
    """Judge what a passkey signed (7.2).

    Args:
        challenge: the one that was sent, and is used up.
        credential_id: of the passkey, which is the user's.
        parameters: as `registered` returned them.
        sign_count: the highest that was seen.
        handle: the user's; an answer that names one has to name this.
    """
    parsed = _parsed(answer)
    if parsed is None or parsed["id"] != credential_id or comes_from_a_frame(_client_data(parsed)):
        return Refused(reason=Reason.WRONG)
    try:
        found = webauthn.verify_authentication_response(
            credential=parsed,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=base64url_to_bytes(parameters["public_key"]),
            credential_current_sign_count=0,
            require_user_verification=demands.user_verification,
        )
        named = parsed["response"].get("userHandle")
        is_theirs = named is None or base64url_to_bytes(named) == handle
    except Exception:  # as above
        return Refused(reason=Reason.WRONG)
    eligible = found.credential_device_type == "multi_device"
    if not is_theirs or eligible != parameters["backup_eligible"]:
        return Refused(reason=Reason.WRONG)
    counts = found.new_sign_count > 0 or sign_count > 0
    return Proof(
        sign_count=found.new_sign_count,
        counted_back=counts and found.new_sign_count <= sign_count,
        user_verified=found.user_verified,
        backed_up=found.credential_backed_up,
    )


def provider_of(parameters: Parameters) -> str | None:
    """Return who keeps a passkey, or the model of a security key, if it is a known one."""
    return _PROVIDERS.get(parameters.get("aaguid", ""))


def _parsed(answer: str) -> dict[str, Any] | None:
    """Return an answer's parts, if it has those that every one has."""
    if len(answer) > LONGEST_ANSWER:
        return None
    try:
        parsed = json.loads(answer)
        client_data = _client_data(parsed)
        texts = [parsed["id"], parsed["rawId"], client_data["challenge"]]
        whole = all(_BASE64URL.fullmatch(text) for text in texts)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return parsed if whole else None


def _client_data(parsed: dict[str, Any]) -> dict[str, Any]:
    found = json.loads(base64url_to_bytes(parsed["response"]["clientDataJSON"]))
    return dict(found)


def _storage(*, attested: bool, eligible: bool) -> str:
    """Return how the key is kept: in hardware only if its maker says so."""
    if eligible:
        return KeyStorage.SYNCED.value
    return (KeyStorage.HARDWARE if attested else KeyStorage.UNPROVEN).value


def _roots(demands: Demands) -> dict[AttestationFormat, list[bytes]]:
    if not demands.attested:
        return {}
    return {each: [root.encode() for root in demands.roots] for each in AttestationFormat}


def _transports(parsed: dict[str, Any]) -> list[str]:
    """Return how the browser can reach it: a hint, of which unknown values are left out."""
    told = parsed["response"].get("transports")
    known = {each.value for each in AuthenticatorTransport}
    return [each for each in told if each in known] if isinstance(told, list) else []
