"""Applications that speak OpenID Connect: registering one, and what it is held to."""

from __future__ import annotations

import json
from typing import Any

from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session
from wtforms import BooleanField, RadioField, TextAreaField

from app.client_keys import ALGORITHMS
from app.models import Application, ClientAuth, Door
from app.services.application_changes import ApplicationChanges
from app.services.oidc_clients import OidcSettings
from app.web.admin.application_form import ApplicationForm, stands
from app.web.admin.desk import Seat
from app.web.admin.oidc_page import AUTH, hand_over_oidc
from app.web.support import services


class OidcForm(ApplicationForm):
    """What every application has, and what OpenID Connect adds."""

    auth = RadioField(
        "How it proves itself",
        choices={one.value: words for one, words in AUTH.items()},
        default=ClientAuth.BASIC.value,
        description="It gets in by this way and by no other. Most products use the first.",
    )
    algorithm = RadioField(
        "Algorithm of its signatures",
        choices={one: one for one in ALGORITHMS},
        default="ES256",
        description="Of assertions and of signed requests. No other is taken.",
    )
    keys = TextAreaField(
        "Public keys",
        description="A JSON Web Key Set, or one key, if it signs. Paste the public half alone: "
        "Gatehouse fetches none from an address.",
        render_kw={"rows": 5, "spellcheck": "false", "autocapitalize": "none"},
    )
    requires_pushed = BooleanField(
        "It has to push its requests",
        default=True,
        description="Then the browser never carries who the user is (RFC 9126). Untick it for "
        "products that can’t, such as oauth2-proxy.",
    )
    requires_signed = BooleanField(
        "It has to sign its requests",
        description="With a key from above (RFC 9101).",
    )
    requires_pkce = BooleanField(
        "It has to use PKCE",
        default=True,
        description="With S256. Untick it for an older product alone.",
    )
    takes_unauthenticated = BooleanField(
        "Whoever holds the browser may name the user",
        description="For products that send no name, or one in the address alone. Then nobody "
        "enrolls, nothing is sent and no browser is trusted: an app or a passkey has to be there.",
    )
    post_logout_redirect_uris = TextAreaField(
        "Addresses after logout",
        description="One a line, compared letter by letter. None is needed.",
        render_kw={"rows": 2, "spellcheck": "false", "autocapitalize": "none"},
    )

    @property
    def settings(self) -> OidcSettings:
        """What the client is to be held to."""
        typed = (self.post_logout_redirect_uris.data or "").split()
        return OidcSettings(
            auth=ClientAuth(self.auth.data),
            keys=self.keys.data or "",
            algorithm=self.algorithm.data,
            requires_pushed=bool(self.requires_pushed.data),
            requires_signed=bool(self.requires_signed.data),
            requires_pkce=bool(self.requires_pkce.data),
            takes_unauthenticated=bool(self.takes_unauthenticated.data),
            post_logout_redirect_uris=list(dict.fromkeys(typed)),
        )


def create(tx: Session, seat: Seat, form: OidcForm) -> ResponseReturnValue:
    """Register a client of this organization alone, and show its secret this once."""
    application, secret = services().applications.create(
        tx,
        seat.actor,
        environment=seat.organization.environment,
        organizations=[seat.organization],
        door=Door.OIDC,
        **form.common,
    )
    services().oidc_clients.register(tx, application, form.settings)
    return hand_over_oidc(tx, seat, application, secret, f"{application.name} is registered")


def filled(tx: Session, application: Application) -> dict[str, Any]:
    """Return what stands now, as the fields show it."""
    client = services().oidc_clients.of(tx, application)
    return {
        **stands(application),
        "auth": client.auth.value,
        "keys": json.dumps({"keys": client.keys}, indent=2) if client.keys else "",
        "algorithm": client.algorithm,
        "requires_pushed": client.requires_pushed,
        "requires_signed": client.requires_signed,
        "requires_pkce": client.requires_pkce,
        "takes_unauthenticated": client.takes_unauthenticated,
        "post_logout_redirect_uris": "\n".join(client.post_logout_redirect_uris),
    }


def save(tx: Session, seat: Seat, application: Application, form: OidcForm) -> None:
    """Change what the client is called, answered at, and held to."""
    services().applications.update(tx, seat.actor, application, ApplicationChanges(**form.common))
    clients = services().oidc_clients
    clients.change(tx, seat.actor, clients.of(tx, application), form.settings)
