"""Who we are and who asks: from the settings and trusted proxies, never from a client's header."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException, NotFound

from app import countries
from app.config import Config, Network
from app.web.support import COUNTRY

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ANY_HOST = {"health.alive", "health.ready"}
"""Endpoints that a load balancer asks by address."""


class Misdirected(HTTPException):
    """The request names another host than ours (RFC 9110 section 15.5.20)."""

    code = 421
    description = "This server does not answer to that host."


class Deployment:
    """WSGI middleware: the scheme is the configured one; the peer is the one a proxy vouches for.

    Args:
        app: the application behind it.
        scheme: of `GATEHOUSE_BASE_URL`.
        proxies: networks whose `X-Forwarded-For` is believed.
        country_header: in which they say what country the peer is in, if they do.
    """

    def __init__(
        self,
        app: WSGIApplication,
        scheme: str,
        proxies: tuple[Network, ...],
        country_header: str | None,
    ) -> None:
        self._app = app
        self._scheme = scheme
        self._proxies = proxies
        self._country = f"HTTP_{country_header.upper().replace('-', '_')}" if country_header else ""
        self._trusts = lru_cache(maxsize=1000)(self._is_proxy)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Set the scheme, the peer's address and country, then go on."""
        environ["wsgi.url_scheme"] = self._scheme
        environ[COUNTRY] = self._peers_country(environ)
        environ["REMOTE_ADDR"] = self._peer(environ)
        return self._app(environ, start_response)

    def _peer(self, environ: dict[str, Any]) -> str:
        """Return the nearest address that is no trusted proxy; junk in the header ends the walk."""
        peer = str(environ.get("REMOTE_ADDR") or "")
        for hop in reversed(str(environ.get("HTTP_X_FORWARDED_FOR", "")).split(",")):
            # After a % (RFC 4007's zone of an interface) anything may stand.
            if not self._trusts(peer) or "%" in hop:
                break
            try:
                peer = str(ip_address(hop.strip()))
            except ValueError:
                break
        return peer

    def _peers_country(self, environ: dict[str, Any]) -> str | None:
        """Return what the proxy right before us says; a header from anybody else is nothing."""
        if not self._trusts(str(environ.get("REMOTE_ADDR") or "")):
            return None
        return countries.known(environ.get(self._country))

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)


def init_app(app: Flask, config: Config) -> None:
    """Refuse requests for another host, and settle scheme and peer before anything reads them."""
    scheme = "https" if config.https else "http"
    app.config["PREFERRED_URL_SCHEME"] = scheme
    app.wsgi_app = Deployment(  # type: ignore[method-assign]
        app.wsgi_app, scheme, config.trusted_proxies, config.country_header
    )

    @app.before_request
    def refuse_other_hosts() -> None:
        if request.endpoint not in ANY_HOST and request.host.lower() != config.host:
            raise Misdirected

    @app.before_request
    def refuse_nul() -> None:
        if "\0" in request.path:  # it names nothing, and PostgreSQL fails to look for it
            raise NotFound
