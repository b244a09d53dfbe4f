"""Connections to Microsoft Entra: making one, and changing it."""

from __future__ import annotations

import json
import uuid

from flask import url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import BooleanField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from app.errors import Invalid, NotFound
from app.models import Application, Door, EntraCloud, EntraConnection
from app.services.application_methods import named_methods
from app.services.credentials import checked_name
from app.services.entra_settings import EntraSettings
from app.services.roles import Action
from app.web.admin.application_doors import WAYS
from app.web.admin.applications import blueprint
from app.web.admin.desk import Seat, done, explain, page, render
from app.web.admin.entra_page import CLOUDS
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


@blueprint.get("/new/entra")
@page(Action.CHANGE_APPLICATIONS)
def new_entra(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Ask for what Entra shows of the app registration and the directory."""
    return _form_page(seat, EntraForm(formdata=None, name="Microsoft Entra"))


@blueprint.post("/new/entra")
@page(Action.CHANGE_APPLICATIONS)
def create_entra(tx: Session, seat: Seat) -> ResponseReturnValue:
    """Connect a directory to this organization alone."""
    form = EntraForm()
    if not form.validate():
        return _form_page(seat, form, status=422)
    try:
        made = services().entra_connections.create(
            tx, seat.actor, seat.organization, name=form.name.data or "", settings=form.settings
        )
    except Invalid as invalid:
        explain(form, invalid)
        return _form_page(seat, form, status=422)
    form.use_up(tx)
    notice = "Connected here. Enter the values below in Entra, and it is connected there, too."
    return done(seat, notice, "admin_applications.show", client_id=made.application_id)


@blueprint.get("/<uuid:client_id>/edit/entra")
@page(Action.CHANGE_APPLICATIONS)
def edit_entra(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Show the form with what stands now."""
    connection = _own(tx, seat, client_id)
    pinned = connection.pinned_keys
    form = EntraForm(
        formdata=None,
        name=connection.application.name,
        app_id=connection.app_id,
        tenant_ids="\n".join(connection.tenant_ids),
        cloud=connection.cloud.value,
        links_by_name=connection.links_by_name,
        creates_users=connection.application.creates_users,
        pinned_keys=json.dumps({"keys": pinned}, indent=1) if pinned else "",
    )
    return _form_page(seat, form, connection.application)


@blueprint.post("/<uuid:client_id>/edit/entra")
@page(Action.CHANGE_APPLICATIONS)
def save_entra(tx: Session, seat: Seat, client_id: uuid.UUID) -> ResponseReturnValue:
    """Change a connection."""
    connection, form = _own(tx, seat, client_id), EntraForm()
    application = connection.application
    if not form.validate():
        return _form_page(seat, form, application, status=422)
    methods = named_methods(application.methods)
    try:
        services().entra_connections.update(
            tx,
            seat.actor,
            connection,
            name=form.name.data or "",
            settings=form.settings,
            methods=methods,
        )
    except Invalid as invalid:
        tx.expire_all()
        explain(form, invalid)
        return _form_page(seat, form, _own(tx, seat, client_id).application, status=422)
    return done(seat, "Saved.", "admin_applications.show", client_id=client_id)


def _own(tx: Session, seat: Seat, client_id: uuid.UUID) -> EntraConnection:
    """Return a connection that the organization may change; all others are unknown here."""
    found = services().applications.named(
        tx, seat.organization.environment, seat.organization, str(client_id)
    )
    if found.door is not Door.ENTRA:
        raise NotFound("application")
    return services().entra_connections.of(tx, found)


def _form_page(
    seat: Seat, form: EntraForm, application: Application | None = None, *, status: int = 200
) -> ResponseReturnValue:
    index = url_for("admin_applications.index")
    shown = application and url_for("admin_applications.show", client_id=application.id)
    return render(
        "admin/applications/entra_form.html",
        seat,
        status,
        form=form,
        application=application,
        back=shown or index,
        ways=WAYS,
        door=Door.ENTRA,
    )
