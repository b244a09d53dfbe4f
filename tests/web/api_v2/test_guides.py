"""Every call of the two Cryptr guides, and the shapes of the Kotlin SDK, before real servers.

A command differs from its guide by the host, ids and codes, by the bearer token where the guide
leaves it out, by `-G` on the list call, and by the comma and the backslashes that it lacks.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shlex
import shutil
import subprocess
from string import Template
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import zxingcpp
from PIL import Image

from tests.actors import Backend, Reply, keep_secret
from tests.conftest import PATIENCE, Harbor

TOKEN = """curl -X POST ${cryptr_service_url}/oauth/token \\
-d '{
"grant_type": "client_credentials",
"domain": "${account_domain}",
"client_id": "${client_id}",
"client_secret": "${client_secret}"
}'"""
CREATE_ORGANIZATION = """curl -X POST ${cryptr_service_url}/api/v2/organizations \\
-H "Authorization: Bearer ${token}" \\
-d name="Communitiz App" \\
-d email_domains[]="communitiz.app" """
CREATE_USER = """curl -X POST '${cryptr_service_url}/api/v2/org/${org_domain}/users' \\
--form 'profile[email]="${email}"'"""
LIST_USERS = """curl -G "${cryptr_service_url}/api/v2/org/${org_domain}/users" \\
-d page=${page} \\
-d per_page=${per_page}"""
ACTIVATE = """curl -X PUT ${cryptr_service_url}/api/v2/org/${org_domain}/totp-connection \\
-d active=true"""
DEACTIVATE = """curl -X PUT ${cryptr_service_url}/api/v2/org/${org_domain}/totp-connection \\
-d active=false"""
READ = """curl "${cryptr_service_url}/api/v2/org/${org_domain}/totp-connection" """
ENROLL = """curl -X POST ${cryptr_service_url}/api/v2/org/${org_domain}/totp-enrollment \\
-d user_id='${user_id}' \\
-d force_enroll='false'"""
ENROLL_FORM_A = (
    "curl -X POST ${cryptr_service_url}/api/v2/org/${org_domain}/totp-enrollment/${user_id} "
    "-d force_enroll='false'"
)
FORCE = (
    "curl -X POST ${cryptr_service_url}/api/v2/org/${org_domain}/totp-enrollment/${user_id} "
    "-d force_enroll='true'"
)
CONFIRM = (
    "curl -X PUT "
    "${cryptr_service_url}/api/v2/org/${org_domain}/totp-enrollment/validation/${user_id} "
    "-d code='${code}'"
)
CHALLENGE = "curl -X POST ${cryptr_service_url}/api/v2/org/${org_domain}/totp-challenge/${user_id}"
VALIDATE = (
    "curl -X POST "
    "${cryptr_service_url}/api/v2/org/${org_domain}/totp-challenge/validation/${user_id} "
    "-d code='${code}'"
)


