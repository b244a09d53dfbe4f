"""Every cookie that any door sets over TLS (OWASP ASVS 5.0, V3.3)."""

from __future__ import annotations

import re

from app.services.audit import OPERATOR
from tests.conftest import ONE_DATABASE, Harbor, InProcess
from tests.entra import connected
from tests.web.cryptr.conftest import board_of
from tests.web.duo.client import duo_client
from tests.web.oidc.party import comes, party

KINDS = {"", "admin", "arrival", "codes", "duo", "mark", "oidc", "trust", "visit"}
"""By the word after `gatehouse` in their names; the one without a word is Flask's, with the token
of forms."""


def walks_everywhere(harbor: Harbor) -> None:
    """Have every door set what it sets."""
    with harbor.services.database.writing() as tx:
        harbor.services.trust_rules.change(tx, OPERATOR, tx.merge(harbor.organization), 30)
    phone = harbor.enrolls_on_the_pages()
    harbor.visits(harbor.ada).submits(code=harbor.code(phone), trust="1")
    shop = party(harbor, requires_pushed=False, takes_unauthenticated=True)
    comes(harbor, shop.plain(login_hint=None))
    duo_client(harbor).sends(harbor.browser(), "ada@harbor.example")
    connected(harbor).visits()
    board_of(harbor).waits()
    administrator = harbor.administrator(signed_in=False)
    harbor.clock.advance(30)
    administrator.signs_in()


@ONE_DATABASE
def test_no_cookie_goes_anywhere_else_or_is_read_by_a_script(https_harbor: Harbor) -> None:
    walks_everywhere(https_harbor)
    assert isinstance(https_harbor.wire, InProcess)
    kinds = set()
    for cookie in https_harbor.wire.cookies_set:
        name, *attributes = cookie.partition("=")[0], *cookie.split("; ")[1:]
        kinds.add(re.split("[-]", name.removeprefix("__Host-gatehouse") + "-")[1])
        assert name.startswith("__Host-gatehouse"), cookie
        assert {"Secure", "HttpOnly", "Path=/"} <= {*attributes}, cookie
        assert {"SameSite=Lax", "SameSite=Strict"} & {*attributes}, cookie
        assert not [it for it in attributes if it.lower().startswith("domain")], cookie
        assert len(cookie) <= 4096, name
    assert kinds == KINDS
