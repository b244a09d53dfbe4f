"""Results and tokens: signed once, for one application, and good for exactly what they say."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc.jwk import KeySet
from sqlalchemy.exc import IntegrityError

from app import create_app, jose
from app.config import Config
from app.db import Database
from app.errors import Refusal
from app.models import Environment, Event, GatewaySession, KeyUse, Result, SigningKey, Verification
from app.services.audit import OPERATOR
from app.services.signing_keys import COMMON
from app.services.tokens import ACCESS_TOKEN_TYP, RESULT_TYP
from app.wiring import wire
from tests.actors import Reply, keep_secret
from tests.conftest import ONE_DATABASE, FixedClock, Harbor, InProcess, make_config
from tests.web.api_v2.forgery import (
    forgeries,
    listening,
    parts,
    public_jwk,
    put,
    signed,
    strangers,
)
from tests.web.api_v2.shapes import is_refused

Visit = tuple[str, str]
"""A gateway session's id and its result."""


def verifies(harbor: Harbor, user: str | None = None, **ask: Any) -> Visit:
    """Have a user enroll in a visit, and return what the application gets."""
    session = harbor.notes.opens(user or harbor.person(f"{uuid.uuid4()}@harbor.example"), **ask)
    browser = harbor.browser()
    browser.goes_to(session["url"])
    phone = browser.sets_up()
    browser.types(harbor.code(phone))
    browser.saves_codes()
    return session["id"], browser.back["result"]


def events(harbor: Harbor, session_id: str) -> list[str]:
    kinds = sa.select(Event.kind).where(
        Event.gateway_session_id == session_id, Event.kind.startswith("result:")
    )
    return [kind for (kind,) in harbor.rows(kinds.order_by(Event.id))]


Signing = Callable[..., Harbor]


@pytest.fixture
def signing(database_url: str, tmp_path: Path, clock: FixedClock) -> Iterator[Signing]:
    """Makes the same cast at a deployment that signs with another algorithm."""
    made: list[Database] = []

    def make(algorithm: str) -> Harbor:
        config = make_config(database_url, tmp_path, signing_algorithm=algorithm)
        wired, app = wire(config, clock), create_app(config, clock=clock)
        with wired.database.writing() as tx:
            tx.execute(sa.delete(SigningKey))
            wired.signing_keys.ensure(tx)
        made.extend([wired.database, app.extensions["gatehouse"].database])
        return Harbor(InProcess(app.test_client(use_cookies=False)), wired, clock)

    yield make
    for database in made:
        database.engine.dispose()


def our_jwk(harbor: Harbor, use: KeyUse) -> jose.PrivateKey:
    with harbor.services.database.reading() as tx:
        return harbor.services.signing_keys.signer(tx, use)


def our_key(harbor: Harbor, use: KeyUse) -> Any:
    """The key that signs now, for tokens that only we could forge."""
    return our_jwk(harbor, use).private_key


# F41: once, by the application it was made for, in time


def test_a_result_is_redeemed_once(harbor: Harbor) -> None:
    session, result = verifies(harbor, nonce="n-1")
    first = harbor.notes.redeems(session, result)
    assert first.status == 200, first.text
    claims = first.json.pop("claims")
    assert claims == harbor.notes.checks(result)
    assert claims["nonce"] == "n-1"
    seen = harbor.notes.looks_at(session).json
    assert {**seen, "claims": claims} == first.json | {"claims": claims}
    for _ in range(2):
        again = harbor.notes.redeems(session, result)
        is_refused(again, 409, "result_already_redeemed", "result")
        assert "claims" not in again.text
    assert events(harbor, session) == [
        "result:issued",
        "result:redeemed",
        "result:replayed",
        "result:replayed",
    ]


def test_a_replay_is_recorded_with_who_tried_it(harbor: Harbor) -> None:
    session, result = verifies(harbor)
    harbor.notes.redeems(session, result)
    harbor.backend.calls("POST", redeem(session), json={"result": result})
    [(actor, address, detail)] = harbor.rows(
        sa.select(Event.actor, Event.address, Event.detail).where(Event.kind == "result:replayed")
    )
    assert actor == f"api_key:{harbor.backend.client_id}"
    assert address == "127.0.0.1"
    assert detail == {"jti": harbor.notes.checks(result)["jti"]}


