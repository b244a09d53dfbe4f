"""What each kind of event is called where administrators read of it: one sentence and one tone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.models import Event, Role
from app.services.audit import EventKind
from app.web.admin.event_terms import CAPS, CAUSES, CHANNELS, REFUSALS

OK, WARN, BAD, PLAIN = "ok", "warn", "bad", ""
TONES = (OK, WARN, BAD, PLAIN)
"""Classes of the look; an empty one has no colour."""

METHODS = {
    "totp": "authenticator app",
    "recovery_code": "recovery code",
    "magic_link": "magic link",
    "bypass_code": "bypass code",
    "passkey": "passkey",
    "sms": "text message",
    "whatsapp": "WhatsApp message",
    "voice": "phone call",
    "email": "email",
    "dual": "email and text message",
}
"""Factors as administrators read of them, by the `kind` in an event's detail."""


@dataclass(frozen=True)
class Words:
    """What a kind of event is called.

    Attributes:
        name: what it is called by itself, as in a list to choose from.
        tone: a class of the look: `ok`, `warn`, `bad`, or empty.
        more: what follows the name; each name in braces is read from the event's detail, and
            nothing follows if one is missing there.
    """

    name: str
    tone: str
    more: str = ""


@dataclass(frozen=True)
class Said:
    """What is told of one event.

    Attributes:
        text: one sentence without a full stop; not HTML.
        tone: as in `Words`.
    """

    text: str
    tone: str


