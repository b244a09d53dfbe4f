"""Whether an organization offers passkeys, and what it demands of them."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy.orm import Session

from app.errors import Invalid
from app.factors.passkey import KIND, Demands
from app.factors.passkey_checks import certificates
from app.models import MethodSetting, Organization
from app.remembered import remembered
from app.services.audit import Actor, Audit, EventKind
from app.services.method_rows import method_rows

PREFERRED, REQUIRED = "preferred", "required"
NONE, DIRECT = "none", "direct"
MOST_MODELS, MOST_ROOTS = 100, 30
_AAGUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, kw_only=True)
class PasskeySettings:
    """What an organization demands of passkeys.

    Attributes:
        active: whether they are offered.
        user_verification: `required` demands a fingerprint, a face or a PIN each time; with
            `preferred` a touch is enough where the device can do no more.
        attestation: `direct` takes only new ones whose maker vouches for one of `models`.
        models: AAGUIDs.
        roots: the makers' certificates, in PEM, one after the other.
        refuse_copies: refuse one that counts back, instead of only recording it.
    """

    active: bool = True
    user_verification: str = PREFERRED
    attestation: str = NONE
    models: tuple[str, ...] = ()
    roots: str = ""
    refuse_copies: bool = False

    @property
    def demands(self) -> Demands:
        """The same, as the factor takes it."""
        attested = self.attestation == DIRECT
        return Demands(
            user_verification=self.user_verification == REQUIRED,
            attested=attested,
            models=self.models if attested else (),
            roots=certificates(self.roots) if attested else (),
        )


class PasskeyRules:
    """Reads and changes what organizations demand of passkeys."""

    def __init__(self, audit: Audit, *, rp_id: str | None) -> None:
        self._audit = audit
        self._rp_id = rp_id

    def of(self, tx: Session, organization: Organization) -> PasskeySettings:
        """Return an organization's settings; one without a row takes passkeys as usual."""

        def read() -> PasskeySettings:
            row = method_rows(tx, organization.id).get(KIND)
            if row is None:
                return PasskeySettings()
            kept = dict(row.parameters)
            if "models" in kept:
                kept["models"] = tuple(kept["models"])
            return PasskeySettings(active=row.active, **kept)

        return remembered(tx, (PasskeySettings, organization.id), read, of=[MethodSetting])

    def offered(self, tx: Session, organization: Organization) -> bool:
        """Tell whether passkeys are on, and work at all: not at a bare IP address."""
        return self._rp_id is not None and self.of(tx, organization).active

    def change(
        self, tx: Session, actor: Actor, organization: Organization, **changes: Any
    ) -> PasskeySettings:
        """Switch passkeys on or off, or set what is demanded of them.

        Args:
            changes: fields of `PasskeySettings`.

        Raises:
            Invalid: a field can't have that value.
        """
        before = self.of(tx, organization)
        after = PasskeySettings(**{**asdict(before), **changes})
        _check(after)
        row = method_rows(tx, organization.id).get(KIND)
        if row is None:
            row = MethodSetting(organization_id=organization.id, kind=KIND)
            tx.add(row)
        row.active, row.parameters = after.active, _kept(after)
        if after != before:
            self._audit.record(
                tx,
                EventKind.METHOD_SETTING_CHANGED,
                actor,
                organization_id=organization.id,
                kind=KIND,
                active=after.active,
                changed=" ".join(sorted(changes)),
            )
        tx.flush()
        return after


def _kept(settings: PasskeySettings) -> dict[str, Any]:
    """Return what is not as usual, as the row keeps it."""
    usual = PasskeySettings()
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in fields(settings)
        if field.name != "active"
        and (value := getattr(settings, field.name)) != getattr(usual, field.name)
    }


def _check(settings: PasskeySettings) -> None:
    if settings.user_verification not in {PREFERRED, REQUIRED}:
        raise Invalid("user_verification", "use preferred or required.")
    if settings.attestation not in {NONE, DIRECT}:
        raise Invalid("attestation", "use none or direct.")
    _check_models(settings)
    _check_roots(settings)


def _check_models(settings: PasskeySettings) -> None:
    wrong = [one for one in settings.models if not _AAGUID.fullmatch(one)]
    if wrong:
        raise Invalid(
            "models", f"an AAGUID has 32 hexadecimal digits with dashes; {wrong[0]} has not."
        )
    if len(settings.models) > MOST_MODELS:
        raise Invalid("models", f"name at most {MOST_MODELS}.")
    if settings.attestation == DIRECT and not settings.models:
        raise Invalid("models", "name the models that may be used, one AAGUID a line.")


def _check_roots(settings: PasskeySettings) -> None:
    if not settings.roots and settings.attestation == NONE:
        return
    try:
        found = certificates(settings.roots)
    except ValueError:
        raise Invalid("roots", "paste the certificates of the makers in PEM.") from None
    if len(found) > MOST_ROOTS:
        raise Invalid("roots", f"paste at most {MOST_ROOTS} certificates.")
