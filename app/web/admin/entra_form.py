"""Connections to Microsoft Entra: making one, and changing it."""

from __future__ import annotations

import json
from typing import Any

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import BooleanField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from app.models import Application, EntraCloud
from app.services.application_methods import named_methods
from app.services.credentials import checked_name
from app.services.entra_settings import EntraSettings
from app.web.admin.application_form import CHOICES
from app.web.admin.desk import Seat, done
from app.web.admin.entra_page import CLOUDS, WORDED
from app.web.admin.once import OnceForm
from app.web.admin.told import Checked
from app.web.support import services


class EntraForm(OnceForm):
    """What the other side told, and who becomes a user."""

    name = StringField(
        "Name",
        validators=[Checked(checked_name, empty=True)],
        description="Users read it on every page that asks them for a code.",
        render_kw={"required": True, "maxlength": 100, "autocomplete": "off"},
    )
    app_id = StringField(
        "Application (client) ID",
        description="Of the app registration in Entra. Entra names it in all that it sends.",
        render_kw={"required": True, "autocomplete": "off", "spellcheck": "false"},
    )
    tenant_ids = TextAreaField(
        "Directory (tenant) IDs",
        description="One a line. Users of all others are refused.",
        render_kw={"rows": 3, "required": True, "spellcheck": "false", "autocapitalize": "none"},
    )
    cloud = SelectField("Cloud", choices=[SelectChoice(*one) for one in CLOUDS.items()])
    links_by_name = BooleanField(
        "Whoever is new is the user with the same email address",
        default=True,
        description="Only at the first sign-in. From then on Entra’s own id of the account counts, "
        "whatever it is called.",
    )
    creates_users = BooleanField(
        "Whom it names, and we don’t know, becomes a user",
        default=False,
        description="They set up a method right away.",
    )
    methods = SelectMultipleField(
        "Methods",
        choices={name: CHOICES[name] for name in WORDED},
        description="Tick none, and its users may confirm by all of these that are on offer. Entra "
        "has no word for others.",
    )
    pinned_keys = TextAreaField(
        "Microsoft’s keys",
        description="Leave it empty, and they are fetched from Microsoft. Where this gateway can’t "
        "call it, paste the JSON of its keys; you must paste new ones when Microsoft changes them.",
        render_kw={"rows": 4, "spellcheck": "false", "autocapitalize": "none"},
    )

    @property
    def settings(self) -> EntraSettings:
        """What was typed."""
        return EntraSettings(
            app_id=self.app_id.data or "",
            tenant_ids=(self.tenant_ids.data or "").split(),
            cloud=EntraCloud(self.cloud.data),
            pinned_keys=self.pinned_keys.data or "",
            links_by_name=bool(self.links_by_name.data),
            creates_users=bool(self.creates_users.data),
        )


def create(tx: Session, seat: Seat, form: EntraForm) -> ResponseReturnValue:
    """Connect a directory to this organization alone."""
    made = services().entra_connections.create(
        tx,
        seat.actor,
        seat.organization,
        name=form.name.data or "",
        settings=form.settings,
        methods=form.methods.data or (),
    )
    notice = "Connected here. Enter the values below in Entra, and it is connected there, too."
    return done(seat, notice, "admin_applications.show", client_id=made.application_id)


def filled(tx: Session, application: Application) -> dict[str, Any]:
    """Return what stands now, as the fields show it."""
    connection = services().entra_connections.of(tx, application)
    pinned = connection.pinned_keys
    return {
        "name": application.name,
        "app_id": connection.app_id,
        "tenant_ids": "\n".join(connection.tenant_ids),
        "cloud": connection.cloud.value,
        "links_by_name": connection.links_by_name,
        "creates_users": application.creates_users,
        "methods": named_methods(application.methods),
        "pinned_keys": json.dumps({"keys": pinned}, indent=1) if pinned else "",
    }


def save(tx: Session, seat: Seat, application: Application, form: EntraForm) -> None:
    """Change a connection."""
    services().entra_connections.update(
        tx,
        seat.actor,
        services().entra_connections.of(tx, application),
        name=form.name.data or "",
        settings=form.settings,
        methods=form.methods.data or (),
    )
