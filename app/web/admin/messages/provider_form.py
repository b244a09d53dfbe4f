"""The form of a provider's account, made from what the provider says that it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice

from app.errors import Invalid
from app.models import ProviderAccount
from app.providers.base import CHANNELS, Provider, Setting
from app.services.provider_drafts import Draft
from app.web.admin.desk import explain
from app.web.admin.fields import ChecksField
from app.web.admin.messages.words import CHANNEL, begun, carries
from app.web.support import services

_SETTING, _DROP = "setting_", "drop_"
_PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
_KEPT = "One is kept. Type a new one to replace it."
_AGAIN = "Type it again: what is secret is not sent back to this page."


class AccountForm(FlaskForm):  # type: ignore[misc]
    """What every account has; the fields of its provider are added below."""

    name = StringField(
        "Name",
        description="What administrators call it. Empty: the name of the provider.",
        render_kw={"autocomplete": "off", "maxlength": 60},
    )
    channels = ChecksField("Carries")

    def typed(self, provider: Provider) -> dict[str, str]:
        """Return the value of each setting as it was typed."""
        return {one.name: self[_SETTING + one.name].data or "" for one in provider.settings}

    def dropped(self, provider: Provider) -> set[str]:
        """Return the secrets that are not to stay."""
        boxes = {one.name: _DROP + one.name for one in provider.settings}
        return {name for name, box in boxes.items() if box in self and self[box].data}


def account_form(
    provider: Provider, row: ProviderAccount | None = None, *, sent: bool = False
) -> AccountForm:
    """Return the form for an account of a provider.

    Args:
        row: the account that is changed.
        sent: whether to read what the request brings, instead of what the row has.
    """
    kept = services().provider_accounts.kept_secrets(row) if row else set()
    fields: dict[str, Any] = {}
    for setting in provider.settings:
        fields[_SETTING + setting.name] = _field(setting, kept)
        if setting.secret and setting.name in kept and not setting.required:
            label = f"Remove the {setting.label[:1].lower()}{setting.label[1:]} that is kept"
            fields[_DROP + setting.name] = BooleanField(label)
    made = type("AccountForm", (AccountForm,), fields)
    data = _data(provider, row)
    form: AccountForm = made(data=data) if sent else made(formdata=None, data=data)
    form.channels.choices = [
        SelectChoice(one, CHANNEL[one].name) for one in CHANNELS if one in provider.channels
    ]
    if len(provider.channels) == 1:
        form.channels.data = list(provider.channels)
    return form


def drafted(
    form: AccountForm, provider: Provider, row: ProviderAccount | None = None
) -> Draft | None:
    """Return the account that was typed; None if a field can't be used, which then says why.

    It may take seconds: call it outside of any transaction.
    """
    if not form.validate():
        _ask_again(form, provider)
        return None
    try:
        return services().provider_accounts.draft(
            provider.kind,
            name=form.name.data or "",
            channels=form.channels.data or [],
            values=form.typed(provider),
            row=row,
            dropped=form.dropped(provider),
        )
    except Invalid as invalid:
        explain(form, invalid, **{one.name: _SETTING + one.name for one in provider.settings})
        _ask_again(form, provider)
        return None


def shown(provider: Provider, row: ProviderAccount) -> list[tuple[str, str]]:
    """Return the settings of an account to read; of a secret whether there is one."""
    kept = services().provider_accounts.kept_secrets(row)
    values = []
    for setting in provider.settings:
        if setting.secret:
            values.append((setting.label, "Kept, never shown" if setting.name in kept else ""))
        else:
            values.append((setting.label, _in_words(setting, row.settings.get(setting.name, ""))))
    return values


def _in_words(setting: Setting, value: str) -> str:
    if setting.kind == "choice":
        return dict(setting.choices).get(value or setting.choices[0][0], value)
    return value


def _field(setting: Setting, kept: Collection[str]) -> Any:
    about = _about(setting, setting.name in kept)
    render: dict[str, Any] = {**_PLAIN}
    if setting.required and setting.name not in kept:
        render["required"] = True
    if setting.secret:
        # Else a browser fills in the administrator's own password.
        return PasswordField(
            setting.label, description=about, render_kw={**render, "autocomplete": "new-password"}
        )
    if setting.kind == "choice":
        choices = [SelectChoice(*one) for one in setting.choices]
        return SelectField(setting.label, description=about, choices=choices)
    if setting.kind == "textarea":
        return TextAreaField(setting.label, description=about, render_kw={**render, "rows": 4})
    if setting.kind == "number":
        render["inputmode"] = "numeric"
    return StringField(setting.label, description=about, render_kw=render)


def _about(setting: Setting, is_kept: bool) -> str:
    whose = f"For {carries(setting.channels)}." if setting.channels else ""
    return begun(" ".join(filter(None, [_KEPT if is_kept else "", whose, setting.hint])))


def _data(provider: Provider, row: ProviderAccount | None) -> Mapping[str, Any]:
    if row is None:
        return {"channels": []}
    values = {_SETTING + one.name: row.settings.get(one.name, "") for one in provider.settings}
    for one in provider.settings:
        if one.kind == "choice" and not values[_SETTING + one.name]:
            values[_SETTING + one.name] = one.choices[0][0]
    return {**values, "name": row.name, "channels": row.channels}


def _ask_again(form: AccountForm, provider: Provider) -> None:
    """Say at each secret that was typed why its field is empty again."""
    for one in provider.settings:
        field = form[_SETTING + one.name]
        if one.secret and field.data:
            field.description = f"{_AGAIN} {field.description}".strip()
