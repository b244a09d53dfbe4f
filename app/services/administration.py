"""The world in which administrators are users themselves: their second factor is Gatehouse's own.

It is an organization and an application of an environment of its own, which no key and no other
application reaches; the hosted pages, limits and recovery codes are those of every other user.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.config import Config
from app.errors import NotFound
from app.models import Application, Environment, Organization
from app.services.application_changes import ApplicationChanges
from app.services.applications import Applications
from app.services.audit import SYSTEM
from app.services.method_settings import MethodSettings
from app.services.organizations import Organizations

DOMAIN = "gatehouse"
NAME = "Gatehouse administration"
BACK = "/admin/sign-in/back"
"""Where the hosted pages send an administrator back to."""


class Administration:
    """Makes that organization and that application when they are first needed."""

    def __init__(
        self,
        config: Config,
        organizations: Organizations,
        applications: Applications,
        method_settings: MethodSettings,
    ) -> None:
        self.redirect_uri = config.base_url + BACK
        self._organizations = organizations
        self._applications = applications
        self._method_settings = method_settings

    def organization(self, tx: Session) -> Organization:
        """Return the organization of administrators.

        Raises:
            NotFound: nobody was invited yet.
        """
        return self._organizations.find(tx, Environment.ADMINISTRATION, DOMAIN)

    def application(self, tx: Session) -> Application:
        """Return the application that sends administrators to the hosted pages.

        Raises:
            NotFound: nobody was invited yet.
        """
        found = tx.scalar(
            select(Application).where(
                Application.environment == Environment.ADMINISTRATION,
                Application.deleted_at.is_(None),
            )
        )
        if found is None:
            raise NotFound("application")
        return found

    def ensure(self, tx: Session) -> Organization:
        """Return the organization, made with all that belongs to it if it wasn't there."""
        try:
            return self.organization(tx)
        except NotFound:
            made = self._organizations.create(
                tx, SYSTEM, environment=Environment.ADMINISTRATION, name=NAME, domain=DOMAIN
            )
        self._method_settings.change(tx, SYSTEM, made, active=True)
        self._applications.create(
            tx,
            SYSTEM,
            environment=Environment.ADMINISTRATION,
            name=NAME,
            redirect_uris=[self.redirect_uri],
            organizations=[made],
        )
        return made

    def ready(self, tx: Session) -> Application:
        """Return the application with the way back that the settings name today."""
        application = self.application(tx)
        if application.redirect_uris != [self.redirect_uri]:
            changes = ApplicationChanges(redirect_uris=[self.redirect_uri])
            self._applications.update(tx, SYSTEM, application, changes)
        return application
