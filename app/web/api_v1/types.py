"""What `Type` and `User` may say, and what that means here."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import Invalid
from app.services.contact_methods import APP
from app.services.contacts import Contact
from app.services.phone_numbers import parse_e164
from app.services.user_fields import checked_email


@dataclass(frozen=True)
class Type:
    """A method.

    Attributes:
        channel: by which its codes go, or that of an app; None for any to the phone.
        email: whether it needs an e-mail address.
        phone: whether it needs a phone number.
    """

    channel: str | None
    email: bool = False
    phone: bool = False


EMAIL, DUAL = Type("email", email=True), Type("dual", email=True, phone=True)
SMS = Type("sms", phone=True)
SENT = {
    "EMAIL": EMAIL,
    "SMS": SMS,
    "WHATSAPP": Type("whatsapp", phone=True),
    "CALL": Type("voice", phone=True),
    "APP": Type(APP),
    "DUAL": DUAL,
}
VERIFIED = {"EMAIL": EMAIL, "PHONE": Type(None, phone=True), "APP": Type(APP), "DUAL": DUAL}
BACKED_UP = {"EMAIL": EMAIL, "SMS": SMS, "DUAL": DUAL}


def type_of(types: dict[str, Type], name: str) -> Type:
    """Return the method that a name stands for.

    Args:
        types: those of the call.

    Raises:
        Invalid: `invalid_type`; it names those that there are.
    """
    if name not in types:
        known = ", ".join(types)
        raise Invalid(
            "Type",
            f"use one of {known}. Security keys (HSM) work through a gateway session alone.",
            code="invalid_type",
        )
    return types[name]


def contact_of(wanted: Type, user: str) -> Contact:
    """Return whom `User` names: an address, a number in E.164, or both with a colon between.

    Raises:
        Invalid: `invalid_email`, `invalid_phone_number`, or it is not what the method needs.
    """
    email, colon, number = user.rpartition(":")
    if not colon:
        email, number = (user, "") if "@" in user else ("", user)
    contact = Contact(
        email=_email(email) if email or (colon and not number) else None,
        phone_number=_number(number) if number or (colon and email) else None,
    )
    _demand(wanted, contact)
    return contact


def _demand(wanted: Type, contact: Contact) -> None:
    if not (wanted.email or wanted.phone):
        return
    if wanted.phone and contact.phone_number is None:
        both = "an e-mail address and a number with a colon between"
        what = both if wanted.email else "a phone number in E.164, such as +33612345678"
        raise Invalid("User", f"this type needs {what}.")
    if wanted.email and contact.email is None:
        raise Invalid("User", "this type needs an e-mail address.")
    if (contact.email is not None) > wanted.email or (
        contact.phone_number is not None
    ) > wanted.phone:
        raise Invalid("User", "an address and a number together are for the type DUAL.")


def _email(value: str) -> str:
    try:
        return checked_email(value)
    except Invalid as invalid:
        told = invalid.message.removeprefix(f"{invalid.field}: ")
        hint = " In a form, write a plus as %2B." if " " in value else ""
        raise Invalid("User", told + hint, code="invalid_email") from None


def _number(value: str) -> str:
    try:
        return parse_e164(value).e164
    except Invalid as invalid:
        told = invalid.message.removeprefix(f"{invalid.field}: ")
        raise Invalid("User", told, code="invalid_phone_number") from None