WORDS: dict[EventKind, Words] = {
    EventKind.ADMINISTRATOR_APPOINTED: Words("Administrator added", WARN, " as {role}"),
    EventKind.ADMINISTRATOR_PASSWORD_CHANGED: Words("Administrator changed the password", WARN),
    EventKind.ADMINISTRATOR_PASSWORD_REFUSED: Words(
        "Wrong password of an administrator", BAD, ": {email}"
    ),
    EventKind.ADMINISTRATOR_REMOVED: Words("Administrator removed", WARN),
    EventKind.ADMINISTRATOR_RENAMED: Words("Administrator renamed", PLAIN, ": {name}"),
    EventKind.ADMINISTRATOR_ROLE_CHANGED: Words(
        "Role of an administrator changed", WARN, " to {role}"
    ),
    EventKind.ADMINISTRATOR_SIGNED_IN: Words("Administrator signed in", PLAIN),
    EventKind.ADMINISTRATOR_SIGNED_OUT: Words("Administrator signed out", PLAIN),
    EventKind.ADMINISTRATOR_SIGNED_OUT_ELSEWHERE: Words(
        "Administrator signed out every other browser", PLAIN, ": {sessions} of them"
    ),
    EventKind.ADMINISTRATOR_VERIFIED: Words(
        "Administrator confirmed the second factor again", PLAIN
    ),
    EventKind.API_KEY_BLOCKED: Words("API key blocked for good", WARN, ": {name}"),
    EventKind.API_KEY_CREATED: Words("API key created", WARN, ": {name}"),
    EventKind.API_KEY_SECRET_REPLACED: Words("Secret of an API key replaced", WARN, ": {name}"),
    EventKind.APPLICATION_CREATED: Words("Application created", WARN, ": {name}"),
    EventKind.APPLICATION_DELETED: Words("Application deleted", WARN, ": {name}"),
    EventKind.APPLICATION_SECRET_REPLACED: Words(
        "Secret of an application replaced", WARN, ": {name}"
    ),
    EventKind.APPLICATION_TRIED: Words("Application tried by an administrator", PLAIN, ": {name}"),
    EventKind.APPLICATION_UPDATED: Words("Application changed", WARN, ": {changed}"),
    EventKind.AUDIT_EXPORTED: Words("Audit record exported", PLAIN, " as {format}"),
    EventKind.AUDIT_PURGED: Words("Old events deleted", WARN, ": {events}"),
    EventKind.AUDIT_RETENTION_CHANGED: Words("Retention of events changed", WARN, " to {kept}"),
    EventKind.AUTHENTICATOR_CONFIRMED: Words("Authenticator set up", OK, ": {method}"),
    EventKind.AUTHENTICATOR_IMPORTED: Words("Authenticator imported", PLAIN),
    EventKind.AUTHENTICATOR_REMOVED: Words("Authenticator removed", WARN, ": {method}"),
    EventKind.AUTHENTICATOR_RENAMED: Words("Authenticator renamed", PLAIN, ": {method}, {name}"),
    EventKind.AUTHENTICATORS_RESET: Words("All authenticators reset", WARN),
    EventKind.AUTHENTICATORS_SUSPENDED: Words(
        "Old authenticators suspended by a recovery code", WARN
    ),
    EventKind.AUTHORIZATION_CODE_REPLAYED: Words("Authorization code used a second time", BAD),
    EventKind.BYPASS_CODE_GIVEN: Words("Bypass code given", WARN),
    EventKind.BYPASS_CODE_WITHDRAWN: Words("Bypass code withdrawn", WARN),
    EventKind.BRAND_CHANGED: Words("Branding changed", WARN, ": {changed}"),
    EventKind.BRAND_RESET: Words("Branding put back to Gatehouse’s look", WARN),
    EventKind.CHALLENGE_CREATED: Words("Code asked for", PLAIN, ": {method}"),
    EventKind.ENROLLMENT_BEGUN: Words("Setting up an authenticator begun", PLAIN, ": {method}"),
    EventKind.ENROLLMENT_INVITATION_CREATED: Words("Invited to enroll", PLAIN),
    EventKind.ENROLLMENT_INVITATION_USED: Words("Invitation to enroll used", PLAIN),
    EventKind.ENROLLMENT_INVITATION_WITHDRAWN: Words("Invitation to enroll withdrawn", WARN),
    EventKind.ENTRA_ACCOUNT_LINKED: Words("Account of Microsoft Entra linked", WARN, ", by {name}"),
    EventKind.ENTRA_ACCOUNT_UNLINKED: Words(
        "Account of Microsoft Entra unlinked", WARN, ", of {name}"
    ),
    EventKind.ENTRA_CONNECTION_CHANGED: Words(
        "Connection to Microsoft Entra changed", WARN, ": {name}, {changed}"
    ),
    EventKind.GATEWAY_SESSION_CANCELLED: Words("Left without confirming", PLAIN),
    EventKind.GATEWAY_SESSION_ENTERED: Words("Pages opened", PLAIN),
    EventKind.GATEWAY_SESSION_FAILED: Words("Visit ended after too many wrong codes", BAD),
    EventKind.GATEWAY_SESSION_OPENED: Words("Sent here by the application", PLAIN),
    EventKind.GATEWAY_SESSION_UNMET: Words(
        "Left, as no method reached what the application asked", BAD
    ),
    EventKind.IMPORT_BROUGHT: Words("File of users brought", PLAIN, ": {file}"),
    EventKind.IMPORT_DISCARDED: Words("File of users discarded", PLAIN, ": {file}"),
    EventKind.IMPORT_STARTED: Words("Import of users started", WARN, ": {file}"),
    EventKind.INVITATION_ACCEPTED: Words("Invitation taken up", WARN, " by {email}"),
    EventKind.INVITATION_CREATED: Words("Administrator invited", WARN, ": {email} as {role}"),
    EventKind.INVITATION_WITHDRAWN: Words("Invitation withdrawn", WARN, ": {email}"),
    EventKind.MAGIC_LINK_CODE_SHOWN: Words("Magic link opened in another browser", PLAIN),
    EventKind.MAGIC_LINK_CREATED: Words("Magic link made", PLAIN),
    EventKind.METHOD_SETTING_CHANGED: Words("Method changed", WARN, ": {method}, {changed}"),
    EventKind.NOTICE_NOT_SENT: Words("Nobody could be told", WARN, ": {notice}"),
    EventKind.ORGANIZATION_CREATED: Words("Organization created", PLAIN),
    EventKind.ORGANIZATION_DELETED: Words("Organization deleted", BAD),
    EventKind.ORGANIZATION_RESTORED: Words("Organization restored", WARN),
    EventKind.ORGANIZATION_UPDATED: Words("Organization changed", WARN, ": {changed}"),
    EventKind.PASSKEY_COUNTED_BACK: Words(
        "Passkey counts back, so there may be a copy", BAD, ": {told} after {seen}"
    ),
    EventKind.POLICY_CHANGED: Words("Policy changed", WARN, ": {mode}"),
    EventKind.POLICY_PASSED: Words("Let through by the policy", WARN),
    EventKind.POLICY_REMOVED: Words("Policy of an application removed", WARN),
    EventKind.POLICY_SKIPPED: Words("Setting up skipped this time", WARN),
    EventKind.PROVIDER_CHANGED: Words("Provider changed", WARN, ": {name}, {changed}"),
    EventKind.PROVIDER_CREATED: Words("Provider added", WARN, ": {name}"),
    EventKind.PROVIDER_REMOVED: Words("Provider removed", WARN, ": {name}"),
    EventKind.PROVIDER_TESTED: Words("Provider tested", PLAIN, ": {name}, by {way}, {outcome}"),
    EventKind.RECOVERY_CODES_ISSUED: Words("Recovery codes issued", PLAIN, ": {count}"),
    EventKind.RECOVERY_CODE_USED: Words("Recovery code used", WARN),
    EventKind.REENROLLMENT_APPROVED: Words("Re-enrollment approved", WARN),
    EventKind.RESULT_ISSUED: Words("Result issued to the application", PLAIN),
    EventKind.RESULT_REDEEMED: Words("Result redeemed by the application", PLAIN),
    EventKind.RESULT_REPLAYED: Words("Result redeemed a second time", BAD),
    EventKind.SENDING_BUDGET_ALARMED: Words(
        "Most of the month’s message budget spent", WARN, ": {sent} of {budget}"
    ),
    EventKind.SENDING_BUDGET_SPENT: Words(
        "Month’s message budget spent, sending stopped", BAD, " at {budget}"
    ),
    EventKind.SENDING_REFUSED: Words("Message not sent", BAD, ": {refusal}, by {way}"),
    EventKind.SENDING_RULES_CHANGED: Words("Rules for messages changed", WARN, ": {changed}"),
    EventKind.SIGNING_KEY_ROTATED: Words("Signing key rotated", WARN),
    EventKind.TRUSTED_BROWSER_ADDED: Words("Browser trusted", WARN, ", days: {days}"),
    EventKind.TRUSTED_BROWSER_REVOKED: Words("Trusted browser revoked", WARN),
    EventKind.TRUSTED_BROWSER_USED: Words("Let through by a trusted browser", WARN),
    EventKind.TRUST_RULE_CHANGED: Words(
        "Rule for trusted browsers changed", WARN, ", days at most: {days}"
    ),
    EventKind.TRUST_RULE_REMOVED: Words(
        "Rule for trusted browsers of an application removed", WARN
    ),
    EventKind.USERS_EXPORTED: Words("Users exported", WARN, ": {count} of them"),
    EventKind.USERS_IMPORTED: Words(
        "Users imported", WARN, ": {created} new, {updated} changed, {told} told"
    ),
    EventKind.USER_CREATED: Words("User added", PLAIN),
    EventKind.USER_DELETED: Words("User deleted", WARN),
    EventKind.USER_FREEZE_LIFTED: Words("Freeze of the user lifted", WARN),
    EventKind.USER_FROZEN: Words(
        "User says that a change was not theirs, and froze everything", BAD, ": {notice}"
    ),
    EventKind.USER_IDENTIFIED: Words("User identified by a mailed link", PLAIN, ": {by}"),
    EventKind.USER_SUSPENDED: Words("User suspended", WARN),
    EventKind.USER_SUSPENSION_LIFTED: Words("Suspension of the user lifted", WARN),
    EventKind.USER_UNLOCKED: Words("User unlocked", WARN),
    EventKind.USER_UPDATED: Words("User changed", PLAIN, ": {fields}"),
    EventKind.VERIFICATION_ACCEPTED: Words("Verified", OK, " with {method}"),
    EventKind.VERIFICATION_RECALLED: Words(
        "Verified a moment ago, which counted once more", PLAIN, ": {method}"
    ),
    EventKind.VERIFICATION_REFUSED: Words("Code refused", BAD, ": {refusal}, {method}"),
    EventKind.WEBHOOK_CREATED: Words("Webhook added", WARN, ": {name}"),
    EventKind.WEBHOOK_DELETED: Words("Webhook deleted", WARN, ": {name}"),
    EventKind.WEBHOOK_REPLAYED: Words("Event sent to a webhook again", PLAIN, ": {name}, {code}"),
    EventKind.WEBHOOK_SECRET_REPLACED: Words("Secret of a webhook replaced", WARN, ": {name}"),
    EventKind.WEBHOOK_SWITCHED_OFF: Words("Webhook switched off", BAD, ": {name}, {cause}"),
    EventKind.WEBHOOK_SWITCHED_ON: Words("Webhook switched on", WARN, ": {name}"),
    EventKind.WEBHOOK_TESTED: Words("Test sent to a webhook", PLAIN, ": {name}"),
    EventKind.WEBHOOK_UPDATED: Words("Webhook changed", WARN, ": {name}, {changed}"),
}
"""What happened, in the order of `EventKind`; add yours when you add a kind."""