def redeem(session: str) -> str:
    return f"/org/harbor/gateway-sessions/{session}/redeem"


@ONE_DATABASE
@pytest.mark.parametrize("way", ["json", "data"])
def test_a_backend_with_a_token_redeems_too(harbor: Harbor, way: str) -> None:
    session, result = verifies(harbor)
    sent: dict[str, Any] = {way: {"result": result}}
    assert harbor.backend.calls("POST", redeem(session), **sent).status == 200
    assert harbor.backend.calls("POST", redeem(session), **sent).status == 409


def test_of_many_who_redeem_at_once_one_succeeds(live_harbor: Harbor) -> None:
    session, result = verifies(live_harbor)
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda _: live_harbor.notes.redeems(session, result), range(32)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 31
    assert events(live_harbor, session).count("result:redeemed") == 1
    assert events(live_harbor, session).count("result:replayed") == 31


def test_another_application_can_t_redeem_it(harbor: Harbor) -> None:
    session, result = verifies(harbor)
    other = harbor.registers("Other")
    is_refused(other.redeems(session, result), 404, "not_found")
    own = other.opens(harbor.ada)["id"]
    is_refused(other.redeems(own, result), 422, "result_invalid", "result")
    stranger = harbor.registers("Stranger")
    stranger.client_id = harbor.notes.client_id
    is_refused(stranger.redeems(session, result), 401, "unauthorized")
    assert harbor.notes.redeems(session, result).status == 200


def test_a_result_belongs_to_its_own_session(harbor: Harbor) -> None:
    """The result of one user, pasted into the callback of another."""
    mine, result = verifies(harbor)
    yours, other_result = verifies(harbor)
    is_refused(harbor.notes.redeems(yours, result), 422, "result_invalid")
    is_refused(harbor.notes.redeems(mine, other_result), 422, "result_invalid")
    pending = harbor.notes.opens(harbor.ada)["id"]
    is_refused(harbor.notes.redeems(pending, result), 422, "result_invalid")
    assert harbor.notes.redeems(mine, result).json["claims"]["sid"] == mine
    assert harbor.notes.redeems(yours, other_result).json["claims"]["sid"] == yours


def test_it_can_be_redeemed_until_its_time_and_the_leeway_are_over(harbor: Harbor) -> None:
    (early, first), (late, second) = verifies(harbor), verifies(harbor)
    claims = harbor.notes.checks(first)
    assert claims["exp"] - claims["iat"] == 120
    harbor.clock.advance(120 + 59)
    assert harbor.notes.redeems(early, first).status == 200
    harbor.clock.advance(1)
    is_refused(harbor.notes.redeems(late, second), 422, "result_expired")
    is_refused(harbor.notes.redeems(early, first), 422, "result_expired")
    assert events(harbor, late) == ["result:issued"]


@ONE_DATABASE
def test_a_result_that_is_no_text_is_refused_by_name(harbor: Harbor) -> None:
    session = harbor.notes.opens(harbor.ada)["id"]
    odd: list[Any] = [None, [], ["x"], {"a": "b"}, 1, True]
    for result in odd:
        reply = harbor.backend.calls("POST", redeem(session), json={"result": result})
        is_refused(reply, 422, "invalid_request", "result")
    is_refused(harbor.notes.redeems(session, ""), 422, "result_invalid", "result")


# F43 and F44: forged tokens, at both doors that accept one


def published(harbor: Harbor, token: str) -> dict[str, Any]:
    kid = parts(token)[0]["kid"]
    keys = harbor.wire.request("GET", "/.well-known/jwks.json").json["keys"]
    return next(key for key in keys if key["kid"] == kid)


def bearer(harbor: Harbor, token: str) -> Reply:
    headers = {"Authorization": f"Bearer {token}"}
    return harbor.wire.request("GET", "/api/v2/organizations", headers=headers)


