"""What is kept: one noun a file; importing this package makes all of them known."""

from app.models.access_token import AccessToken
from app.models.administrator import (
    Administrator,
    AdministratorRole,
    AdministratorSession,
    Role,
)
from app.models.api_key import Api, ApiKey
from app.models.application import Application, Door
from app.models.arrival import Arrival
from app.models.authenticator import Authenticator, AuthenticatorStatus
from app.models.authorization_code import AuthorizationCode
from app.models.brand import Brand
from app.models.bypass_code import BypassCode
from app.models.challenge import Challenge
from app.models.counted_day import CountedDay
from app.models.cryptr_client import CryptrClient
from app.models.duo_client import DuoClient
from app.models.enrollment_invitation import EnrollmentInvitation
from app.models.entra_connection import EntraAccount, EntraCloud, EntraConnection, EntraHint
from app.models.event import Event
from app.models.freeze_link import FreezeLink
from app.models.gateway_session import (
    Errand,
    GatewaySession,
    Intent,
    ResponseMode,
    ResponseType,
    SessionStatus,
)
from app.models.idempotency_key import IdempotencyKey
from app.models.import_job import ImportJob, ImportStatus
from app.models.invitation import Invitation
from app.models.magic_link import MagicLink
from app.models.message import Message, MessageStatus
from app.models.method_setting import MethodSetting
from app.models.oidc_client import ClientAuth, OidcClient
from app.models.organization import CUSTOMERS, Environment, Organization
from app.models.passkey_challenge import PasskeyChallenge
from app.models.password_guess import PasswordGuess
from app.models.policy import Policy, PolicyMode, PolicySkip
from app.models.provider_account import ProviderAccount
from app.models.pushed_request import PushedRequest
from app.models.recovery_code import RecoveryCode
from app.models.result import Result
from app.models.seal import Seal
from app.models.seen_token import SeenToken
from app.models.sending import SendCooldown, SendCount, SendingRules, SendScope
from app.models.sent_form import SentForm
from app.models.signing_key import KeyState, KeyUse, SigningKey
from app.models.trust_rule import TrustRule
from app.models.trusted_browser import TrustedBrowser
from app.models.user import User
from app.models.verification import KeyStorage, Purpose, Verification
from app.models.webhook import DeliveryStatus, Webhook, WebhookDelivery

__all__ = [
    "CUSTOMERS",
    "AccessToken",
    "Administrator",
    "AdministratorRole",
    "AdministratorSession",
    "Api",
    "ApiKey",
    "Application",
    "Arrival",
    "Authenticator",
    "AuthenticatorStatus",
    "AuthorizationCode",
    "Brand",
    "BypassCode",
    "Challenge",
    "ClientAuth",
    "CountedDay",
    "CryptrClient",
    "DeliveryStatus",
    "Door",
    "DuoClient",
    "EnrollmentInvitation",
    "EntraAccount",
    "EntraCloud",
    "EntraConnection",
    "EntraHint",
    "Environment",
    "Errand",
    "Event",
    "FreezeLink",
    "GatewaySession",
    "IdempotencyKey",
    "ImportJob",
    "ImportStatus",
    "Intent",
    "Invitation",
    "KeyState",
    "KeyStorage",
    "KeyUse",
    "MagicLink",
    "Message",
    "MessageStatus",
    "MethodSetting",
    "OidcClient",
    "Organization",
    "PasskeyChallenge",
    "PasswordGuess",
    "Policy",
    "PolicyMode",
    "PolicySkip",
    "ProviderAccount",
    "Purpose",
    "PushedRequest",
    "RecoveryCode",
    "ResponseMode",
    "ResponseType",
    "Result",
    "Role",
    "Seal",
    "SeenToken",
    "SendCooldown",
    "SendCount",
    "SendScope",
    "SendingRules",
    "SentForm",
    "SessionStatus",
    "SigningKey",
    "TrustRule",
    "TrustedBrowser",
    "User",
    "Verification",
    "Webhook",
    "WebhookDelivery",
]
