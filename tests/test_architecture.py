"""What the design promises of the code as a whole; each failure names what is missing."""

from __future__ import annotations

import ast
import re
import uuid
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment as Jinja
from jinja2 import nodes

from app.factors import FACTORS
from app.services.assurance import CLASSES, Facts, reached
from app.services.audit import EventKind
from tests.actors import Backend, keep_secret
from tests.conftest import ONE_DATABASE, Harbor
from tests.entra import connected

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "app").rglob("*.py"))
ENGLISH = {ROOT / "templates/reference", ROOT / "templates/admin"}
"""For developers and administrators: in English alone, as the API's own words are."""
TEMPLATES = sorted(
    path
    for path in (ROOT / "templates").rglob("*.html")
    if not ENGLISH & {*path.parents} and path.name != "admin.html"
)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Adding a factor, an event


PAGES_OF_A_FACTOR = ("enroll", "challenge")


def test_every_factor_has_its_two_templates_and_its_test() -> None:
    wanted = [
        path
        for kind, factor in FACTORS.items()
        for path in (
            f"tests/factors/test_{kind}.py",
            *(
                f"templates/factors/{kind}/{page}.html"
                for page in PAGES_OF_A_FACTOR
                if factor.hosted
            ),
        )
    ]
    assert [path for path in wanted if not (ROOT / path).is_file()] == []


def test_every_folder_of_templates_belongs_to_a_factor() -> None:
    folders = {path.name for path in (ROOT / "templates/factors").iterdir() if path.is_dir()}
    assert folders == {kind for kind, factor in FACTORS.items() if factor.hosted}


def test_the_registry_knows_each_factor_by_its_own_name() -> None:
    for kind, factor in FACTORS.items():
        assert factor.kind == kind
        assert re.fullmatch(r"[a-z_]+", kind)


def test_what_every_factor_comes_to_is_written_down() -> None:
    for kind in FACTORS:
        told = reached(Facts(kind=kind))
        assert told.method == kind
        assert told.amr
        assert told.acr in CLASSES


def test_every_kind_of_event_is_recorded_somewhere() -> None:
    code = "\n".join(path.read_text() for path in MODULES if path.name != "audit.py")
    unused = [kind.name for kind in EventKind if not re.search(rf"EventKind\.{kind.name}\b", code)]
    assert unused == []


def test_every_kind_of_event_reads_subject_and_action() -> None:
    for kind in EventKind:
        assert re.fullmatch(r"[a-z_]+:[a-z_]+", kind.value), kind
    assert len({kind.value for kind in EventKind}) == len(EventKind)


# Sizes

LONG_MODULES = {
    "app/services/enrollment.py": "binding an authenticator, from its ground to its confirmation",
    "app/services/headless.py": "the guides' calls, with all that each may answer",
    "app/services/gateway_sessions.py": "the whole life of an ask, which every door goes through",
    "app/services/visits.py": "each step of a visit, from the first page to the last",
    "app/wiring.py": "each service once, so it grows with them",
    "app/services/verification.py": "one attempt from charge to verdict, for codes of every kind",
}
LONG_FUNCTIONS = {
    "app/services/gateway_sessions.py: _begin": "the columns of an ask, one a line",
    "app/services/tokens.py: issue_result": "the claims, one a line",
    "app/wiring.py: wire": "each service once, after those that it uses",
}


def test_no_module_is_longer_than_300_lines() -> None:
    long = {named(path) for path in MODULES if len(path.read_text().splitlines()) > 300}
    assert long == set(LONG_MODULES)


def functions() -> Iterator[tuple[str, int]]:
    """Yield each function, and the lines of its body below the docstring."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if body:
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
                yield f"{named(path)}: {node.name}", lines


def test_no_function_is_longer_than_40_lines() -> None:
    assert {name for name, lines in functions() if lines > 40} == set(LONG_FUNCTIONS)


# Every text that a user reads goes through the catalogs

TRANSLATE = {"_", "gettext", "ngettext", "pgettext", "npgettext"}
READ_ALOUD = {"aria-label", "aria-description", "placeholder", "title", "alt", "data-done"}
PRODUCT = "Gatehouse"
"""The same in every language."""
JINJA = Jinja(autoescape=True, trim_blocks=True, lstrip_blocks=True)


class Texts(HTMLParser):
    """Collects what a person sees or hears of a template's own HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        if self.rawdata and self.cdata_elem in {"script", "style"}:
            return
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        spoken = READ_ALOUD | ({"value"} if ("type", "submit") in attrs else set())
        self.found += [value for name, value in attrs if name in spoken and value]


