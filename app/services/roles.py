"""What each role of an administrator may do, decided here and nowhere else."""

from __future__ import annotations

from enum import StrEnum

from app.models import Role


class Action(StrEnum):
    """What is done in the admin area; each page and each form of it names one."""

    SEE_OVERVIEW = "see the overview"
    SEE_USERS = "see users"
    SEE_MESSAGES = "see what became of messages"
    SEE_SETTINGS = "see settings"
    SEE_ADMINISTRATORS = "see administrators"
    SEE_AUDIT = "see the audit record"
    EXPORT_USERS = "export users"
    READ_INBOX = "read captured messages"
    INVITE_USER = "invite a user to enroll"
    UNLOCK_USER = "unlock a user"
    REVOKE_BROWSERS = "revoke trusted browsers"
    RESET_AUTHENTICATORS = "reset authenticators"
    APPROVE_REENROLLMENT = "approve a re-enrollment"
    EDIT_USERS = "add or edit users"
    IMPORT_USERS = "import users"
    SUSPEND_USER = "suspend a user"
    DELETE_USER = "delete a user"
    GIVE_BYPASS_CODE = "give a bypass code"
    CHANGE_METHODS = "change methods"
    CHANGE_MESSAGES = "change how messages are sent"
    CHANGE_PROVIDERS = "change and test providers"
    CHANGE_POLICY = "change the policy"
    CHANGE_APPLICATIONS = "change applications"
    TRY_APPLICATION = "try an application"
    CHANGE_API_KEYS = "change API keys"
    CHANGE_WEBHOOKS = "change webhooks"
    CHANGE_BRAND = "change the branding"
    CHANGE_RETENTION = "change how long the audit record is kept"
    CHANGE_ADMINISTRATORS = "change administrators"


_SEEN_BY_ALL = {Action.SEE_OVERVIEW, Action.SEE_USERS, Action.SEE_MESSAGES}
_READ = {
    *_SEEN_BY_ALL,
    Action.SEE_SETTINGS,
    Action.SEE_ADMINISTRATORS,
    Action.SEE_AUDIT,
    Action.EXPORT_USERS,
}
_HELP = {
    *_SEEN_BY_ALL,
    Action.READ_INBOX,
    Action.INVITE_USER,
    Action.UNLOCK_USER,
    Action.REVOKE_BROWSERS,
    Action.RESET_AUTHENTICATORS,
    Action.APPROVE_REENROLLMENT,
}
_OWNERS_ALONE = {Action.CHANGE_RETENTION, Action.CHANGE_ADMINISTRATORS}

MAY = {
    Role.OWNER: frozenset(Action),
    Role.ADMINISTRATOR: frozenset(Action) - _OWNERS_ALONE,
    Role.HELPDESK: frozenset(_HELP),
    Role.AUDITOR: frozenset(_READ),
}

DANGEROUS = frozenset(
    {
        Action.RESET_AUTHENTICATORS,
        Action.APPROVE_REENROLLMENT,
        Action.IMPORT_USERS,
        Action.SUSPEND_USER,
        Action.DELETE_USER,
        Action.GIVE_BYPASS_CODE,
        Action.CHANGE_METHODS,
        Action.CHANGE_MESSAGES,
        Action.CHANGE_PROVIDERS,
        Action.CHANGE_POLICY,
        Action.CHANGE_APPLICATIONS,
        Action.CHANGE_API_KEYS,
        Action.CHANGE_WEBHOOKS,
        Action.CHANGE_RETENTION,
        Action.CHANGE_ADMINISTRATORS,
    }
)
"""What wants a second factor that was proved a few minutes ago."""


def may(role: Role, action: Action) -> bool:
    """Tell whether an administrator of this role may do this."""
    return action in MAY[role]
