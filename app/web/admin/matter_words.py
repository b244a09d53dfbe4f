"""One matter that needs attention, as the page says it."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.services.roles import Action


@dataclass(frozen=True, kw_only=True)
class Told:
    """One matter as the page says it.

    Attributes:
        tone: a class of the look: `warn`, `bad`, or empty.
        endpoint: of the page that settles it.
        button: what the way there is called.
        needs: what a role must allow for that page.
    """

    icon: str
    title: str
    says: str
    endpoint: str
    button: str
    needs: Action
    tone: str = ""
    values: dict[str, str] = field(default_factory=dict)


def number_of(number: int, noun: str, verb: str = "", verbs: str = "") -> str:
    """Return how many there are, such as `1 user is` or `4 users are`."""
    name, does = (noun, verb) if number == 1 else (f"{noun}s", verbs)
    return f"{number:,} {name} {does}".rstrip()
