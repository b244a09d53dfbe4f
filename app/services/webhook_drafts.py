"""What a webhook is to be, judged before it is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.addresses import NotAllowed
from app.errors import Invalid
from app.outbound import Outbound
from app.services.audit import EventKind
from app.services.credentials import checked_name
from app.services.webhook_fanout import ALL

_URL_LENGTH = 500
SUBJECTS = tuple(dict.fromkeys(kind.value.partition(":")[0] for kind in EventKind))
CODES = (ALL, *(f"{one}:{ALL}" for one in SUBJECTS), *(kind.value for kind in EventKind))
"""All that a webhook may hear of."""


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A webhook to be, whose address may be called."""

    name: str
    target_url: str = field(repr=False)
    event_codes: list[str]


class WebhookDrafts:
    """Judges them.

    Args:
        outbound: knows what may be called.
    """

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    def drafted(self, *, name: str, target_url: str, event_codes: Sequence[str]) -> Draft:
        """Return what a webhook is to be.

        The address's name is looked up, which may take seconds: call it in no transaction.

        Raises:
            Invalid: the name, the address or a code can't be used.
        """
        draft = Draft(
            name=checked_name(name), target_url=target_url, event_codes=_checked_codes(event_codes)
        )
        if not target_url:
            raise Invalid("target_url", "write an address that starts with https://.")
        if len(target_url) > _URL_LENGTH:
            raise Invalid("target_url", f"use at most {_URL_LENGTH} characters.")
        try:
            self._outbound.check(target_url)
        except NotAllowed as refused:
            raise Invalid("target_url", str(refused)) from None
        return draft


def _checked_codes(codes: Sequence[str]) -> list[str]:
    """Return codes of events in their order.

    Raises:
        Invalid: there is none, or one that nothing is called.
    """
    if not codes:
        raise Invalid("event_codes", "name at least one; * means all.")
    for code in codes:
        if code not in CODES:
            raise Invalid("event_codes", f"no event is called {code[:100]!a}.")
    return [one for one in CODES if one in codes]
