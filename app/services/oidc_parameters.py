"""Parameters of an authorization request, as they are written; what they ask is judged later."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc7636.challenge import CODE_CHALLENGE_PATTERN

from app.models import OidcClient, ResponseMode

MOST_STATE_BYTES = 4096
_MOST_NONCE = 255
_MOST_NAME = 320
_PROMPTS = {"none", "login", "consent", "select_account"}
_SECONDS = re.compile(r"[0-9]{1,9}")

Parameters = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Reply:
    """Where, and how, an application is answered: known before anything else is looked at."""

    redirect_uri: str
    response_mode: ResponseMode
    state: str | None


class RequestRefused(Exception):
    """An authorization request can't be granted.

    Args:
        code: of OAuth 2.0, OpenID Connect or their extensions.
        message: for a developer, in ASCII without quotation marks (RFC 6749 section 4.1.2.1).
        reply: where that is told; None if nobody but the browser may hear of it.
    """

    def __init__(self, code: str, message: str, reply: Reply | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reply = reply


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a request asks.

    Attributes:
        challenge: of PKCE, by S256; None where the client need not send one.
        login_hint: the user's name, as the application writes it.
        subject: the only user who is allowed (`claims.id_token.sub.value`).
        acr_values: classes, the favourite first.
        acr_essential: whether one of them has to be reached.
        amr: methods of which one has to be used.
        max_age: seconds; 0 where the user is to confirm again whatever the browser remembers.
        silent: whether no page may be shown.
        locale: language tag of the pages.
        organization: slug, for an application that serves several.
    """

    reply: Reply
    scope: str
    nonce: str | None
    challenge: str | None
    login_hint: str | None
    id_token_hint: str | None
    subject: str | None
    acr_values: Sequence[str]
    acr_essential: bool
    amr: Sequence[str]
    max_age: int | None
    silent: bool
    locale: str | None
    organization: str | None


def parsed(client: OidcClient, given: Parameters, *, internal: str | None = None) -> Wishes:
    """Return what the parameters of a request ask.

    Args:
        internal: a page of ours that this request may come back to, though nobody registered it.

    Raises:
        RequestRefused: they ask nothing that can be granted.
    """
    reply = reply_of(client, given, internal)
    try:
        return _wishes(client, given, reply)
    except _Wrong as wrong:
        raise RequestRefused(wrong.code, wrong.message, reply) from None


