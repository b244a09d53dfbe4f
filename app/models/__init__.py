"""What is kept: one noun a file; importing this package makes all of them known."""

from app.models.api_key import ApiKey
from app.models.application import Application
from app.models.authenticator import Authenticator, AuthenticatorStatus
from app.models.authorization_code import AuthorizationCode
from app.models.challenge import Challenge
from app.models.event import Event
from app.models.gateway_session import (
    GatewaySession,
    Intent,
    ResponseMode,
    ResponseType,
    SessionStatus,
)
from app.models.idempotency_key import IdempotencyKey
from app.models.magic_link import MagicLink
from app.models.message import Message
from app.models.method_setting import MethodSetting
from app.models.organization import Environment, Organization
from app.models.recovery_code import RecoveryCode
from app.models.result import Result
from app.models.signing_key import KeyState, KeyUse, SigningKey
from app.models.user import User
from app.models.verification import Purpose, Verification

__all__ = [
    "ApiKey",
    "Application",
    "Authenticator",
    "AuthenticatorStatus",
    "AuthorizationCode",
    "Challenge",
    "Environment",
    "Event",
    "GatewaySession",
    "IdempotencyKey",
    "Intent",
    "KeyState",
    "KeyUse",
    "MagicLink",
    "Message",
    "MethodSetting",
    "Organization",
    "Purpose",
    "RecoveryCode",
    "ResponseMode",
    "ResponseType",
    "Result",
    "SessionStatus",
    "SigningKey",
    "User",
    "Verification",
]
