"""What a new API key is asked about: which API, on whose behalf, and what it may do."""

from __future__ import annotations

from collections.abc import Sequence

from wtforms import RadioField, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import ValidationError

from app.models import Api, Application
from app.services.api_keys import Permission
from app.services.credentials import checked_name
from app.web.admin.once import OnceForm
from app.web.admin.told import Checked

WORDS = {
    Permission.READ_USERS: "See users, and what they have set up",
    Permission.WRITE_USERS: "Change and delete users, and remove what they have set up",
    Permission.WRITE_ENROLLMENTS: "Set up authenticators for users",
    Permission.WRITE_CHALLENGES: "Verify users without our pages",
    Permission.READ_GATEWAY_SESSIONS: "See gateway sessions",
    Permission.WRITE_GATEWAY_SESSIONS: "Open gateway sessions and redeem results",
    Permission.READ_EVENTS: "Read what happened to a user",
    Permission.READ_MESSAGES: "Read captured messages of the sandbox, codes too",
    Permission.READ_WEBHOOKS: "See webhooks",
    Permission.WRITE_WEBHOOKS: "Create and delete webhooks, which tell of every event",
    Permission.READ_CONNECTIONS: "See how methods are set",
    Permission.WRITE_CONNECTIONS: "Change how methods are set",
    Permission.READ_APPLICATIONS: "See applications",
    Permission.WRITE_APPLICATIONS: "Change applications, and replace their secrets",
    Permission.READ_API_KEYS: "See API keys",
    Permission.WRITE_API_KEYS: "Create and block API keys that may do no more than itself",
}
"""What a key of one organization may do, as administrators read of it, in the order of the form."""

EVERYTHING, CHOSEN = "everything", "chosen"


OF_V1 = (Permission.WRITE_USERS, Permission.WRITE_ENROLLMENTS, Permission.WRITE_CHALLENGES)
"""Of these three a key of API v1 makes use."""
APIS = {
    Api.V2.value: "REST API v2. Everything: users, authenticators, visits, settings",
    Api.V1.value: "DevRIFT v1. Codes by email, phone and app; the secret itself is the bearer",
}


class KeyForm(OnceForm):
    """What a key is called, and what it may do."""

    name = StringField(
        "Name",
        validators=[Checked(checked_name, empty=True)],
        description="For you, to tell keys apart: “Nightly import”.",
        render_kw={"required": True, "maxlength": 100, "autocomplete": "off"},
    )
    api = RadioField("Which API does it open?", choices=APIS, default=Api.V2.value)
    application = SelectField(
        "On behalf of",
        description="For DevRIFT v1 alone: while the policy asks nothing of this application’s "
        "users, the key is refused.",
        default="",
    )
    reach = RadioField(
        "What may it do?",
        choices={
            CHOSEN: "Only what is chosen below",
            EVERYTHING: "Everything in this organization, and what later releases add",
        },
        default=CHOSEN,
    )
    permissions = SelectMultipleField(
        "Permissions", choices={one.value: words for one, words in WORDS.items()}
    )

    def __init__(self, serving: Sequence[Application], **settings: object) -> None:
        super().__init__(**settings)
        named = [SelectChoice(one.client_id, one.name) for one in serving]
        self.application.choices = [SelectChoice("", "No application"), *named]
        self._serving = {one.client_id: one for one in serving}

    @property
    def asks_for(self) -> Application | None:
        """The application that was chosen."""
        return self._serving.get(self.application.data or "")

    def validate_application(self, field: SelectField) -> None:
        """Refuse an application for a key that asks on nobody's behalf."""
        if field.data and self.api.data != Api.V1.value:
            raise ValidationError("Only a key of DevRIFT v1 asks on behalf of an application.")

    def validate_permissions(self, field: SelectMultipleField) -> None:
        """Demand one at least, where they are chosen."""
        if self.reach.data == CHOSEN and not field.data:
            raise ValidationError("Choose at least one, or let it do everything.")

    @property
    def granted(self) -> list[Permission] | None:
        """What was chosen; None means everything."""
        if self.reach.data == EVERYTHING:
            return None
        return [Permission(one) for one in self.permissions.data or []]
