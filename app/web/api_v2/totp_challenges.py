"""/api/v2/org/{domain}/totp-challenge: a backend verifies a user on pages of its own."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar, Literal

from flask import Blueprint
from pydantic import Field
from sqlalchemy.orm import Session

from app.errors import Refusal
from app.factors.base import Reason
from app.services.api_keys import Permission
from app.services.direct_verification import Asked
from app.services.direct_verification import Judged as DirectlyJudged
from app.services.headless import Judged
from app.services.recovery import REENROLLMENTS
from app.web.api_v2.access import Caller, call
from app.web.api_v2.bearers import admit, bearer
from app.web.api_v2.body import Body, Fields, read
from app.web.api_v2.verdicts import UNSENT, demand_unlocked, reason_of
from app.web.api_v2.wire import NaiveMicro, OfOrganization, Zoned, place
from app.web.support import services

blueprint = Blueprint("totp_challenges", __name__, url_prefix="/api/v2/org/<domain>/totp-challenge")
REFUSALS = ("locked", "not_enrolled", "totp_connection_inactive", "user_suspended")


class AnswerFields(Fields):
    """What the user typed."""

    code: str = Field(
        max_length=1000, description="A code of the app, a code by SMS, or a recovery code."
    )

    EXAMPLE: ClassVar[Body] = {"code": "124578"}


class ChallengeShown(OfOrganization):
    """A challenge."""

    type_: Literal["TotpChallenge"] = Field("TotpChallenge", alias="__type__")
    request_id: str
    user_id: uuid.UUID
    challenged_at: NaiveMicro
    code: str | None = Field(
        description="The code of this challenge, for you to send by SMS; never what was typed."
    )
    recovery_code_used: bool = Field(
        description="Whether a recovery code was accepted: enroll the user again at once."
    )
    sent_at: NaiveMicro | None = Field(description="When we sent the code, if we did.")
    success: bool
    reason: str | None = Field(
        description="Why not: `wrong`, `replayed`, `reenrollment_due`, `recovery_limited`."
    )
    retry_at: Zoned | None = Field(description="When the next answer is judged, if not at once.")
    attempts_remaining: int | None = Field(description="Wrong answers before there is a wait.")
    expires_at: Zoned | None = Field(description="Until when the code works.")


@blueprint.post("/<user_id>")
@call(
    Permission.WRITE_CHALLENGES,
    answer=ChallengeShown,
    status=201,
    refusals=(*REFUSALS, *UNSENT),
)
def create(tx: Session, caller: Caller, domain: str, user_id: str) -> ChallengeShown:
    """Challenge a user; only codes by SMS need this."""
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, user_id)
    posed = services().headless.challenge(tx, caller.actor, user)
    return ChallengeShown(
        **place(organization),
        request_id=posed.request_id,
        user_id=user.id,
        challenged_at=posed.challenged_at,
        code=posed.code,
        recovery_code_used=False,
        sent_at=posed.sent_at,
        success=False,
        reason=None,
        retry_at=None,
        attempts_remaining=posed.attempts_left,
        expires_at=posed.expires_at,
    )


def _directly(domain: str, user_id: str) -> ChallengeShown | None:
    """Judge a code of the one app of a user who is named by id, which is what most calls bring."""
    token = bearer()
    if token is None:
        return None
    try:
        user, answer = uuid.UUID(user_id), read(AnswerFields).code
    except (ValueError, Refusal):
        return None
    judged = services().direct_verifications.verify(
        Asked(token=token, domain=domain, user_id=user, answer=answer, admit=admit)
    )
    if judged is None:
        return None
    demand_unlocked(judged.refused)
    return _shown(
        {"domain_": judged.domain, "environment_": judged.environment}, user, judged, used=False
    )


@blueprint.post("/validation/<user_id>")
@call(
    Permission.WRITE_CHALLENGES,
    body=AnswerFields,
    answer=ChallengeShown,
    refusals=(*REFUSALS, "reenrollment_limit_reached"),
    directly=_directly,
)
def validate(tx: Session, caller: Caller, domain: str, user_id: str) -> ChallengeShown:
    """Judge what a user typed; `success` tells, and a wrong code is no error."""
    organization = caller.organization(tx, domain)
    user = services().directory.find(tx, organization, user_id)
    judged = services().headless.verify(tx, caller.actor, user, read(AnswerFields).code)
    refused = judged.refused
    demand_unlocked(refused)
    if refused is not None and refused.reason is Reason.REENROLLMENT_LIMIT:
        raise Refusal(
            "reenrollment_limit_reached",
            f"Recovery codes replaced {REENROLLMENTS} authenticators; none is judged any more. "
            "Enroll with force_enroll=true once a human has verified the user.",
        )
    return _shown(place(organization), user.id, judged, used=judged.recovery_code_used)


def _shown(
    whose: dict[str, Any], user_id: uuid.UUID, judged: Judged | DirectlyJudged, *, used: bool
) -> ChallengeShown:
    """Return a verdict.

    Args:
        whose: what `place` returns.
        used: whether a recovery code was.
    """
    refused = judged.refused
    return ChallengeShown(
        **whose,
        request_id=judged.request_id,
        user_id=user_id,
        challenged_at=judged.judged_at,
        code=None,
        recovery_code_used=used,
        sent_at=None,
        success=refused is None,
        reason=reason_of(refused),
        retry_at=refused.retry_at if refused else None,
        attempts_remaining=refused.attempts_left if refused else None,
        expires_at=None,
    )
