"""The deployment's own mail server, which carries e-mail where an organization has none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from ipaddress import ip_network
from pathlib import Path

from app import mail_servers
from app.outbound import Network, Outbound
from app.providers.base import Account, Callback, Outgoing, Report, Sent, Setting
from app.providers.smtp import Smtp

_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
_THIS_MACHINE = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class DeploymentMail:
    """A mail server that the operator named, so that nobody has to give an account.

    Over TLS it may be anywhere; without, on this machine or in a network that may be called.

    Args:
        url: as `mail_servers.parse` takes it.
        mail_from: whom mail is from; an organization's own name takes the place of the name.
        networks: private ones that may be called without TLS.
        ca_file: certificates that are trusted beside those of the system.
        name: how we introduce ourselves.
    """

    kind = "deployment"
    name = "This deployment’s mail server"
    channels = frozenset({"email"})
    settings: tuple[Setting, ...] = ()

    def __init__(
        self,
        url: str,
        mail_from: str,
        *,
        networks: Sequence[Network],
        ca_file: Path | None,
        name: str,
    ) -> None:
        server = mail_servers.parse(url)
        reach = (*networks, *_THIS_MACHINE) if server.security == "none" else _EVERYWHERE
        self._smtp = Smtp(Outbound(reach, ca_file=ca_file), name)
        from_name, from_address = mail_servers.sender(mail_from)
        self._account = Account(
            settings={
                "host": server.host,
                "security": server.security,
                "port": str(server.port or ""),
                "username": server.username,
                "from_address": from_address,
                "from_name": from_name,
            },
            secrets={"password": server.password},
        )

    def check(self, account: Account, channels: Collection[str]) -> None:
        """See whether the mail server's name is known; there is nothing to set."""
        self._smtp.check(self._account, channels)

    def send(self, account: Account, outgoing: Outgoing, *, seconds: float) -> Sent:
        """Hand the message to the mail server; whatever the account, it is the deployment's."""
        return self._smtp.send(self._account, outgoing, seconds=seconds)

    def sign_in(self, *, seconds: float) -> None:
        """Go as far as signing in; see `Smtp.sign_in`."""
        self._smtp.sign_in(self._account, seconds=seconds)

    def report(self, account: Account, callback: Callback) -> Report | None:
        """Return None: mail servers don't call back."""
        return None
