"""Every type of error that the API answers; the list is stable, and no type changes its meaning."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorType:
    """What a type of error means.

    Attributes:
        status: the HTTP status that it comes with.
        meaning: one sentence for a developer.
        also: another status that it may come with.
    """

    status: int
    meaning: str
    also: int | None = None


ERRORS: dict[str, ErrorType] = {
    "already_enrolled": ErrorType(
        422, "The user has an authenticator, and nothing says that another is due."
    ),
    "api_key_blocked": ErrorType(422, "The API key was blocked, which is for good."),
    "application_not_found": ErrorType(
        422, "No application with this client_id serves the organization."
    ),
    "bad_request": ErrorType(400, "The request breaks off, or is no proper HTTP."),
    "channel_unavailable": ErrorType(
        422, "The channel by which something is to be sent is off, or no provider carries it."
    ),
    "code_invalid": ErrorType(
        422, "The code is not the application's, was exchanged before, or is older than a minute."
    ),
    "country_not_allowed": ErrorType(
        422, "The organization sends nothing to phone numbers of this country."
    ),
    "email_taken": ErrorType(422, "Another user of the organization has this e-mail address."),
    "enrollment_closed": ErrorType(
        422, "The user's authenticators were removed, and enrolling again was not opened."
    ),
    "external_id_taken": ErrorType(422, "Another user of the organization has this external_id."),
    "forbidden": ErrorType(
        403, "The credentials are good, but don't open this call or allow this field."
    ),
    "idempotency_in_flight": ErrorType(
        409, "The first request with this Idempotency-Key is still being answered."
    ),
    "idempotency_key_invalid": ErrorType(
        422, "An Idempotency-Key holds 1 to 255 printable ASCII characters."
    ),
    "idempotency_key_reused": ErrorType(
        422, "This Idempotency-Key came with another body within the last 24 hours."
    ),
    "internal_error": ErrorType(
        500,
        "The fault is ours; nothing was changed, and the request can be repeated; with status 504 "
        "the database can't be reached, and only if it got lost on the way a change may be kept.",
        also=504,
    ),
    "invalid_request": ErrorType(
        422,
        "A field is missing or holds what it can't, and the message names it; with status 400 the "
        "body can't be read at all.",
        also=400,
    ),
    "locked": ErrorType(
        429, "After too many wrong codes none is judged until retry_at, or until somebody unlocks."
    ),
    "method_not_allowed": ErrorType(
        405,
        "The address exists, but not for this method; the header Allow lists those that it has.",
    ),
    "misdirected_request": ErrorType(421, "The request names another host than the gateway's."),
    "no_pending_enrollment": ErrorType(422, "No enrollment waits for a code."),
    "not_enrolled": ErrorType(422, "The user has no authenticator."),
    "not_found": ErrorType(
        404, "There is no such thing, or not for these credentials: which of the two is not told."
    ),
    "number_refused": ErrorType(
        422, "Codes are not sent to a number of this kind, such as a premium or satellite one."
    ),
    "passkeys_inactive": ErrorType(422, "The organization takes no passkeys."),
    "phone_number_taken": ErrorType(
        422, "Another user of the organization is known by this phone number alone."
    ),
    "rate_limited": ErrorType(
        429,
        "There were too many requests of this API key, application or address, or too many codes "
        "were sent, by what the organization allows.",
    ),
    "redirect_uri_not_registered": ErrorType(
        422, "No application that could ask has registered exactly this redirect_uri."
    ),
    "reenrollment_limit_reached": ErrorType(
        422, "Recovery codes replaced five authenticators, so a human has to verify the user."
    ),
    "result_already_redeemed": ErrorType(
        409, "The result was redeemed before, so the sign-in must be refused."
    ),
    "result_expired": ErrorType(422, "The result is older than two minutes."),
    "result_invalid": ErrorType(422, "The result was changed, or is of another gateway session."),
    "secret_not_replaceable": ErrorType(
        409, "The application comes in by a protocol that has another secret, or none."
    ),
    "too_large": ErrorType(
        413,
        "The body is larger than 1 MiB (64 MiB for an import, 64 KiB for a call that takes "
        "credentials in its body), or a form has too many parts.",
    ),
    "too_many_authenticators": ErrorType(
        422, "The user has as many authenticators as one may have."
    ),
    "too_many_rows": ErrorType(
        422, "The file has more rows than one import takes; those before were imported."
    ),
    "too_many_webhooks": ErrorType(422, "There are as many webhooks as there may be."),
    "totp_connection_inactive": ErrorType(422, "The organization's TOTP connection is off."),
    "unauthorized": ErrorType(401, "The credentials are missing, wrong, expired or blocked."),
    "unsupported_media_type": ErrorType(415, "The body is of a kind that this call does not read."),
    "use_get": ErrorType(422, "What was sent to create a user was meant to list users."),
    "user_not_found": ErrorType(422, "The organization has no user with this id or address."),
    "user_frozen": ErrorType(
        422,
        "The user said that a change to the account was not theirs; nothing can be set up before "
        "somebody has looked and unlocked the user.",
    ),
    "user_suspended": ErrorType(
        422, "An administrator suspended the user, so no door lets the user in."
    ),
}

OAUTH_ERRORS: dict[str, ErrorType] = {
    "invalid_client": ErrorType(401, "The client's id and secret don't match."),
    "invalid_request": ErrorType(400, "The body can't be read, or a field is no text."),
    "invalid_target": ErrorType(400, "The deployment has another account domain."),
    "unsupported_grant_type": ErrorType(400, "Only client_credentials is supported."),
}
"""Of the token call, in the shape of RFC 6749 section 5.2."""

ROW_ERRORS: dict[str, str] = {
    "already_enrolled": "The user has an authenticator that is not the row's.",
    "duplicate_row": "An earlier row of the file is about the same user.",
    "external_id_taken": "Another user of the organization has this external_id.",
    "invalid_csv": "The row can't be read.",
    "invalid_json": "The row is not a JSON object.",
    "invalid_request": "A field is missing or holds what it can't; the error names it.",
    "invalid_utf8": "The row is not UTF-8.",
    "phone_number_ambiguous": "Several users have the row's phone number; name one by the address.",
    "row_too_long": "The row is too long.",
    "seed_removed": "The user's authenticator with this seed was removed here.",
    "wrong_columns": "The row has not as many fields as the header.",
}
"""Of single rows of an import, told in an answer that is good as a whole."""

EVERYWHERE = (
    "bad_request",
    "forbidden",
    "internal_error",
    "invalid_request",
    "misdirected_request",
    "not_found",
    "rate_limited",
    "too_large",
    "unauthorized",
    "unsupported_media_type",
)
"""What any call may answer."""

OF_POSTS = ("idempotency_in_flight", "idempotency_key_invalid", "idempotency_key_reused")
"""What any POST may answer besides."""


def error_types(names: Iterable[str]) -> dict[str, ErrorType]:
    """Return types of error by their names; those of the token call have names of their own."""
    known = {**OAUTH_ERRORS, **ERRORS}
    return {name: known[name] for name in names}
