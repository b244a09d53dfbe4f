"""Whether users find us at GATEHOUSE_BASE_URL: with a good certificate, and us behind it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from urllib.parse import urlsplit

from app.addresses import NotAllowed
from app.checks.findings import Finding, fine, problem, skipped, warning
from app.config import Config
from app.deadlines import Deadline
from app.exchanges import CallFailed, failure
from app.outbound import Outbound
from app.wiring import Services

SECONDS = 10.0
_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""The operator named the address: it may be inside."""
_MOST_BYTES = 1024 * 1024
_SOON, _VERY_SOON = timedelta(days=21), timedelta(days=5)


def check_certificate(services: Services) -> Iterator[Finding]:
    """See whether the certificate at GATEHOUSE_BASE_URL is good for its name, and for how long."""
    config = services.config
    if not config.https:
        yield skipped("certificate", "GATEHOUSE_BASE_URL is http://, on this machine alone.")
        return
    try:
        begins, ends = _validity(config)
    except CallFailed as failed:
        yield problem(
            "certificate",
            f"{config.base_url}: {failed.detail}",
            "Install a certificate for this name with its whole chain, where TLS ends."
            if failed.code == "certificate"
            else "See that the name leads to your proxy or server, and that it runs.",
        )
        return
    left = ends - services.clock.now()
    told = f"The certificate of {config.host} is good for {left.days} more days."
    if left < min(_SOON, (ends - begins) / 4):
        state = problem if left < min(_VERY_SOON, (ends - begins) / 10) else warning
        yield state("certificate", told, "Renew it, and see why that did not happen by itself.")
        return
    yield fine("certificate", told)


def check_base_url(services: Services) -> Iterator[Finding]:
    """See whether it is this deployment that answers at GATEHOUSE_BASE_URL, and is ready."""
    address = services.config.base_url
    try:
        ready, keys = _status(services.config, "/readyz")[0], _keys_at(services.config)
    except (CallFailed, NotAllowed) as failed:
        yield problem(
            "base_url",
            f"{address} does not answer: {getattr(failed, 'detail', None) or failed}",
            "Start gatehouse serve, and see that the name and the proxy lead to it.",
        )
        return
    with services.database.reading() as tx:
        ours = {str(key["kid"]) for key in services.signing_keys.published(tx)}
    if keys is None:
        yield problem(
            "base_url",
            f"Something answers at {address}, but it is not Gatehouse.",
            "See that the proxy passes every path on, and the Host header as it came.",
        )
    elif not keys & ours:
        yield problem(
            "base_url",
            f"At {address} another deployment answers: it publishes other signing keys.",
            "Run the servers and this command with the same GATEHOUSE_DATABASE_URL.",
        )
    elif ready != 200:
        yield problem(
            "base_url",
            f"The server at {address} is not ready.",
            f"Ask {address}/readyz, which says why.",
        )
    else:
        yield fine("base_url", f"This deployment answers at {address}, and is ready.")


def _validity(config: Config) -> tuple[datetime, datetime]:
    """Return from when until when the certificate is good, once it has proved itself.

    Raises:
        CallFailed: nobody answers, or not with a certificate that is good for the name.
    """
    parts, deadline = urlsplit(config.base_url), Deadline(SECONDS)
    host, outbound = parts.hostname or "", _outbound(config)
    try:
        with (
            outbound.line(host, parts.port or 443, deadline, encrypted=True) as line,
            outbound.secured(line, host) as secured,
        ):
            found = secured.getpeercert() or {}
    except OSError as error:
        raise failure(error, deadline, said=False) from None
    begins, ends = (ssl.cert_time_to_seconds(str(found[one])) for one in ("notBefore", "notAfter"))
    return datetime.fromtimestamp(begins, UTC), datetime.fromtimestamp(ends, UTC)


def _keys_at(config: Config) -> set[str] | None:
    """Return the ids of the keys that are published there; None if it is no key set."""
    try:
        found = json.loads(_status(config, "/.well-known/jwks.json")[1])
        return {str(key["kid"]) for key in found["keys"]}
    except (ValueError, KeyError, TypeError):
        return None


def _status(config: Config, path: str) -> tuple[int, bytes]:
    answer = _outbound(config).request(
        "GET", config.base_url + path, headers={}, seconds=SECONDS, most_bytes=_MOST_BYTES
    )
    return answer.status, answer.body


def _outbound(config: Config) -> Outbound:
    return Outbound(_EVERYWHERE, ca_file=config.ca_file)
