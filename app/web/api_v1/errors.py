"""Every type of error that API v1 answers; the list is stable, and no type changes its meaning."""

from __future__ import annotations

from datetime import datetime

from flask import Response, jsonify, make_response

_NAMES = {"unauthorized": "invalid_api_key", "internal_error": "api_error"}
"""What v1 calls by another name than the rest of Gatehouse."""

ERRORS: dict[str, tuple[int, ...]] = {
    "already_enrolled": (422,),
    "api_error": (500,),
    "bad_request": (400,),
    "contact_mismatch": (422,),
    "contact_required": (422,),
    "country_not_allowed": (422,),
    "enrollment_closed": (422,),
    "forbidden": (403,),
    "invalid_api_key": (401,),
    "invalid_code": (401,),
    "invalid_email": (422,),
    "invalid_phone_number": (422,),
    "invalid_request": (400, 422),
    "invalid_type": (422,),
    "locked": (429,),
    "method_disabled": (403,),
    "method_not_allowed": (405,),
    "misdirected_request": (421,),
    "not_enrolled": (422,),
    "not_found": (404,),
    "number_refused": (422,),
    "phone_number_ambiguous": (422,),
    "rate_limited": (429,),
    "recovery_limited": (429,),
    "reenrollment_due": (422,),
    "reenrollment_limit_reached": (422,),
    "too_large": (413,),
    "unsupported_media_type": (415,),
    "unsupported_version": (400,),
    "user_frozen": (422,),
    "user_suspended": (422,),
    "verification_required": (422,),
}
"""Each with the statuses that it comes with; docs/v1.md says what they mean."""


def tell(code: str, message: str, status: int, retry_at: datetime | None) -> Response:
    """Return an error in the envelope of API v1."""
    error = {"type": _NAMES.get(code, code), "message": message}
    if retry_at is not None:
        error["retry_at"] = retry_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return make_response(jsonify(error=error), status)
