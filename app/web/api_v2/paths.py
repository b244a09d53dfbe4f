"""Names in addresses that the web framework has no word for."""

from __future__ import annotations

from flask import Flask
from werkzeug.routing import BaseConverter


class PersonConverter(BaseConverter):
    """A user's id or e-mail address; an address may hold slashes, even as its first mark."""

    regex = ".+?"
    part_isolating = False
    weight = 200  # what is written out in a rule comes first, as with Flask's own `path`


def init_app(app: Flask) -> None:
    """Let rules say `<person:...>`."""
    app.url_map.converters["person"] = PersonConverter