def said(event: Event) -> Said:
    """Return what an event says; a kind that is no longer written says its own name."""
    return say(event.kind, event.detail)


def say(kind: str, detail: Mapping[str, Any]) -> Said:
    """Return what an event of this kind with this detail says."""
    try:
        words = WORDS[EventKind(kind)]
    except (ValueError, KeyError):
        return Said(kind.replace("_", " ").replace(":", ", "), PLAIN)
    try:
        return Said(words.name + words.more.format_map(_told(detail)), words.tone)
    except KeyError:
        return Said(words.name, words.tone)


def _told(detail: Mapping[str, Any]) -> dict[str, str]:
    """Return the values that a sentence may hold, in words."""
    told = {name: str(value) for name, value in detail.items() if value not in (None, "")}
    if kind := told.get("kind"):
        told["method"] = METHODS.get(kind, kind)
    if reason := told.get("reason"):
        of_what = CAPS.get(told.get("limit", ""), "")
        told["refusal"] = f"{REFUSALS.get(reason, reason.replace('_', ' '))} {of_what}".strip()
    if cause := told.get("cause"):
        told["cause"] = CAUSES.get(cause, cause)
    if channel := told.get("channel"):
        told["way"] = CHANNELS.get(channel, channel)
    if told.get("role") == Role.HELPDESK.value:
        told["role"] = "help desk"
    if mode := told.get("mode"):
        told["mode"] = mode.replace("_", " ")
    for names in {"changed", "fields", "notice"} & set(told):
        told[names] = ", ".join(told[names].replace(",", " ").split()).replace("_", " ")
    return told