def is_forgery(reply: Reply, door: str) -> None:
    if door == "bearer":
        is_refused(reply, 401, "unauthorized")
    else:
        is_refused(reply, 422, "result_invalid", "result")


@pytest.fixture(params=["bearer", "redeem"])
def door(request: pytest.FixtureRequest, harbor: Harbor) -> tuple[str, str, Callable[[str], Reply]]:
    """One of the two doors: its name, a token that works there, and how to bring one."""
    if request.param == "bearer":
        return "bearer", harbor.backend.token, lambda token: bearer(harbor, token)
    session, result = verifies(harbor)
    return "redeem", result, lambda token: harbor.notes.redeems(session, token)


@ONE_DATABASE
def test_no_forged_token_opens_a_door(
    harbor: Harbor,
    door: tuple[str, str, Callable[[str], Reply]],
    subtests: pytest.Subtests,
) -> None:
    name, good, brings = door
    tried = 0
    with listening({"keys": [public_jwk(strangers()["ES256"], "stranger")]}) as (address, came):
        for forgery, token in forgeries(good, published(harbor, good), address):
            if name == "bearer" and ("\u00e9" in token or "\0" in token):
                continue  # no header carries it
            tried += 1
            with subtests.test(forgery):
                assert token != good
                is_forgery(brings(token), name)
    assert came == []
    assert tried > 200
    assert events(harbor, parts(good)[1].get("sid", "")) in ([], ["result:issued"])
    assert brings(good).status == 200


@ONE_DATABASE
@pytest.mark.parametrize("algorithm", ["RS256", "Ed25519"])
def test_nor_does_a_forged_result_under_another_algorithm(
    signing: Signing, algorithm: str, subtests: pytest.Subtests
) -> None:
    harbor = signing(algorithm)
    session, good = verifies(harbor)
    assert parts(good)[0]["alg"] == algorithm
    with listening({"keys": []}) as (address, came):
        for forgery, token in forgeries(good, published(harbor, good), address):
            with subtests.test(forgery):
                is_forgery(harbor.notes.redeems(session, token), "redeem")
    assert came == []
    assert harbor.notes.redeems(session, good).status == 200


@ONE_DATABASE
def test_what_only_we_could_sign_is_refused_if_its_header_says_more(
    harbor: Harbor,
    door: tuple[str, str, Callable[[str], Reply]],
    subtests: pytest.Subtests,
) -> None:
    """With our own signature, so that nothing but the header is wrong."""
    name, good, brings = door
    header, payload, _ = parts(good)
    key = our_key(harbor, KeyUse.ACCESS if name == "bearer" else KeyUse.RESULT)
    again = signed(header, payload, key)
    more: list[dict[str, Any]] = [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": ["b64"], "b64": True},
        {"crit": []},
        {"crit": "exp"},
        {"crit": None},
        {"typ": "at+jwt"},
        {"typ": ""},
        {"typ": None},
        {"typ": RESULT_TYP if name == "bearer" else ACCESS_TOKEN_TYP},
        {"typ": header["typ"].swapcase()},
        {"alg": "ES384"},
        {"alg": "RS512"},
        {"alg": "none"},
        {"kid": "stranger"},
    ]
    for changes in more:
        with subtests.test(str(changes)):
            token = signed({**header, **changes}, payload, key, header["alg"])
            is_forgery(brings(token), name)
    without = {field: value for field, value in header.items() if field != "typ"}
    is_forgery(brings(signed(without, payload, key)), name)
    assert brings(again).status == 200