def skeleton(source: str) -> str:
    """Return a template's HTML with everything between its marks left out."""
    wanted, depth = [], 0
    for _, kind, value in JINJA.lex(source):
        if kind in {"variable_begin", "block_begin", "comment_begin", "raw_begin"}:
            depth += 1
        elif kind in {"variable_end", "block_end", "comment_end", "raw_end"}:
            depth -= 1
        elif kind == "data" and depth == 0:
            wanted.append(value)
    return "".join(wanted)


def bare_words(texts: list[str]) -> list[str]:
    told = (" ".join(text.replace(PRODUCT, "").split()) for text in texts)
    return [text for text in told if re.search(r"[^\W\d_]", text)]


def constants(source: str) -> Iterator[str]:
    """Yield the texts inside a template's marks that no catalog translates."""

    def walk(node: nodes.Node) -> Iterator[str]:
        if isinstance(node, nodes.Call) and getattr(node.node, "name", None) in TRANSLATE:
            return
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            yield node.value
        for child in node.iter_child_nodes():
            yield from walk(child)

    yield from walk(JINJA.parse(source))


SENTENCE = re.compile(r"[^\W\d_]{2,} [^\W\d_]{2,}|[A-Z][a-z]+( |$)")
"""Two words, or one with a capital letter: more than the name of a class or an icon."""


@pytest.mark.parametrize("path", TEMPLATES, ids=named)
def test_a_template_holds_no_text_of_its_own(path: Path) -> None:
    source = path.read_text()
    assert bare_words(Texts(skeleton(source)).found) == []
    inside = [text for text in constants(source) if not text.lstrip().startswith("<")]
    assert [text for text in inside if SENTENCE.search(text)] == []


def test_the_look_at_templates_would_find_a_text() -> None:
    for source in (
        "<p>Hello</p>",
        "<p>{% if x %}Hello{% endif %}</p>",
        "<p>{{ _('Hello') }} world</p>",
        '<svg aria-label="A code"></svg>',
        '<input placeholder="{{ x }} code">',
        '<input type="submit" value="Go">',
        "<title>Hello</title>",
    ):
        assert bare_words(Texts(skeleton(source)).found), source
    assert bare_words(Texts(skeleton("<p class=x>Gatehouse {# Hello #}&middot; 1</p>")).found) == []
    for source in (
        "{{ 'Hello' }}",
        "{% set x = ('tick', 'Go back') %}",
        "{{ x or 'no such page' }}",
    ):
        assert any(SENTENCE.search(text) for text in constants(source)), source
    for source in ("{{ _('Hello you') }}", "{{ icon('tick') }}", "{{ 'arch-done' if x }}"):
        assert not any(SENTENCE.search(text) for text in constants(source)), source


PAGES = [*(ROOT / "app/web/gateway").glob("*.py"), ROOT / "app/web/support/sentences.py"]


@pytest.mark.parametrize("path", sorted(PAGES), ids=named)
def test_a_page_s_code_holds_no_text_but_through_the_catalogs(path: Path) -> None:
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)  # a docstring
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) in TRANSLATE:
            skipped |= set(ast.walk(node))
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in skipped
    ]
    assert [text for text in texts if re.search(r"[a-z]{2,} [a-z]{2,}", text)] == []


# Who may call what

