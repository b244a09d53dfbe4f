"""Microsoft's clouds: where each publishes its keys, signs as whom, and takes answers."""

from __future__ import annotations

from dataclasses import dataclass

from app.models import EntraCloud

_HOSTS = {
    EntraCloud.GLOBAL: "login.microsoftonline.com",
    EntraCloud.US: "login.microsoftonline.us",
    EntraCloud.CN: "login.partner.microsoftonline.cn",
}


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Those of one cloud, as Microsoft's reference of external MFA providers has them.

    Attributes:
        metadata: says where its public keys are.
        redirect_uri: the only address that an answer goes to.
    """

    host: str
    metadata: str
    redirect_uri: str

    def issuer(self, tenant_id: str) -> str:
        """Return as whom it signs for a directory (version 2.0 of its tokens)."""
        return f"https://{self.host}/{tenant_id}/v2.0"

    def consent(self, tenant_id: str, app_id: str) -> str:
        """Return where an administrator of a directory consents to an app registration."""
        return f"https://{self.host}/{tenant_id}/adminconsent?client_id={app_id}"


def addresses(cloud: EntraCloud) -> Addresses:
    """Return where a cloud is."""
    host = _HOSTS[cloud]
    return Addresses(
        host=host,
        metadata=f"https://{host}/common/v2.0/.well-known/openid-configuration",
        redirect_uri=f"https://{host}/common/federation/externalauthprovider",
    )