@ONE_DATABASE
def test_what_only_we_could_sign_is_refused_for_another_issuer_or_audience(
    harbor: Harbor, subtests: pytest.Subtests
) -> None:
    """F42: two deployments may share keys, by a copied database; they share no trust."""
    key = our_key(harbor, KeyUse.ACCESS)
    header, payload, _ = parts(harbor.backend.token)
    for changes in (
        {"iss": "https://other.example"},
        {"aud": "https://other.example"},
        {"aud": harbor.notes.client_id},
        {"type": "user"},
        {"client_id": str(uuid.uuid4())},
    ):
        with subtests.test(f"bearer {changes}"):
            is_forgery(bearer(harbor, signed(header, {**payload, **changes}, key)), "bearer")
    session, result = verifies(harbor)
    key = our_key(harbor, KeyUse.RESULT)
    header, payload, _ = parts(result)
    swapped: list[dict[str, Any]] = [
        {"iss": "https://other.example"},
        {"iss": harbor.base_url + "/"},
        {"aud": harbor.registers("Other").client_id},
        {"aud": [harbor.notes.client_id]},
        {"sid": "gateway-session_3F5ZqKwR3mSx0a8Yc2VbN1TgLhP"},
    ]
    for changes in swapped:
        with subtests.test(f"redeem {changes}"):
            token = signed(header, {**payload, **changes}, key)
            is_forgery(harbor.notes.redeems(session, token), "redeem")
    assert harbor.notes.redeems(session, result).status == 200


@ONE_DATABASE
def test_an_access_token_is_no_result_and_a_result_is_no_access_token(harbor: Harbor) -> None:
    session, result = verifies(harbor)
    is_forgery(harbor.notes.redeems(session, harbor.backend.token), "redeem")
    is_forgery(bearer(harbor, result), "bearer")
    access_header, access, _ = parts(harbor.backend.token)
    result_header, claims, _ = parts(result)
    as_access = signed(access_header, claims, our_key(harbor, KeyUse.ACCESS))
    is_forgery(bearer(harbor, as_access), "bearer")
    as_result = signed(result_header, access, our_key(harbor, KeyUse.RESULT))
    is_forgery(harbor.notes.redeems(session, as_result), "redeem")


@ONE_DATABASE
@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "Ed25519"])
def test_a_key_of_one_use_vouches_for_nothing_of_the_other(
    signing: Signing, algorithm: str
) -> None:
    """All is right about these tokens, and we signed them; only the key was made for others."""
    harbor = signing(algorithm)
    session, result = verifies(harbor)
    for use in KeyUse:
        signer = our_jwk(harbor, use)
        named = {name: signer.as_dict(private=False)[name] for name in ("alg", "kid")}
        header, payload, _ = parts(harbor.backend.token)
        token = signed({**header, **named}, payload, signer.private_key)
        if use is KeyUse.ACCESS:
            assert bearer(harbor, token).status == 200
        else:
            is_forgery(bearer(harbor, token), "bearer")
        header, payload, _ = parts(result)
        token = signed({**header, **named}, payload, signer.private_key)
        if use is KeyUse.RESULT:
            assert harbor.notes.redeems(session, token).status == 200
        else:
            is_forgery(harbor.notes.redeems(session, token), "redeem")


# The statement


@ONE_DATABASE
def test_a_result_names_nobody_in_person(harbor: Harbor) -> None:
    person = {
        "email": "marie.curie@harbor.example",
        "phone_number": "+33612345678",
        "external_id": "crm-4711",
        "profile": {"given_name": "Marie", "family_name": "Curie", "nickname": "Manya"},
    }
    user = harbor.backend.calls("POST", "/org/harbor/users", json=person).json["id"]
    _, result = verifies(harbor, user, state="secret-state")
    _, payload, _ = parts(result)
    assert payload["sub"] == user
    told = json.dumps(payload).lower()
    for word in ("marie", "curie", "manya", "harbor.example", "612345678", "crm-", "secret-state"):
        assert word not in told
    assert set(payload) == {
        *("iss", "aud", "sub", "exp", "iat", "jti", "sid", "org", "env"),
        *("auth_time", "amr", "acr", "status", "mfa_method"),
    }


@ONE_DATABASE
def test_the_nonce_stands_in_it_only_when_one_was_given(harbor: Harbor) -> None:
    assert "nonce" not in harbor.notes.checks(verifies(harbor)[1])
    assert harbor.notes.checks(verifies(harbor, nonce="")[1])["nonce"] == ""
    nonce = "é" * 255
    assert harbor.notes.checks(verifies(harbor, nonce=nonce)[1])["nonce"] == nonce