ANYONE, VISIT = "anyone", "the browser that a visit is bound to"
BEARER, EITHER = "an API key's bearer token", "a bearer token, or an application's own secret"
V1_KEY = "the secret of an API key for v1"
APPLICATION = "an application's own id and secret"
LINK = "whoever reads the user's mailbox"
CLIENT = "an OIDC client that proves itself, or the bearer of its access token"
SIGNED = "a client, by what it signs with its secret"
ADMINISTRATOR = "an administrator; tests/web/admin/test_walk.py says which"
CALLERS = {
    "static": ANYONE,
    "health.alive": ANYONE,
    "health.ready": ANYONE,
    "provider_reports.report": ANYONE,  # who proves itself by the vendor's signature
    "well_known.jwks": ANYONE,
    "entra.metadata": ANYONE,
    "entra.jwks": ANYONE,
    "oidc_discovery.show": ANYONE,
    "oidc_discovery.oauth": ANYONE,
    "oidc.authorize": ANYONE,  # tests/web/oidc says what of its requests is refused
    "oidc.name": ANYONE,  # in the browser that a request is bound to
    "oidc.save_name": ANYONE,
    "oidc_end_session.end_session": ANYONE,
    "oidc_back_channel.push": CLIENT,
    "oidc_back_channel.token": CLIENT,
    "oidc_resources.userinfo": CLIENT,
    "oidc_resources.introspect": CLIENT,
    "oidc_resources.revoke": CLIENT,
    "entra.authorize": ANYONE,  # who brings a hint that Microsoft signed
    "brand.sheet": ANYONE,  # who knows the digest of what is in it
    "brand.logo": ANYONE,
    "reference.openapi": ANYONE,
    "reference.page": ANYONE,
    "token.create": ANYONE,  # it is where credentials are shown
    "token.create_v2": ANYONE,
    "api_keys.create": BEARER,
    "api_keys.index": BEARER,
    "api_keys.show": BEARER,
    "api_keys.replace": BEARER,
    "api_keys.block": BEARER,
    "organizations.create": BEARER,
    "organizations.index": BEARER,
    "organizations.show": BEARER,
    "organizations.update": BEARER,
    "organizations.delete": BEARER,
    "applications.create": BEARER,
    "applications.index": BEARER,
    "applications.show": BEARER,
    "applications.update": BEARER,
    "applications.rotate": BEARER,
    "applications.delete": BEARER,
    "users.create": BEARER,
    "users.index": BEARER,
    "users.show": BEARER,
    "users.update": BEARER,
    "users.delete": BEARER,
    "imports.create": BEARER,
    "authenticators.index": BEARER,
    "authenticators.remove": BEARER,
    "authenticators.recovery_codes": BEARER,
    "authenticators.unlock": BEARER,
    "authenticators.approve": BEARER,
    "authenticators.events": BEARER,
    "messages.index": BEARER,
    "totp_connection.show": BEARER,
    "totp_connection.update": BEARER,
    "totp_connection.patch": BEARER,
    "totp_enrollments.create": BEARER,
    "totp_enrollments.create_for": BEARER,
    "totp_enrollments.confirm": BEARER,
    "totp_challenges.create": BEARER,
    "totp_challenges.validate": BEARER,
    "passkeys.register": BEARER,
    "passkeys.finish": BEARER,
    "passkeys.ask": BEARER,
    "passkeys.verify": BEARER,
    "magic_link_challenges.create": BEARER,
    "magic_link_challenges.exchange": APPLICATION,
    "webhooks.create": BEARER,
    "webhooks.index": BEARER,
    "webhooks.show": BEARER,
    "webhooks.replace": BEARER,
    "webhooks.switch": BEARER,
    "webhooks.delete": BEARER,
    "gateway_sessions.create": EITHER,
    "gateway_sessions.show": EITHER,
    "gateway_sessions.redeem": EITHER,
    "v1_hello.show": V1_KEY,
    "v1_mfa.create": V1_KEY,
    "v1_mfa.verify": V1_KEY,
    "v1_mfa.backup": V1_KEY,
    "gateway.start": ANYONE,  # it binds the first browser that brings the token
    "gateway.resume": VISIT,
    "gateway.set_up": VISIT,
    "gateway.begin": VISIT,
    "gateway.number": VISIT,
    "gateway.begin_codes": VISIT,
    "gateway.put_off": VISIT,
    "gateway.enroll": VISIT,
    "gateway.confirm": VISIT,
    "gateway.send_first": VISIT,
    "gateway.first_progress": VISIT,
    "gateway.codes": VISIT,
    "gateway.reissue": VISIT,
    "gateway.download": VISIT,
    "gateway.saved": VISIT,
    "gateway.verify": VISIT,
    "gateway.passkey_options": VISIT,
    "gateway.losses": VISIT,
    "gateway.tell_losses": VISIT,
    "gateway.attempt": VISIT,
    "gateway.send": VISIT,
    "gateway.progress": VISIT,
    "gateway.choose": VISIT,
    "gateway.recover": VISIT,
    "gateway.attempt_recovery": VISIT,
    "gateway.link": VISIT,
    "gateway.answer_link": VISIT,
    "gateway.bypass": VISIT,
    "gateway.attempt_bypass": VISIT,
    "enrollment_invitation.landing": LINK,
    "enrollment_invitation.follow": LINK,
    "freeze.landing": LINK,
    "freeze.follow": LINK,
    "magic_link.landing": LINK,
    "magic_link.follow": LINK,
    "duo.health_check": SIGNED,
    "duo.authorize": SIGNED,
    "duo.token": SIGNED,
    "cryptr.arrive": ANYONE,  # nothing in the address is believed
    "cryptr.identify": ANYONE,
    "cryptr.wait": ANYONE,  # its own cookie opens it
    "cryptr.answer": ANYONE,
    "cryptr_link.landing": LINK,
    "cryptr_link.follow": LINK,
    "cryptr_tokens.exchange": ANYONE,  # a public client: the code and its verifier count
    "cryptr_tokens.refresh": ANYONE,
    "cryptr_tokens.revoke": ANYONE,
    "cryptr_tokens.preflight": ANYONE,
    "cryptr_tokens.keys": ANYONE,
    "gateway.due": VISIT,
    "gateway.unmet": VISIT,
    "gateway.cancel": VISIT,
    "gateway.ended": VISIT,
    "gateway.blocked": VISIT,
    "gateway.leave": VISIT,
    "gateway.account": VISIT,
    "gateway.finish_account": VISIT,
    "gateway.leave_adding": VISIT,
    "gateway.add": VISIT,
    "gateway.ask_for_codes": VISIT,
    "gateway.make_codes": VISIT,
    "gateway.ask_to_forget_all": VISIT,
    "gateway.forget_all": VISIT,
    "gateway.ask_to_forget": VISIT,
    "gateway.forget": VISIT,
    "gateway.ask_name": VISIT,
    "gateway.rename": VISIT,
    "gateway.ask_to_replace": VISIT,
    "gateway.replace": VISIT,
    "gateway.ask_to_remove": VISIT,
    "gateway.remove": VISIT,
}


