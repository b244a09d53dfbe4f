"""What is kept: one noun a file; importing this package makes all of them known."""

from app.models.api_key import ApiKey
from app.models.application import Application
from app.models.authenticator import Authenticator, AuthenticatorStatus
from app.models.event import Event
from app.models.gateway_session import (
    GatewaySession,
    Intent,
    ResponseMode,
    SessionStatus,
)
from app.models.message import Message
from app.models.method_setting import MethodSetting
from app.models.organization import Environment, Organization
from app.models.recovery_code import RecoveryCode
from app.models.result import Result
from app.models.signing_key import KeyState, SigningKey
from app.models.user import User
from app.models.verification import Purpose, Verification

__all__ = [
    "ApiKey",
    "Application",
    "Authenticator",
    "AuthenticatorStatus",
    "Environment",
    "Event",
    "GatewaySession",
    "Intent",
    "KeyState",
    "Message",
    "MethodSetting",
    "Organization",
    "Purpose",
    "RecoveryCode",
    "ResponseMode",
    "Result",
    "SessionStatus",
    "SigningKey",
    "User",
    "Verification",
]
