"""Code to paste on the other side, with an application's or a key's own values filled in."""

from __future__ import annotations

import json
import shlex

from app.models import ApiKey, Application, Organization
from app.services.signing_keys import LEEWAY_SECONDS
from app.services.tokens import RESULT_TYP

_CHECK = """\
import json, time, urllib.request

from joserfc import jwt
from joserfc.jwk import KeySet

MUST = {must}


def check_result(result, nonce, user_id):
    with urllib.request.urlopen({jwks}) as answer:
        keys = KeySet.import_key_set(json.load(answer))
    token = jwt.decode(result, keys, algorithms=["ES256", "RS256", "Ed25519"])
    must = {{**MUST, "nonce": nonce, "sub": user_id}}
    wrong = [name for name, value in must.items() if token.claims.get(name) != value]
    if wrong or token.header.get("typ") != {typ}:
        raise ValueError(f"This result is not for us: {{wrong}}")
    if token.claims["exp"] + {leeway} < time.time():
        raise ValueError("This result is too old.")
    return token.claims
"""


_VERIFY = """\
import json, os

from standardwebhooks import Webhook


def read_event(body, headers):
    # Raises WebhookVerificationError for what is not ours.
    signed = Webhook(os.environ["WEBHOOK_SECRET"])
    signed.verify(body, headers, json_parse=False)
    return json.loads(body)
"""


def verify_event() -> str:
    """Return Python that checks a request to a webhook."""
    return _VERIFY


def jwks_address(base_url: str) -> str:
    """Return where our public keys are."""
    return f"{base_url}/.well-known/jwks.json"


def sessions_address(base_url: str, organization: Organization) -> str:
    """Return where an application opens a gateway session."""
    return f"{base_url}/api/v2/org/{organization.domain}/gateway-sessions"


def open_session(base_url: str, organization: Organization, application: Application) -> str:
    """Return the command that opens a gateway session; the secret stays in the environment."""
    body = {
        "user_id": "ada@example.com",
        "redirect_uri": application.redirect_uris[0],
        "state": "a-random-value",
        "nonce": "another-random-value",
    }
    return _command(
        sessions_address(base_url, organization),
        f'-u "{application.client_id}:$CLIENT_SECRET"',
        '-H "Content-Type: application/json"',
        f"-d {shlex.quote(json.dumps(body, indent=2))}",
    )


def redeem_result(base_url: str, organization: Organization, application: Application) -> str:
    """Return the command that uses a result up."""
    return _command(
        f'{sessions_address(base_url, organization)}/"$SESSION_ID"/redeem',
        f'-u "{application.client_id}:$CLIENT_SECRET"',
        '-H "Content-Type: application/json"',
        '''-d "{\\"result\\": \\"$RESULT\\"}"''',
    )


def check_result(base_url: str, organization: Organization, application: Application) -> str:
    """Return Python that checks a result as the application must."""
    must = {
        "iss": base_url,
        "aud": application.client_id,
        "org": organization.domain,
        "env": organization.environment.value,
    }
    return _CHECK.format(
        must=json.dumps(must, indent=4).replace('"\n}', '",\n}'),
        jwks=json.dumps(jwks_address(base_url)),
        typ=json.dumps(RESULT_TYP),
        leeway=LEEWAY_SECONDS,
    )


def ask_token(base_url: str, key: ApiKey) -> str:
    """Return the command that exchanges a key for a bearer token."""
    return _command(
        f"{base_url}/oauth/token",
        "-d grant_type=client_credentials",
        f"-d client_id={key.id}",
        '--data-urlencode "client_secret=$CLIENT_SECRET"',
    )


def list_users(base_url: str, organization: Organization) -> str:
    """Return a first call with a bearer token."""
    return _command(
        f"{base_url}/api/v2/org/{organization.domain}/users",
        '-H "Authorization: Bearer $ACCESS_TOKEN"',
    )


def say_hello(base_url: str) -> str:
    """Return the call of API v1 that tells whether a secret works."""
    return _command(f"{base_url}/v1/hello", '-H "Authorization: Bearer $CLIENT_SECRET"')


def send_code(base_url: str) -> str:
    """Return the call of API v1 that sends a first code."""
    return _command(
        f"{base_url}/v1/mfa",
        '-H "Authorization: Bearer $CLIENT_SECRET"',
        '-d "User=ada@example.com, Type=EMAIL"',
    )


def _command(address: str, *options: str) -> str:
    return " \\\n  ".join([f"curl -s {address}", *options])