def caller_of(endpoint: str) -> str:
    return ADMINISTRATOR if endpoint.startswith("admin") else CALLERS[endpoint]


def routes(harbor: Harbor, *callers: str) -> Iterator[tuple[str, str, str]]:
    """Yield (endpoint, method, path) of every route for these callers, with ids that exist."""
    session = harbor.notes.opens(harbor.ada)["id"]
    values = {
        "filename": "css/gatehouse.css",
        "organization_id": str(harbor.organization.id),
        "digest": "0" * 32,
        "domain": "harbor",
        "client_id": harbor.notes.client_id,
        "api_keys.client_id": harbor.backend.client_id,
        "id_or_email": harbor.ada,
        "user_id": harbor.ada,
        "session_id": session,
        "visit_id": session.removeprefix("gateway-session_"),
        "authenticator_id": str(uuid.uuid4()),
        "account_id": str(uuid.uuid4()),
        "message_id": str(uuid.uuid4()),
        "webhook_id": "webhook_3MjQgHfAdCB0awjOgYyOstI5r1V",
        "kind": "sms",
        "browser_id": str(uuid.uuid4()),
        "account_domain": "harbor-account",
        "organization_domain": "harbor",
        "arrival_id": "none",
        "state": "some-state",
        "connection_id": connected(harbor).connection_id,
        "request_id": str(uuid.uuid4()),
    }
    app = harbor.wire.client.application  # type: ignore[attr-defined]
    for rule in app.url_map.iter_rules():
        if caller_of(rule.endpoint) in callers:
            path = rule.rule
            for name in rule.arguments:
                own = values.get(f"{rule.endpoint.partition('.')[0]}.{name}")
                path = re.sub(rf"<(\w+:)?{name}>", own or values[name], path)
            for method in rule.methods - {"HEAD", "OPTIONS"}:
                yield rule.endpoint, method, path


@ONE_DATABASE
def test_every_route_says_who_may_call_it(harbor: Harbor) -> None:
    app = harbor.wire.client.application  # type: ignore[attr-defined]
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert {one for one in endpoints if not one.startswith("admin")} == set(CALLERS)


@ONE_DATABASE
def test_a_call_of_the_api_without_credentials_is_401(harbor: Harbor) -> None:
    """F26: no side door; whatever is wrong with the credentials, and before anything is read."""
    session, application, key = harbor.notes.opens(harbor.ada), harbor.notes, harbor.backend
    wrong = [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": f"Bearer {application.client_secret}"},
        {"Authorization": f"Bearer {key.client_secret}"},
        {"Authorization": "Basic Og=="},
        {"Authorization": "Basic !"},
        {"Cookie": f"token={key.token}; access_token={key.token}"},
        {"X-Api-Key": key.client_secret},
    ]
    tried = list(routes(harbor, BEARER, EITHER, APPLICATION))
    assert len(tried) > 30
    for endpoint, method, path in tried:
        for headers in wrong:
            reply = harbor.wire.request(method, path, headers=headers)
            assert reply.status == 401, (endpoint, headers)
            assert reply.error == "unauthorized"
            assert "www-authenticate" in reply.headers
    assert harbor.notes.looks_at(session["id"]).json["status"] == "pending"


