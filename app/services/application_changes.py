"""What is to be different about an application, and making it so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.models import Application, Organization
from app.services.application_methods import checked_methods
from app.services.credentials import checked_name
from app.services.redirect_uris import checked_redirect_uris


@dataclass(frozen=True, kw_only=True)
class ApplicationChanges:
    """What is to be different about an application; None leaves a thing as it is.

    Attributes:
        organizations: those that it serves; an empty list means all of the environment.
        vouches_for_first_factor: whether its users proved a first factor before they are sent.
        methods: by their names, those that it takes; an empty list means all that are offered.
        creates_users: whether somebody whom it names, and we don't know, becomes a user.
    """

    name: str | None = None
    redirect_uris: Sequence[str] | None = None
    organizations: Sequence[Organization] | None = None
    vouches_for_first_factor: bool | None = None
    methods: Sequence[str] | None = None
    creates_users: bool | None = None


def change(application: Application, changes: ApplicationChanges) -> list[str]:
    """Change an application, and return which of its fields were given.

    Raises:
        Invalid: a field can't be used.
    """
    changed = []
    if changes.name is not None:
        application.name = checked_name(changes.name)
        changed.append("name")
    if changes.redirect_uris is not None:
        application.redirect_uris = checked_redirect_uris(changes.redirect_uris)
        changed.append("redirect_uris")
    if changes.organizations is not None:
        application.organizations = list(changes.organizations)
        changed.append("organizations")
    vouches = changes.vouches_for_first_factor
    if vouches is not None and vouches != application.vouches_for_first_factor:
        application.vouches_for_first_factor = vouches
        changed.append("vouches_for_first_factor")
    if changes.methods is not None:
        methods = checked_methods(changes.methods)
        if methods != application.methods:
            application.methods = methods
            changed.append("methods")
    creates = changes.creates_users
    if creates is not None and creates != application.creates_users:
        application.creates_users = creates
        changed.append("creates_users")
    return changed