@ONE_DATABASE
def test_the_header_says_its_kind_and_its_key_and_no_more(harbor: Harbor) -> None:
    header, _, signature = parts(verifies(harbor)[1])
    assert set(header) == {"alg", "typ", "kid"}
    assert header["alg"] == "ES256"
    assert header["typ"] == "gatehouse-result+jwt"
    assert len(signature) == 64
    header, _, signature = parts(harbor.backend.token)
    assert set(header) == {"alg", "typ", "kid", "iss"}
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")
    assert header["iss"] == harbor.base_url
    assert len(signature) == 256


@pytest.mark.parametrize("algorithm", ["RS256", "Ed25519"])
def test_other_algorithms_sign_by_setting(signing: Signing, algorithm: str) -> None:
    harbor = signing(algorithm)
    session, result = verifies(harbor, nonce="n")
    assert parts(result)[0]["alg"] == algorithm
    assert harbor.notes.checks(result)["nonce"] == "n"
    assert parts(harbor.backend.token)[0]["alg"] == "RS256"
    keys = key_set(harbor)
    kty = {"RS256": "RSA", "Ed25519": "OKP"}[algorithm]
    pairs = Counter((key["alg"], key["kty"]) for key in keys)
    assert pairs == Counter({(algorithm, kty): 2}) + Counter({("RS256", "RSA"): 4})
    is_public(keys)
    assert harbor.notes.redeems(session, result).status == 200
    assert bearer(harbor, harbor.backend.token).status == 200


def test_a_change_of_algorithm_comes_with_the_next_keys(harbor: Harbor) -> None:
    """The key that is next was made before the change; what the old ones signed stays good."""
    session, result = verifies(harbor)
    changed = harbor.services.config.model_copy(update={"signing_algorithm": "Ed25519"})
    wired = wire(changed, harbor.clock)
    algorithms = []
    for _ in range(3):
        with wired.database.writing() as tx:
            algorithms.append(
                wired.signing_keys.rotate(tx, OPERATOR, at_once=True).active.algorithm
            )
    wired.database.engine.dispose()
    assert algorithms == ["ES256", "Ed25519", "Ed25519"]
    assert {key["alg"] for key in key_set(harbor)} == {"ES256", "Ed25519", "RS256"}
    access = [key for key in key_set(harbor) if key["kid"] in kids(harbor, KeyUse.ACCESS)]
    assert {key["alg"] for key in access} == {"RS256"}
    assert harbor.notes.checks(result)
    assert harbor.notes.redeems(session, result).status == 200


# Keys


def is_public(keys: list[dict[str, Any]]) -> None:
    private = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
    for key in keys:
        assert not private & set(key)
        assert key["use"] == "sig"
        assert {"kid", "kty", "alg"} <= set(key)


def key_set(harbor: Harbor) -> list[dict[str, Any]]:
    reply = harbor.wire.request("GET", "/.well-known/jwks.json")
    assert reply.status == 200
    return list(reply.json["keys"])


def kids(harbor: Harbor, use: KeyUse) -> list[str]:
    """The keys of one use that are published, oldest first."""
    with harbor.services.database.reading() as tx:
        return [key["kid"] for key in harbor.services.signing_keys.published(tx, use)]


def rotate(harbor: Harbor) -> str:
    with harbor.services.database.writing() as tx:
        return harbor.services.signing_keys.rotate(tx, OPERATOR).active.kid


@ONE_DATABASE
def test_the_key_set_is_public_short_lived_and_open_to_every_origin(harbor: Harbor) -> None:
    reply = harbor.wire.request("GET", "/.well-known/jwks.json")
    assert reply.headers["cache-control"] == "public, max-age=60"
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["content-type"] == "application/json"
    assert set(reply.json) == {"keys"}
    keys = reply.json["keys"]
    is_public(keys)
    assert len(keys) == len({key["kid"] for key in keys}) == 2 * len(COMMON)
    assert Counter(key["alg"] for key in keys) == {"ES256": 2, "RS256": 4}
    shapes = {"ES256": {"crv", "x", "y"}, "RS256": {"n", "e"}}
    for key in keys:
        assert set(key) == {"kty", "use", "alg", "kid"} | shapes[key["alg"]]
        assert KeySet.import_key_set({"keys": [key]}).keys[0].thumbprint() == key["kid"]


