"""What is wrong with a value, told at its field: the words of whoever judges it."""

from __future__ import annotations

from collections.abc import Callable

from wtforms import Field, Form
from wtforms.validators import ValidationError

from app.errors import Invalid


def told(invalid: Invalid) -> str:
    """Return a refused value's sentence as it stands at its field, which has the name already."""
    words = invalid.message.removeprefix(f"{invalid.field}: ")
    if "@" in words.partition(" ")[0]:  # an address is written as it is
        return words
    return words[:1].upper() + words[1:]


class Checked:
    """A validator of WTForms that judges as a service will, so that all is told at once."""

    def __init__(self, check: Callable[[str], object], *, empty: bool = False) -> None:
        """Take over a check.

        Args:
            check: raises `Invalid` for what can't be.
            empty: whether nothing typed is judged, too.
        """
        self._check = check
        self._empty = empty

    def __call__(self, _form: Form, field: Field) -> None:
        """Judge what was typed.

        Raises:
            ValidationError: the service would refuse it.
        """
        if not (field.data or self._empty):
            return
        try:
            self._check(field.data or "")
        except Invalid as invalid:
            raise ValidationError(told(invalid)) from None
