"""Forms whose answer shows a secret once: sent again, they make no second one."""

from __future__ import annotations

import uuid

from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import HiddenField

from app.errors import Invalid
from app.web.support import services


class OnceForm(FlaskForm):  # type: ignore[misc]
    """A form that counts once; each page with it has another name for it."""

    once = HiddenField(default=lambda: str(uuid.uuid4()))

    def use_up(self, tx: Session) -> None:
        """Let the form count, once what it says is done; raising undoes that.

        Raises:
            Invalid: its name is none of ours.
            Refusal: `form_sent_before`.
        """
        try:
            form_id = uuid.UUID(self.once.data)
        except ValueError:
            raise Invalid("once", "open the page with the form again, then send it.") from None
        services().sent_forms.use(tx, form_id)
