"""What can be kept of a user: each field in its normal form, and changes to them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, TypedDict

from email_validator import EmailNotValidError, validate_email

from app.errors import Invalid, Refusal
from app.models import User
from app.services.phone_numbers import checked_phone_number

CONTACT_NEEDED = "a user needs an e-mail address or a phone number."
_EXTERNAL_ID_LENGTH = 255
_MOST_IN_PROFILE = 50
_NAME_KEY_LENGTH = 100


class UserChanges(TypedDict, total=False):
    """What is to become of a user; what is not there stays as it is.

    None takes a number or an external id away; an address is only replaced. A profile is merged: a
    name with None is taken out, and None for the whole of it takes all out.
    """

    email: str | None
    phone_number: str | None
    external_id: str | None
    profile: dict[str, Any] | None


def checked(changes: UserChanges) -> UserChanges:
    """Return the changes with every value in its normal form; "" counts as None.

    Raises:
        Invalid: a value can't be used.
    """
    wanted: UserChanges = {}
    if "email" in changes:
        address = changes["email"]
        wanted["email"] = checked_email(address) if address else None
    if "phone_number" in changes:
        number = changes["phone_number"]
        wanted["phone_number"] = checked_phone_number(number) if number else None
    if "external_id" in changes:
        name = changes["external_id"]
        wanted["external_id"] = checked_external_id(name) if name else None
    if "profile" in changes:
        wanted["profile"] = changes["profile"]
    return wanted


def apply(user: User, wanted: UserChanges) -> list[str]:
    """Put checked changes into a user, and return the names of what is different now.

    Raises:
        Invalid: the profile would hold too much, or no contact would be left.
    """
    values: dict[str, Any] = dict(wanted)
    _demand_contact(user, values)
    if "profile" in wanted:
        values["profile"] = merged(user.profile, wanted["profile"])
    changed = [name for name, value in values.items() if getattr(user, name) != value]
    for name in changed:
        setattr(user, name, values[name])
    user.email_key = email_key(user.email) if user.email else None
    for name, key in name_keys(user.profile).items():
        setattr(user, name, key)
    return changed


def _demand_contact(user: User, values: dict[str, Any]) -> None:
    """Refuse what would leave nothing to know a user by, or take an address away."""
    if values.get("email", user.email) is None and user.email is not None:
        raise Invalid("email", "it can be replaced, but not taken away.")
    named = (values.get(name, getattr(user, name)) for name in ("email", "phone_number"))
    if not any(named) and (user.email or user.phone_number):
        raise Invalid("phone_number", CONTACT_NEEDED)


def named_by_number(having: Sequence[User]) -> User | None:
    """Return whom a number names: who is known by it alone, else the only one who has it.

    Args:
        having: who has the number, in one organization.

    Raises:
        Refusal: `phone_number_ambiguous`, if several have it, and each has an address.
    """
    if alone := [user for user in having if user.email_key is None]:
        return alone[0]
    if len(having) > 1:
        raise Refusal(
            "phone_number_ambiguous",
            "Several users have this phone number. Name the user by the e-mail address.",
        )
    return having[0] if having else None


def name_keys(profile: dict[str, Any]) -> dict[str, str]:
    """Return the columns by which a user is searched and sorted, as the profile has the name."""
    parts = [profile.get(name) for name in ("given_name", "family_name")]
    given, family = (folded(part) if isinstance(part, str) else "" for part in parts)
    return {"name_key": f"{given} {family}".strip(), "family_name_key": family}


def full_name(profile: dict[str, Any]) -> str:
    """Return given and family name of a profile, as far as they are there."""
    parts = (profile.get(name) for name in ("given_name", "family_name"))
    return " ".join(part.strip() for part in parts if isinstance(part, str) and part.strip())


def folded(name: str) -> str:
    """Return a name as it is searched and sorted: lower case, no accents, single spaces."""
    parted = unicodedata.normalize("NFKD", name)
    plain = "".join(mark for mark in parted if not unicodedata.combining(mark)).casefold()
    return " ".join(plain.split())[:_NAME_KEY_LENGTH].strip()


def merged(profile: dict[str, Any], more: dict[str, Any] | None) -> dict[str, Any]:
    """Return a profile with more in it; a name with None is taken out (RFC 7396).

    Raises:
        Invalid: it would hold too much.
    """
    if more is None:
        return {}
    both = {**profile, **more}
    kept = {name: value for name, value in both.items() if more.get(name, value) is not None}
    if len(kept) > _MOST_IN_PROFILE:
        raise Invalid("profile", f"it may hold {_MOST_IN_PROFILE} names.")
    return kept


def checked_email(value: str) -> str:
    """Return the address in its normal form (ASCII before the @, a syntactically valid domain).

    Raises:
        Invalid: it is not an address.
    """
    try:
        # ASCII only: no two spellings of one address, no look-alike letters.
        found = validate_email(value, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise Invalid("email", f"{error} Write one such as ada@example.com.") from None
    if not _is_plain(value.rpartition("@")[2], found.domain, found.ascii_domain or ""):
        raise Invalid("email", "write the domain as it is displayed, or as xn--….")
    return found.ascii_email or ""


def _is_plain(given: str, *usual: str) -> bool:
    """Tell whether a domain is spelled as usual, but for upper case.

    Reading a domain drops invisible marks and turns letters that only look alike into plain
    ones: with these, an address would reach the account of another.
    """
    return unicodedata.normalize("NFKC", given) == given and given.lower() in usual


def checked_external_id(value: str) -> str:
    """Return the caller's own name of a user.

    Raises:
        Invalid: it is too long, or holds what can't be printed.
    """
    if len(value) > _EXTERNAL_ID_LENGTH or not value.isprintable():
        raise Invalid("external_id", f"use 1 to {_EXTERNAL_ID_LENGTH} printable characters.")
    return value


def email_key(address: str) -> str:
    """Return the one spelling of a checked address that is compared."""
    return address.lower()
