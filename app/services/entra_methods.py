"""What Entra is told of a confirmation: one `amr` and one `acr`, of the values that it knows.

From Microsoft's reference of external MFA providers: all that we have proves possession, passkeys
too. It has no word for codes by email, by WhatsApp, or for recovery codes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

AMR = {"passkey": "fido", "totp": "otp", "sms": "sms", "voice": "tel"}
"""By kind of factor; of a code, by the channel that it came by."""
_POSSESSION = {
    "possessionorinherence",
    "knowledgeorpossession",
    "knowledgeorpossessionorinherence",
    "possession",
}
"""Classes that something which the user has is of."""


def chosen_acr(wanted: Sequence[str]) -> str | None:
    """Return the class to tell of those that are wanted; None if we can reach none of them.

    It goes back as it came: Entra refuses a narrower one, and a wider one, too.
    """
    return next((one for one in wanted if one in _POSSESSION), None)


def chosen_methods(wanted: Collection[str]) -> list[str]:
    """Return the kinds and channels of which there is a word among those that are wanted."""
    return [kind for kind, amr in AMR.items() if amr in wanted]
