"""/v1/hello: whether a key works, and what it opens."""

from __future__ import annotations

from flask import Blueprint
from sqlalchemy.orm import Session

from app.web.api_v1.access import Answer, Caller, look
from app.web.api_v1.versions import spoken

blueprint = Blueprint("v1_hello", __name__, url_prefix="/v1/hello")


@blueprint.route("", methods=["GET", "POST"])
@look
def show(tx: Session, caller: Caller) -> Answer:
    """Say hello."""
    return {
        "message": "Hello!",
        "organization": caller.organization.domain,
        "environment": caller.organization.environment.value,
        "version": spoken(),
    }