def test_a_key_is_published_before_it_signs_and_stays_until_nothing_of_it_is_left(
    harbor: Harbor,
) -> None:
    session, result = verifies(harbor)
    token = harbor.backend.token
    first = {KeyUse.RESULT: parts(result)[0]["kid"], KeyUse.ACCESS: parts(token)[0]["kid"]}
    following = {}
    for use in first:
        [following[use]] = set(kids(harbor, use)) - {first[use]}
    harbor.clock.advance(61)
    assert rotate(harbor) == following[KeyUse.RESULT]
    assert len(key_set(harbor)) == 3 * len(COMMON)
    for use in first:
        assert {first[use], following[use]} < set(kids(harbor, use))
    # What the old keys signed is good, and what is signed now comes from those that were next.
    assert harbor.notes.checks(result)
    assert harbor.notes.redeems(session, result).status == 200
    assert bearer(harbor, token).status == 200
    assert parts(verifies(harbor)[1])[0]["kid"] == following[KeyUse.RESULT]
    newer = keep_secret(harbor.backend.asks_token().json["access_token"])
    assert parts(newer)[0]["kid"] == following[KeyUse.ACCESS]
    harbor.clock.advance(3600 + 59)
    assert set(first.values()) <= {key["kid"] for key in key_set(harbor)}
    harbor.clock.advance(1)
    assert not set(first.values()) & {key["kid"] for key in key_set(harbor)}
    assert len(key_set(harbor)) == 2 * len(COMMON)


def test_every_rotation_is_recorded_with_its_key_and_use(harbor: Harbor) -> None:
    harbor.clock.advance(61)
    rotate(harbor)
    told = harbor.rows(sa.select(Event.detail).where(Event.kind == "signing_key:rotated"))
    active = sa.select(SigningKey.use, SigningKey.kid).where(SigningKey.state == "active")
    found = {use.value: kid for use, kid in harbor.rows(active)}
    rotated = {detail["use"]: detail["kid"] for (detail,) in told}
    assert rotated == {use.value: found[use.value] for use in COMMON}
    assert len(told) == len(COMMON)


def test_two_first_starts_make_one_set_of_keys(config: Config, clock: FixedClock) -> None:
    wired = wire(config, clock)
    with wired.database.writing() as tx:
        tx.execute(sa.delete(SigningKey))
    made: list[bool] = []

    def second() -> None:
        with wired.database.writing() as tx:
            made.append(wired.signing_keys.ensure(tx))

    thread = Thread(target=second)
    with wired.database.writing() as tx:
        assert wired.signing_keys.ensure(tx) is True
        thread.start()
        thread.join(timeout=0.3)  # it waits for us, one way or the other
    thread.join()
    with wired.database.reading() as tx:
        assert [len(wired.signing_keys.published(tx, use)) for use in KeyUse] == [2] * len(KeyUse)
    wired.database.engine.dispose()
    assert made == [False]


@ONE_DATABASE
def test_a_key_that_nobody_can_have_seen_yet_does_not_sign(harbor: Harbor) -> None:
    harbor.clock.advance(59)
    with pytest.raises(Refusal) as refused:
        rotate(harbor)
    assert refused.value.code == "next_key_too_young"
    harbor.clock.advance(1)
    rotate(harbor)
    with pytest.raises(Refusal):
        rotate(harbor)
    with harbor.services.database.writing() as tx:
        harbor.services.signing_keys.rotate(tx, OPERATOR, at_once=True)


