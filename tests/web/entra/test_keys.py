"""What Entra reads: our metadata, and keys with certificates that are known 48 hours before."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import KeySet

from app.errors import Refusal
from app.models import Application, KeyState, KeyUse, SigningKey
from app.services.audit import OPERATOR
from app.services.signing_keys import COMMON, Rotation
from tests.conftest import ONE_DATABASE, PATIENCE, ROOT, Harbor
from tests.entra import certificate_of, connected

GUIDE = ROOT / "docs/entra.md"


def rotated(harbor: Harbor, *, at_once: bool = False) -> Rotation:
    with harbor.services.database.writing() as tx:
        return harbor.services.signing_keys.rotate(tx, OPERATOR, at_once=at_once)


def kids(harbor: Harbor) -> dict[KeyState, str]:
    rows = harbor.rows(
        sa.select(SigningKey.state, SigningKey.kid).where(
            SigningKey.use == KeyUse.ENTRA, SigningKey.state != KeyState.RETIRED
        )
    )
    return dict(rows)


@pytest.mark.skipif(
    shutil.which("curl") is None and not os.environ.get("CI"),
    reason="curl is not installed; a check that counts has it",
)
@ONE_DATABASE
def test_the_guide_s_command_reads_the_metadata_of_a_server(live_harbor: Harbor) -> None:
    entra = connected(live_harbor)
    [command] = re.findall(r"^```sh\n(curl .*?)^```$", GUIDE.read_text(), re.M | re.S)
    done = subprocess.run(
        ["sh", "-c", command],
        env={**os.environ, "ISSUER": entra.issuer},
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    assert json.loads(done.stdout) == entra.metadata()


@ONE_DATABASE
def test_the_metadata_has_all_that_microsoft_s_reference_demands(harbor: Harbor) -> None:
    entra = connected(harbor)
    told = entra.metadata()
    assert told["issuer"] == entra.issuer
    assert told["authorization_endpoint"] == f"{entra.issuer}/authorize"
    assert told["jwks_uri"] == f"{entra.issuer}/jwks"
    assert told["scopes_supported"] == ["openid"]
    assert told["response_types_supported"] == ["id_token"]
    assert told["response_modes_supported"] == ["form_post"]
    assert told["grant_types_supported"] == ["implicit"]
    assert told["id_token_signing_alg_values_supported"] == ["RS256"]
    assert told["claim_types_supported"] == ["normal"]
    assert told["subject_types_supported"]


@ONE_DATABASE
def test_each_key_comes_with_a_certificate_over_it_that_stays_the_same(harbor: Harbor) -> None:
    entra = connected(harbor)
    first = entra.published()
    assert len(first) == 2
    for key in first:
        assert {"kty", "use", "kid", "n", "e", "x5c", "x5t", "alg"} == set(key)
        assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
        certificate = certificate_of(key)
        inside = certificate.public_key()
        assert isinstance(inside, rsa.RSAPublicKey)
        [made] = KeySet.import_key_set({"keys": [key]}).keys
        assert made.public_key.public_numbers() == inside.public_numbers()  # type: ignore[union-attr]
        certificate.verify_directly_issued_by(certificate)
        now = harbor.clock.now()
        assert certificate.not_valid_before_utc < now
        assert certificate.not_valid_after_utc > now + timedelta(days=3000)
    harbor.clock.advance(3600)
    assert entra.published() == first


@ONE_DATABASE
def test_keys_for_entra_are_at_its_connections_alone_and_no_others_there(harbor: Harbor) -> None:
    entra, pier = connected(harbor), connected(harbor, name="Another")
    assert entra.issuer != pier.issuer
    assert {key["kid"] for key in entra.published()} == set(kids(harbor).values())
    assert entra.published() == pier.published()
    common = harbor.wire.request("GET", "/.well-known/jwks.json").json["keys"]
    assert len(common) == 2 * len(COMMON)
    assert not {key["kid"] for key in common} & {key["kid"] for key in entra.published()}
    private = {"d", "p", "q", "dp", "dq", "qi"}
    assert not any(private & set(key) for key in entra.published())


@ONE_DATABASE
def test_what_entra_reads_may_be_kept_for_a_day_as_entra_does(harbor: Harbor) -> None:
    entra = connected(harbor)
    for path in ("/.well-known/openid-configuration", "/jwks"):
        reply = harbor.wire.request("GET", f"/entra/{entra.connection_id}{path}")
        assert reply.headers["cache-control"] == "public, max-age=86400"
        assert reply.headers["content-length"] == str(len(reply.text.encode()))


@ONE_DATABASE
def test_a_connection_that_is_unknown_or_deleted_is_404(harbor: Harbor) -> None:
    entra = connected(harbor)
    deleted = sa.update(Application).where(Application.id == uuid.UUID(entra.client_id))
    paths = ("/.well-known/openid-configuration", "/jwks")
    for path in paths:
        assert harbor.wire.request("GET", f"/entra/{uuid.UUID(int=7)}{path}").status == 404
        assert harbor.wire.request("GET", f"/entra/nothing{path}").status == 404
    harbor.executes(deleted.values(deleted_at=harbor.clock.now()))
    for path in paths:
        assert harbor.wire.request("GET", f"/entra/{entra.connection_id}{path}").status == 404


def test_a_key_signs_for_entra_48_hours_after_it_was_published(harbor: Harbor) -> None:
    before = kids(harbor)
    began = harbor.clock.now()
    harbor.clock.advance(48 * 3600 - 1)
    first = rotated(harbor)
    assert first.waiting == {KeyUse.ENTRA: began + timedelta(hours=48)}
    assert kids(harbor) == before
    harbor.clock.advance(61)
    assert rotated(harbor).waiting == {}
    after = kids(harbor)
    assert after[KeyState.ACTIVE] == before[KeyState.NEXT]
    assert after[KeyState.NEXT] not in before.values()
    published_at = harbor.clock.now()
    harbor.clock.advance(24 * 3600)
    assert rotated(harbor).waiting == {KeyUse.ENTRA: published_at + timedelta(hours=48)}
    assert kids(harbor) == after


@ONE_DATABASE
def test_what_waits_is_no_reason_to_refuse_a_rotation_but_all_that_waits_is(
    harbor: Harbor,
) -> None:
    with pytest.raises(Refusal) as refused:
        rotated(harbor)
    assert refused.value.code == "next_key_too_young"
    assert "Wait 61 seconds" in refused.value.message
    harbor.clock.advance(61)
    active = rotated(harbor).active
    assert active.use is KeyUse.RESULT


@ONE_DATABASE
def test_for_a_compromise_entra_s_key_is_changed_at_once(harbor: Harbor) -> None:
    before = kids(harbor)
    assert rotated(harbor, at_once=True).waiting == {}
    assert kids(harbor)[KeyState.ACTIVE] == before[KeyState.NEXT]


@ONE_DATABASE
def test_a_retired_key_stays_published_until_entra_has_surely_read_the_others(
    harbor: Harbor,
) -> None:
    entra = connected(harbor)
    old = kids(harbor)[KeyState.ACTIVE]
    rotated(harbor, at_once=True)

    def shown() -> set[Any]:
        return {key["kid"] for key in entra.published()}

    assert old in shown()
    assert len(shown()) == 3
    harbor.clock.advance(72 * 3600 - 1)
    assert old in shown()
    harbor.clock.advance(1)
    assert old not in shown()
    assert len(shown()) == 2
