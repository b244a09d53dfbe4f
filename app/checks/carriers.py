"""Whether whoever carries messages can be reached and lets us in; nothing is sent unasked."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from app.addresses import NotAllowed
from app.checks.findings import Finding, fine, problem, skipped
from app.crypto import Sealed, UnknownKey
from app.errors import Invalid
from app.models import Organization, ProviderAccount
from app.outbound import Outbound
from app.providers.base import Account, DeliveryError, Outgoing
from app.providers.deployment import DeploymentMail
from app.providers.smtp import Smtp
from app.services.provider_accounts import Carrier
from app.wiring import Services

_SECONDS = 10.0
_AT_ONCE = 16


def check_mail_server(services: Services) -> Iterator[Finding]:
    """See whether the deployment's own mail server speaks TLS and lets us sign in."""
    own = services.provider_accounts.own
    if not isinstance(own, DeploymentMail):
        yield skipped("mail_server", "The deployment has none.")
        return
    try:
        own.sign_in(seconds=_SECONDS)
    except DeliveryError as failed:
        yield problem("mail_server", _told(failed), _remedy(failed))
        return
    yield fine("mail_server", "It can be reached, and lets us in.")


def check_providers(services: Services) -> Iterator[Finding]:
    """See whether the accounts of organizations can be used: addresses, and sign-in by SMTP."""
    with services.database.reading() as tx:
        rows = tx.execute(
            sa.select(ProviderAccount.id, Organization)
            .join(Organization, Organization.id == ProviderAccount.organization_id)
            .where(ProviderAccount.active, Organization.deleted_at.is_(None))
            .order_by(Organization.domain, ProviderAccount.position)
        ).all()
    if not rows:
        yield skipped("providers", "No organization has an account at a provider.")
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = [one for one in pool.map(lambda row: _account(services, *row), rows) if one]
    yield from found
    if not found:
        yield fine("providers", f"{len(rows)} accounts of organizations can be used.")


def send_test(services: Services, recipient: str) -> Iterator[Finding]:
    """Send one test message by the deployment's mail server, as the operator asked."""
    own = services.provider_accounts.own
    if own is None:
        yield problem(
            "test_message", "There is no mail server to send it.", "Set GATEHOUSE_SMTP_URL."
        )
        return
    outgoing = Outgoing(
        id=str(uuid.uuid4()),
        channel="email",
        recipient=recipient,
        subject="Test message from Gatehouse",
        text=f"The mail server of {services.config.base_url} works.\n",
    )
    try:
        own.send(Account(), outgoing, seconds=_SECONDS)
    except DeliveryError as failed:
        yield problem("test_message", _told(failed), _remedy(failed))
        return
    yield fine("test_message", "The mail server took it. See whether it arrives, and not as spam.")


def _account(
    services: Services, account_id: uuid.UUID, organization: Organization
) -> Finding | None:
    """Return what is wrong with an account, if anything is."""
    place = f"{organization.domain} ({organization.environment})"
    try:
        with services.database.reading() as tx:
            carrier = services.provider_accounts.carrier(tx, organization, account_id)
    except (UnknownKey, Sealed):
        return problem(
            "providers",
            f"The secrets of an account of {place} can't be read.",
            "Put back the encryption key that is missing, or enter them anew under Messages.",
        )
    try:
        _try(services, carrier)
    except Invalid as refused:
        says = f"{carrier.name} of {place}, {refused.field}: {refused.message}"
        return problem("providers", says, "Correct it in the admin area, under Messages.")
    except NotAllowed as refused:
        says = f"{carrier.name} of {place} can't be called: {refused}"
        return problem("providers", says, "See that DNS works here, and what may be called.")
    except DeliveryError as failed:
        return problem("providers", f"{carrier.name} of {place}: {_told(failed)}", _remedy(failed))
    return None


def _try(services: Services, carrier: Carrier) -> None:
    """See whether an account can be used, as far as that shows without sending.

    Raises:
        Invalid: a setting can't be used.
        NotAllowed: the vendor's address is unknown, or may not be called.
        DeliveryError: a mail server does not let us in.
    """
    assert carrier.row is not None  # noqa: S101
    carrier.provider.check(carrier.account, carrier.row.channels)
    config = services.config
    vendors = {"twilio": config.twilio_url, "vonage": config.vonage_url}
    if url := vendors.get(carrier.provider.kind):
        Outbound(config.outbound_networks, ca_file=config.ca_file).check(url)
    if isinstance(carrier.provider, Smtp):
        carrier.provider.sign_in(carrier.account, seconds=_SECONDS)


def _told(failed: DeliveryError) -> str:
    return f"{failed.detail} ({failed.code})"


def _remedy(failed: DeliveryError) -> str:
    if failed.code in {"smtp_535", "smtp_534", "smtp_530"}:
        return "Correct the user name and the password."
    if failed.code == "certificate":
        return (
            "Call it by the certificate's name; name an authority of your own in GATEHOUSE_CA_FILE."
        )
    return "Check host, port and encryption, and that a firewall lets us out."