def test_a_retired_key_vouches_for_nothing_after_its_time(harbor: Harbor) -> None:
    """Not even for what it signs itself, should somebody have kept a copy."""
    session, result = verifies(harbor)
    later = 10**10
    header, payload, _ = parts(result)
    long_result = signed(header, {**payload, "exp": later}, our_key(harbor, KeyUse.RESULT))
    header, payload, _ = parts(harbor.backend.token)
    long_token = signed(header, {**payload, "exp": later}, our_key(harbor, KeyUse.ACCESS))
    harbor.clock.advance(61)
    rotate(harbor)
    harbor.clock.advance(3600 + 59)
    assert bearer(harbor, long_token).status == 200
    harbor.clock.advance(1)
    is_forgery(bearer(harbor, long_token), "bearer")
    is_forgery(harbor.notes.redeems(session, long_result), "redeem")


def test_a_private_key_is_sealed_and_gone_once_it_is_retired(harbor: Harbor) -> None:
    harbor.clock.advance(61)
    signers = [json.loads(jose.export_private(our_jwk(harbor, use))) for use in COMMON]
    retired = {numbers["kid"] for numbers in signers}
    rotate(harbor)
    for kid, private, public in harbor.rows(
        sa.select(SigningKey.kid, SigningKey.private, SigningKey.public)
    ):
        assert not any(numbers["d"] in private for numbers in signers)
        assert "d" not in public
        assert (private == "") is (kid in retired)


# One function issues results


def test_no_result_without_an_accepted_verification_of_this_very_session(harbor: Harbor) -> None:
    phone = harbor.enrolls_on_the_pages()
    session = harbor.notes.opens(harbor.ada)["id"]
    browser = harbor.browser()
    browser.goes_to(harbor.notes.opens(harbor.ada)["url"])
    wrong = f"{(int(harbor.code(phone)) + 500_000) % 1_000_000:06d}"
    browser.types(wrong)
    tokens = harbor.services.tokens
    with harbor.services.database.writing() as tx:
        found = harbor.services.organizations.find(tx, Environment.SANDBOX, "harbor")
        target = harbor.services.gateway_sessions.find(tx, found, session)
        [accepted] = tx.scalars(sa.select(Verification).where(Verification.accepted))
        [refused] = tx.scalars(sa.select(Verification).where(sa.not_(Verification.accepted)))
        with pytest.raises(ValueError, match="accepted verification of its own session"):
            tokens.issue_result(tx, OPERATOR, target, accepted)
        own = harbor.services.gateway_sessions.find(tx, found, str(refused.gateway_session_id))
        with pytest.raises(ValueError, match="accepted verification of its own session"):
            tokens.issue_result(tx, OPERATOR, own, refused)
    assert harbor.rows(sa.select(sa.func.count()).select_from(Result)) == [(1,)]


def test_no_session_has_two_results(harbor: Harbor) -> None:
    session, _ = verifies(harbor)
    with pytest.raises(IntegrityError), harbor.services.database.writing() as tx:
        found = harbor.services.organizations.find(tx, Environment.SANDBOX, "harbor")
        target = harbor.services.gateway_sessions.find(tx, found, session)
        [accepted] = tx.scalars(sa.select(Verification).where(Verification.accepted))
        harbor.services.tokens.issue_result(tx, OPERATOR, target, accepted)
    statement = sa.select(sa.func.count()).select_from(Result)
    assert harbor.rows(statement.where(Result.gateway_session_id == session)) == [(1,)]


def test_a_status_that_was_set_by_hand_yields_no_result(harbor: Harbor) -> None:
    """F25: the row says verified, but nothing was."""
    session = harbor.notes.opens(harbor.ada)
    browser = harbor.browser()
    browser.goes_to(session["url"])
    with harbor.services.database.writing() as tx:
        tx.execute(sa.update(GatewaySession).values(status="verified"))
    browser.goes_to(browser.address("return"))
    assert "result" not in browser.back
    assert browser.back["error"] == "access_denied"
    forged = put({"alg": "none"}, {"sid": session["id"]})
    is_forgery(harbor.notes.redeems(session["id"], keep_secret(forged)), "redeem")