@ONE_DATABASE
def test_an_endpoint_of_clients_is_closed_to_all_others(harbor: Harbor) -> None:
    tried = list(routes(harbor, CLIENT))
    assert len(tried) > 4
    bearer = {"Authorization": f"Bearer {harbor.backend.token}"}
    for endpoint, method, path in tried:
        for headers in ({}, harbor.notes.basic(), bearer, {"Authorization": "Basic !"}):
            reply = harbor.wire.request(method, path, headers=headers)
            assert reply.status == 401, (endpoint, headers)
            assert reply.json["error"] in {"invalid_client", "invalid_token"}
            assert "www-authenticate" in reply.headers


@ONE_DATABASE
def test_an_application_s_secret_opens_only_what_the_table_says(harbor: Harbor) -> None:
    for endpoint, method, path in routes(harbor, BEARER):
        reply = harbor.wire.request(method, path, headers=harbor.notes.basic())
        assert (reply.status, reply.error) == (403, "forbidden"), endpoint
    for endpoint, method, path in routes(harbor, EITHER, APPLICATION):
        reply = harbor.wire.request(method, path, headers=harbor.notes.basic())
        assert reply.status in {200, 422}, endpoint


OF_A_KEY = {
    f"{noun}.{act}"
    for noun in ("api_keys", "applications", "webhooks")
    for act in ("create", "index")
}
"""Calls of each key on its own, whatever others there are."""


@ONE_DATABASE
def test_to_the_key_of_another_organization_all_is_unknown(harbor: Harbor) -> None:
    """F82: what is there is told no differently from what is not."""
    harbor.backend.calls("POST", "/organizations", json={"name": "Pier"})
    made = harbor.backend.calls("POST", "/api-keys", json={"name": "Pier", "organization": "pier"})
    keep_secret(made.json["client_secret"])
    pier = Backend(harbor.wire, made.json["client_id"], made.json["client_secret"])
    ask = {
        "org_domain": "harbor",
        "user_email": "ada@harbor.example",
        "redirect_uri": harbor.notes.redirect_uri,
    }
    for endpoint, method, path in routes(harbor, BEARER, EITHER):
        sent = {} if method == "GET" else {"json": ask}
        reply = pier.calls(method, path.removeprefix("/api/v2"), **sent)
        if endpoint.startswith("organizations."):
            assert (reply.status, reply.error) == (403, "forbidden"), endpoint
        elif endpoint in OF_A_KEY:
            assert reply.status in {200, 422}, endpoint
            assert harbor.notes.client_id not in reply.text
            assert harbor.backend.client_id not in reply.text
        else:
            assert (reply.status, reply.error) == (404, "not_found"), (endpoint, method)


@ONE_DATABASE
def test_a_page_of_a_visit_opens_in_no_other_browser(harbor: Harbor) -> None:
    """F26 and F29: with a good form token of its own, but not with the visit's cookie."""
    stranger = harbor.visits(harbor.person("bo@harbor.example"))
    stranger.sets_up()
    tried = list(routes(harbor, VISIT))
    assert len(tried) > 10
    for endpoint, method, path in tried:
        form = {"csrf_token": stranger.form_token, "code": "000000", "kind": "totp"}
        sent = {"data": form} if method == "POST" else {}
        reply = harbor.wire.request(method, path, cookies=dict(stranger.cookies), **sent)
        assert reply.status == 403, endpoint
        assert "otpauth" not in reply.text
        without = harbor.wire.request(method, path, **sent)
        assert without.status == (400 if method == "POST" else 403), endpoint


@ONE_DATABASE
def test_what_anyone_may_call_tells_nothing_of_anybody(harbor: Harbor) -> None:
    for endpoint, method, path in routes(harbor, ANYONE):
        reply = harbor.wire.request(method, path)
        if endpoint in {"cryptr.wait", "cryptr.answer"}:
            assert reply.status in {400, 403}, endpoint  # no cookie, no page; no token, no form
            continue
        unknown = 404 if endpoint.startswith(("brand.", "provider_reports.")) else 200
        assert reply.status in {200, 204, 303, 400, unknown}, endpoint
        assert "harbor" not in reply.text.replace(path, "").lower(), endpoint
