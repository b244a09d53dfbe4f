"""Runs Harbor Notes: `python -m harbor_notes --port 8001`."""

from __future__ import annotations

import argparse
import os
import signal
import ssl
import sys
from types import FrameType
from urllib.parse import urlsplit

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from harbor_notes import create_app
from harbor_notes.settings import Settings, SettingsError


def main() -> int:
    """Serve until somebody ends the process."""
    options = _options()
    try:
        settings = Settings.read(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    server = _server(create_app(settings), options)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    server.serve_forever()
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="harbor_notes", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--certfile", help="certificate (PEM), to serve HTTPS")
    parser.add_argument("--keyfile", help="the certificate's private key (PEM)")
    options = parser.parse_args()
    if bool(options.certfile) != bool(options.keyfile):
        parser.error("--certfile and --keyfile go together")
    return options


def _server(app: Flask, options: argparse.Namespace) -> BaseWSGIServer:
    server = make_server(
        options.host, options.port, app, threaded=True, request_handler=_QuietHandler
    )
    if options.certfile:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certfile, options.keyfile)
        # The handshake belongs to the connection's own thread: one slow visitor blocks no other.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        server.ssl_context = context
    return server


class _QuietHandler(WSGIRequestHandler):
    """Logs the path alone: the query of a callback holds a result."""

    timeout = 30

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        path = urlsplit(getattr(self, "path", "")).path
        print(f"{getattr(self, 'command', '-')} {path!r} {code}", file=sys.stderr, flush=True)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
