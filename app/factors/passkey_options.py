"""What a browser's passkey prompt is asked for, in the JSON that it parses itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import webauthn
from webauthn.helpers import base64url_to_bytes, options_to_json_dict
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from app.factors.base import Parameters
from app.factors.passkey import ALGORITHMS, TIMEOUT, Demands, RelyingParty


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose passkey it will be, as the device shows it.

    Attributes:
        handle: opaque, at most 64 bytes; it comes back with an answer (`userHandle`).
        name: the user's address or number.
        organization: for whom it is.
    """

    handle: bytes
    name: str
    organization: str


def creation_options(
    party: RelyingParty,
    owner: Owner,
    challenge: bytes,
    demands: Demands,
    *,
    known: Sequence[tuple[str, Parameters]],
) -> dict[str, Any]:
    """Return what `PublicKeyCredential.parseCreationOptionsFromJSON` takes.

    Args:
        known: ids and parameters of the passkeys that the user has: none is made twice.
    """
    verification = (
        UserVerificationRequirement.REQUIRED
        if demands.user_verification
        else UserVerificationRequirement.PREFERRED
    )
    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name=owner.organization,
        user_id=owner.handle,
        user_name=owner.name,
        challenge=challenge,
        timeout=TIMEOUT * 1000,
        attestation=AttestationConveyancePreference.DIRECT
        if demands.attested
        else AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=verification
        ),
        exclude_credentials=_descriptors(known),
        supported_pub_key_algs=list(ALGORITHMS),
    )
    return options_to_json_dict(options)


def request_options(
    party: RelyingParty,
    challenge: bytes,
    demands: Demands,
    *,
    known: Sequence[tuple[str, Parameters]],
) -> dict[str, Any]:
    """Return what `PublicKeyCredential.parseRequestOptionsFromJSON` takes.

    Args:
        known: ids and parameters of the passkeys any of which may answer.
    """
    options = webauthn.generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=TIMEOUT * 1000,
        allow_credentials=_descriptors(known),
        user_verification=UserVerificationRequirement.REQUIRED
        if demands.user_verification
        else UserVerificationRequirement.PREFERRED,
    )
    return options_to_json_dict(options)


def _descriptors(known: Sequence[tuple[str, Parameters]]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=base64url_to_bytes(one),
            transports=[AuthenticatorTransport(each) for each in parameters["transports"]],
        )
        for one, parameters in known
    ]
