"""The registry of factors: adding one is a module, a row here, a template folder and a test."""

from app.factors.base import Factor, SecretFactor
from app.factors.message_code import MessageCode
from app.factors.passkey import Passkey
from app.factors.totp import Totp

SECRET_FACTORS: dict[str, SecretFactor] = {factor.kind: factor for factor in (Totp(),)}
MESSAGE_CODES: dict[str, MessageCode] = {
    factor.kind: factor
    for factor in (
        MessageCode("sms", hosted=True),
        MessageCode("whatsapp"),
        MessageCode("voice"),
        MessageCode("dual", hosted=True),
        MessageCode("email", hosted=True),
    )
}
PASSKEY = Passkey()
FACTORS: dict[str, Factor] = {PASSKEY.kind: PASSKEY, **SECRET_FACTORS, **MESSAGE_CODES}
"""In the order in which they are offered: the safest first."""
