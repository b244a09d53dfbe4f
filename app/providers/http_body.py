"""The body that a gateway wants: a template in which names in braces stand for values.

There is no language in it: each `{name}` is replaced once, and what a value holds stays a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus, urlencode

from app.errors import Invalid
from app.providers.base import Outgoing

Value = Callable[[str], str]

JSON, FORM = "json", "form"
CONTENT_TYPES = {JSON: "application/json", FORM: "application/x-www-form-urlencoded"}
NAMES = (
    "recipient",
    "recipient_digits",
    "sender",
    "subject",
    "text",
    "html",
    "code",
    "minutes",
    "organization",
    "language",
    "channel",
    "id",
    "callback_url",
)
USUAL = {
    JSON: '{"id": "{id}", "channel": "{channel}", "to": "{recipient}", "from": "{sender}", '
    '"subject": "{subject}", "text": "{text}", "language": "{language}"}',
    FORM: "id={id}&channel={channel}&to={recipient}&from={sender}&subject={subject}&text={text}"
    "&language={language}",
}
_NAME = re.compile(r"\{([a-z_]+)\}")
_LONGEST = 10_000


def check(format_: str, template: str) -> None:
    """See whether a template can be filled, and has a place for who and what.

    Raises:
        Invalid: it can't, or it has not; the field is `body`.
    """
    if len(template) > _LONGEST:
        raise Invalid("body", f"use at most {_LONGEST} characters.")
    used: set[str] = set()

    def note(name: str) -> str:
        used.add(name)
        return ""

    _parsed(format_, template, note)
    if unknown := used - set(NAMES):
        known = ", ".join(f"{{{name}}}" for name in NAMES)
        raise Invalid("body", f"nothing is called {{{min(unknown)}}}. There are {known}.")
    if not used & {"recipient", "recipient_digits"}:
        raise Invalid("body", "{recipient} is missing: nobody would get the message.")
    if not used & {"text", "code"}:
        raise Invalid("body", "{text} or {code} is missing: the message would be empty.")


def filled(format_: str, template: str, outgoing: Outgoing, sender: str) -> bytes:
    """Return the body for one message; a name without a value stands for nothing.

    Raises:
        Invalid: the template can't be read.
    """
    values = _values(outgoing, sender)
    found = _parsed(format_, template, lambda name: values.get(name, ""))
    if format_ == FORM:
        return urlencode(found, errors="replace").encode()
    return json.dumps(found).encode()


def _values(outgoing: Outgoing, sender: str) -> Mapping[str, str]:
    return {
        **outgoing.variables,
        "recipient": outgoing.recipient,
        "recipient_digits": outgoing.recipient.removeprefix("+"),
        "sender": sender,
        "subject": outgoing.subject,
        "text": outgoing.text,
        "html": outgoing.html or "",
        "language": outgoing.language,
        "channel": outgoing.channel,
        "id": outgoing.id,
        "callback_url": outgoing.callback_url or "",
    }


def _parsed(format_: str, template: str, value: Value) -> Any:
    """Read a template first, and then put values in the places of names, in its texts alone."""
    if format_ == FORM:
        pairs = [line.partition("=") for line in re.split(r"[&\n]", template) if line.strip()]
        return [
            (unquote_plus(name.strip()), _put(unquote_plus(text.strip()), value))
            for name, _, text in pairs
        ]
    try:
        found = json.loads(template)
        if isinstance(found, dict):
            return _walk(found, value)
    except (ValueError, RecursionError):
        pass
    raise Invalid("body", 'write one JSON object, such as {"to": "{recipient}", "text": "{text}"}.')


def _walk(node: Any, value: Value) -> Any:
    if isinstance(node, dict):
        return {name: _walk(child, value) for name, child in node.items()}
    if isinstance(node, list):
        return [_walk(child, value) for child in node]
    return _put(node, value) if isinstance(node, str) else node


def _put(text: str, value: Value) -> str:
    return _NAME.sub(lambda name: value(name[1]), text)