class Shell:
    """Somebody who types the guides' commands, with the values of this deployment."""

    def __init__(self, harbor: Harbor) -> None:
        self.values = {
            "cryptr_service_url": harbor.base_url,
            "account_domain": "harbor-account",
            "client_id": harbor.backend.client_id,
            "client_secret": harbor.backend.client_secret,
            "org_domain": "communitiz-app",
            "page": "1",
            "per_page": "10",
        }
        self.status = 0

    def types(self, command: str, **values: str) -> Any:
        typed = Template(command).substitute({**self.values, **values}).rstrip()
        more = ["--silent", "--show-error", "--write-out", "\n%{http_code}"]
        if "token" in self.values and "Authorization" not in typed:
            more += ["-H", f"Authorization: Bearer {self.values['token']}"]
        ran = subprocess.run(
            ["bash", "-c", f"{typed} {shlex.join(more)}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        text, _, status = ran.stdout.rpartition("\n")
        self.status = int(status)
        return json.loads(text)


def authenticator_app(enrollment: dict[str, Any]) -> str:
    """Scan the QR code of an enrollment with a camera; return the key."""
    picture = Image.open(io.BytesIO(base64.b64decode(enrollment["qr_code"])))
    scanned = zxingcpp.read_barcode(picture.convert("L"))
    assert scanned is not None
    assert scanned.text == enrollment["otp_uri"]
    return keep_secret(parse_qs(urlsplit(scanned.text).query)["secret"][0])


def shows(key: str, later: int = 0) -> str:
    """Return what oathtool shows for a key, now or a little later."""
    command = ["oathtool", "--totp", "--base32", f"--now={later} seconds", key]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


needs_tools = pytest.mark.skipif(
    not ((shutil.which("oathtool") and shutil.which("curl")) or os.environ.get("CI")),
    reason="curl or oathtool is not installed; a check that counts has them",
)


@needs_tools
def test_every_command_of_the_guides_works_in_their_order(live_harbor: Harbor) -> None:
    shell = Shell(live_harbor)
    headless(shell)
    multi_factor(shell)
    by_sms(shell)


def headless(shell: Shell) -> None:
    """The guide to headless TOTP."""
    token = shell.types(TOKEN)
    assert shell.status == 200
    assert token["token_type"] == "Bearer"
    shell.values["token"] = keep_secret(token["access_token"])
    organization = shell.types(CREATE_ORGANIZATION)
    assert (shell.status, organization["domain"]) == (201, "communitiz-app")
    assert organization["allowed_email_domains"] == ["communitiz.app"]
    user = shell.types(CREATE_USER, email="emilie@communitiz-app.co")
    assert (shell.status, user["email"]) == (201, "emilie@communitiz-app.co")
    taken = shell.types(CREATE_USER, email="emilie@communitiz-app.co")
    assert shell.status == 422
    assert taken["error"]["message"] == "email has already been taken"
    listed = shell.types(LIST_USERS)
    assert [one["id"] for one in listed["data"]] == [user["id"]]
    # Activate, update, deactivate, retrieve; then it is needed again.
    for command, active in ((ACTIVATE, True), (ACTIVATE, True), (DEACTIVATE, False), (READ, False)):
        assert shell.types(command)["active"] is active
    shell.types(ACTIVATE)
    enrolls_and_verifies(shell, user["id"])


def enrolls_and_verifies(shell: Shell, user_id: str) -> None:
    enrollment = shell.types(ENROLL, user_id=user_id)
    assert shell.status == 201
    assert len(enrollment["recovery_codes"].split("\n")) == 5
    key = authenticator_app(enrollment)
    confirmed = shell.types(CONFIRM, user_id=user_id, code=shows(key))
    assert (shell.status, confirmed["success"]) == (200, True)
    shell.types(CHALLENGE, user_id=user_id)
    assert shell.status == 201
    accepted = shell.types(VALIDATE, user_id=user_id, code=shows(key, 30))
    assert (accepted["success"], accepted["recovery_code_used"]) == (True, False)


def multi_factor(shell: Shell) -> None:
    """The guide to multi-factor authentication."""
    user_id = shell.types(CREATE_USER, email="paul@communitiz-app.co")["id"]
    shell.types(ENROLL_FORM_A, user_id=user_id)
    assert shell.status == 201
    enrollment = shell.types(FORCE, user_id=user_id)
    key, codes = authenticator_app(enrollment), enrollment["recovery_codes"].split("\n")
    assert shell.types(CONFIRM, user_id=user_id, code=shows(key))["success"] is True
    shell.types(CHALLENGE, user_id=user_id)
    assert shell.types(VALIDATE, user_id=user_id, code="000000")["success"] is False
    assert shell.types(VALIDATE, user_id=user_id, code=shows(key, 30))["success"] is True
    recovered = shell.types(VALIDATE, user_id=user_id, code=codes[0])
    published = {
        *("__type__", "challenged_at", "code", "recovery_code_used", "request_id", "sent_at"),
        "success",
    }
    assert published <= set(recovered)
    assert (recovered["success"], recovered["recovery_code_used"]) == (True, True)
    # "You will need to enroll again immediately", by the same call.
    again = shell.types(ENROLL_FORM_A, user_id=user_id)
    assert again["recovery_codes"] is None
    key = authenticator_app(again)
    assert shell.types(CONFIRM, user_id=user_id, code=shows(key))["success"] is True
    assert shell.types(VALIDATE, user_id=user_id, code=shows(key, 30))["success"] is True


def by_sms(shell: Shell) -> None:
    """What both guides say of the SMS method: the answers hold the codes for the backend."""
    user_id = shell.types(
        CREATE_USER + " --form 'phone_number=+33612345678'", email="zoe@communitiz-app.co"
    )["id"]
    shell.types(ACTIVATE + " -d methods[]=sms")
    enrollment = shell.types(ENROLL_FORM_A, user_id=user_id)
    assert shell.types(CONFIRM, user_id=user_id, code=enrollment["code"])["success"] is True
    posed = shell.types(CHALLENGE, user_id=user_id)
    assert len(posed["code"]) == 6
    assert shell.types(VALIDATE, user_id=user_id, code=posed["code"])["success"] is True


# The Kotlin SDK


def sends(
    backend: Backend, method: str, path: str, form: str | None = None, token: str | None = None
) -> Reply:
    """Send what the SDK's one function for requests sends."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    data = form.encode() if form is not None else None
    return backend.wire.request(method, path, headers=headers, data=data)


def part(token: str, number: int) -> dict[str, Any]:
    text = token.split(".")[number]
    return dict(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


def test_the_kotlin_sdk_gets_a_token_that_it_takes(harbor: Harbor) -> None:
    backend = harbor.backend
    form = (
        f"client_id={backend.client_id}&client_secret={backend.client_secret}"
        "&tenant_domain=harbor-account&grant_type=client_credentials"
    )
    token = sends(backend, "POST", "/api/v2/oauth/token", form).json["access_token"]
    keep_secret(token)
    header, payload = part(token, 0), part(token, 1)
    # JWTHeader: all four are demanded, and only this kind and algorithm.
    assert header["kid"]
    assert (header["typ"], header["alg"], header["iss"]) == ("JWT", "RS256", harbor.base_url)
    # JWTPayload: without this type it would look for the claims of a user's token.
    assert payload["type"] == "api_v2"
    assert payload["iat"] <= harbor.clock.now().timestamp() < payload["exp"]
    assert sends(backend, "GET", "/api/v2/organizations", token=token).status == 200


def test_the_kotlin_sdk_manages_organizations(harbor: Harbor) -> None:
    backend, token = harbor.backend, harbor.backend.token
    harbor.clock.advance(1)
    # An empty list leaves nothing between two ampersands; what is null is left out.
    form = "__type__=Organization&name=Communitiz+App&&allowed_email_domains[]=communitiz.app"
    created = sends(backend, "POST", "/api/v2/organizations", form, token)
    assert created.status == 201
    assert created.json["domain"] == "communitiz-app"
    listed = sends(
        backend, "GET", "/api/v2/organizations?per_page=1&current_page=2", token=token
    ).json
    assert [one["domain"] for one in listed["data"]] == ["harbor"]
    assert listed["pagination"]["prev_page"] == 1
    assert listed["pagination"]["next_page"] is None
    for one in (created.json, *listed["data"]):
        assert {tuple(sorted(it)) for it in one["environments"]} == {("name", "status")}
        assert one["status"]["state"] in {"pending", "terminated"}
    path = "/api/v2/organizations/communitiz-app"
    assert sends(backend, "GET", path, token=token).json["name"] == "Communitiz App"
    deleted = sends(backend, "DELETE", path, token=token).json
    assert deleted["deleted"] is True
    assert deleted["resource"]["domain"] == "communitiz-app"
    assert sends(backend, "GET", path, token=token).status == 404


def test_the_kotlin_sdk_manages_users(harbor: Harbor) -> None:
    backend, token, users = harbor.backend, harbor.backend.token, "/api/v2/org/harbor/users"
    harbor.clock.advance(1)
    form = "__type__=User&email=emilie%40harbor.example&&phone_number_verified=false"
    created = sends(backend, "POST", users, form + "&email_verified=false", token)
    assert created.status == 201, created.text
    user = created.json
    assert (user["meta_data"], user["identities"], user["address"]) == ([], [], None)
    path = f"{users}/{user['id']}"
    form = (
        f"__type__=User&__environment__=sandbox&__domain__=harbor&email=emilie%40harbor.example"
        f"&id={user['id']}&&&phone_number=%2B33612345678&phone_number_verified=false"
        "&email_verified=false&profile[__type__]=Profile&profile[given_name]=%C3%89milie"
        f"&inserted_at={user['inserted_at']}&updated_at={user['updated_at']}&active=true"
    )
    updated = sends(backend, "PUT", path, form, token)
    assert updated.status == 200, updated.text
    assert updated.json["phone_number"] == "+33612345678"
    assert updated.json["profile"]["given_name"] == "Émilie"
    listed = sends(backend, "GET", f"{users}?per_page=10&current_page=1", token=token).json
    assert listed["data"][0] == updated.json
    assert sends(backend, "GET", path, token=token).json == updated.json
    deleted = sends(backend, "DELETE", path, token=token).json
    assert (deleted["deleted"], deleted["resource"]["id"]) == (True, user["id"])
    missing = sends(backend, "GET", path, token=token)
    # ErrorMessage: all three are read.
    assert set(missing.json["error"]) >= {"type", "message", "doc_urls"}


def test_the_kotlin_sdk_asks_for_a_magic_link(harbor: Harbor) -> None:
    form = (
        f"redirect_uri={harbor.notes.redirect_uri}&user_email=ada%40harbor.example"
        "&org_domain=harbor"
    )
    path = "/api/v2/magic-link-challenge"
    reply = sends(harbor.backend, "POST", path, form, harbor.backend.token)
    assert reply.status == 200, reply.text
    keep_secret(reply.json["magic_link"].rpartition("/")[2])
    keep_secret(parse_qs(urlsplit(reply.json["waiting_url"]).query)["token"][0])
    assert reply.json["request_id"].startswith("magic-link-challenge_")
    assert reply.json["magic_link"].startswith(harbor.base_url)
    assert "find_or_create" in reply.json
