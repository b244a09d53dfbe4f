"""Providers: pure adapters to who carries messages; they know no database and no web request."""

from __future__ import annotations

from app.clock import Clock
from app.config import Config
from app.outbound import Outbound
from app.providers.base import Provider
from app.providers.deployment import DeploymentMail
from app.providers.http import HttpGateway
from app.providers.smtp import Smtp
from app.providers.twilio import Twilio
from app.providers.vonage import Vonage


def providers(config: Config, clock: Clock) -> dict[str, Provider]:
    """Return every provider by its kind; adding one is a module, a row here and a test.

    `deployment` is there only where the operator set a mail server; organizations have no account
    at it, so give it `Account()`.

    Args:
        config: says where vendors are, and which private networks may be called.
        clock: for what is signed with the time.
    """
    outbound = Outbound(config.outbound_networks, ca_file=config.ca_file, keeps=True)
    host = config.host.partition(":")[0] if "[" not in config.host else "localhost"
    known: list[Provider] = [
        Smtp(outbound, host),
        Twilio(outbound, config.twilio_url),
        Vonage(outbound, config.vonage_url),
        HttpGateway(outbound, clock),
    ]
    if config.smtp_url and config.mail_from:
        known.append(
            DeploymentMail(
                config.smtp_url.get_secret_value(),
                config.mail_from,
                networks=config.outbound_networks,
                ca_file=config.ca_file,
                name=host,
            )
        )
    return {provider.kind: provider for provider in known}