class _Wrong(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def reply_of(client: OidcClient, given: Parameters, internal: str | None = None) -> Reply:
    """Return where the answer goes: to an address that is registered to the letter, or nowhere.

    Raises:
        RequestRefused: to none; or it can't be answered as it asks.
    """
    uri = given.get("redirect_uri", "")
    if uri not in client.application.redirect_uris and (internal is None or uri != internal):
        raise RequestRefused("invalid_request", "redirect_uri: it is not a registered one.")
    mode, state = given.get("response_mode", ResponseMode.QUERY), given.get("state")
    known = mode in {*ResponseMode}
    carried = state is None or _carries(state, len(state.encode("utf-8", "surrogatepass")))
    reply = Reply(
        redirect_uri=uri,
        response_mode=ResponseMode(mode) if known else ResponseMode.QUERY,
        state=state if carried else None,
    )
    if not known:
        told = "response_mode: use query or form_post."
        raise RequestRefused("invalid_request", told, reply)
    if not carried:
        told = f"state: at most {MOST_STATE_BYTES:,} bytes, without control characters."
        raise RequestRefused("invalid_request", told, reply)
    return reply


def _wishes(client: OidcClient, given: Parameters, reply: Reply) -> Wishes:
    _check_response_type(given)
    claims = _claims(given)
    prompt = _prompt(given)
    acr = _acr(given, claims)
    return Wishes(
        reply=reply,
        scope=_scope(given),
        nonce=_nonce(given),
        challenge=_challenge(client, given),
        login_hint=_name(given, "login_hint"),
        id_token_hint=given.get("id_token_hint"),
        subject=_subject(claims),
        acr_values=acr[0],
        acr_essential=acr[1],
        amr=_amr(claims),
        max_age=0 if "login" in prompt else _max_age(given),
        silent="none" in prompt,
        locale=next(iter(given.get("ui_locales", "").split()), None),
        organization=given.get("organization"),
    )


def _check_response_type(given: Parameters) -> None:
    if "response_type" not in given:
        raise _Wrong("invalid_request", "response_type: it is missing.")
    if given["response_type"] != "code":
        raise _Wrong("unsupported_response_type", "response_type: use code.")


def _scope(given: Parameters) -> str:
    scopes = given.get("scope", "").split()
    if "openid" not in scopes:
        raise _Wrong("invalid_scope", "scope: it has to hold openid.")
    return " ".join(one for one in dict.fromkeys(scopes) if one in {"openid", "profile"})


def _nonce(given: Parameters) -> str | None:
    nonce = given.get("nonce")
    if nonce is not None and not (len(nonce) <= _MOST_NONCE and _carries(nonce, 0)):
        told = f"nonce: at most {_MOST_NONCE} printable characters."
        raise _Wrong("invalid_request", told)
    return nonce


def _challenge(client: OidcClient, given: Parameters) -> str | None:
    challenge, method = given.get("code_challenge"), given.get("code_challenge_method")
    if challenge is None and method is None:
        if client.requires_pkce:
            raise _Wrong("invalid_request", "code_challenge: it is missing.")
        return None
    if method != "S256":
        raise _Wrong("invalid_request", "code_challenge_method: use S256.")
    if challenge is None or len(challenge) != 43 or not CODE_CHALLENGE_PATTERN.fullmatch(challenge):
        raise _Wrong("invalid_request", "code_challenge: it is no hash of S256.")
    return challenge


def _prompt(given: Parameters) -> set[str]:
    prompt = set(given.get("prompt", "").split())
    if prompt - _PROMPTS or ("none" in prompt and len(prompt) > 1):
        raise _Wrong("invalid_request", "prompt: use none alone, or login.")
    return prompt


def _max_age(given: Parameters) -> int | None:
    found = given.get("max_age")
    if found is None:
        return None
    if not _SECONDS.fullmatch(found):
        raise _Wrong("invalid_request", "max_age: use a number of seconds.")
    return int(found)


def _name(given: Parameters, field: str) -> str | None:
    name = given.get(field)
    if name is not None and not (1 <= len(name) <= _MOST_NAME and _carries(name, 0)):
        told = f"{field}: 1 to {_MOST_NAME} printable characters."
        raise _Wrong("invalid_request", told)
    return name


def _claims(given: Parameters) -> dict[str, Any]:
    """Return what is asked of the ID token (OpenID Connect Core section 5.5)."""
    try:
        value = json.loads(given.get("claims", "{}"))
    except (ValueError, RecursionError):
        raise _Wrong("invalid_request", "claims: it is no JSON.") from None
    asked = value.get("id_token", {}) if isinstance(value, dict) else None
    if not isinstance(asked, dict):
        raise _Wrong("invalid_request", "claims: it is no object with an object id_token.")
    wrong = [one for one in asked.values() if one is not None and not isinstance(one, dict)]
    if wrong:
        raise _Wrong("invalid_request", "claims: ask each with null or an object.")
    return asked


def _acr(given: Parameters, claims: dict[str, Any]) -> tuple[list[str], bool]:
    """Return the classes that are asked, and whether one is essential (section 5.5.1.1)."""
    asked = claims.get("acr") or {}
    values = _values(asked, "acr")
    if values:
        return values, asked.get("essential") is True
    return given.get("acr_values", "").split(), False


def _amr(claims: dict[str, Any]) -> list[str]:
    asked = claims.get("amr") or {}
    return _values(asked, "amr") if asked.get("essential") is True else []


def _subject(claims: dict[str, Any]) -> str | None:
    values = _values(claims.get("sub") or {}, "sub")
    if len(values) > 1:
        raise _Wrong("invalid_request", "claims: sub can be one alone.")
    return next(iter(values), None)


def _values(asked: dict[str, Any], claim: str) -> list[str]:
    found = asked.get("values", [asked["value"]] if "value" in asked else [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise _Wrong("invalid_request", f"claims: values of {claim} are texts.")
    return list(dict.fromkeys(found))


def _carries(text: str, size: int) -> bool:
    """Tell whether a text survives every way back."""
    if size > MOST_STATE_BYTES or any(ord(mark) < 32 or ord(mark) == 127 for mark in text):
        return False
    return not any(0xD800 <= ord(mark) <= 0xDFFF for mark in text)
