"""The hosted pages in an organization's look: what they link, say and serve, and to whom."""

from __future__ import annotations

import io
import re
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image

from app.models import Brand
from app.services.audit import OPERATOR
from app.services.brand_texts import HelpText
from app.services.brands import Typed
from tests.actors import Page
from tests.conftest import ONE_DATABASE, Harbor, InProcess
from tests.pictures import picture

HELP = HelpText(help="Call 112.\nAlways.", link="https://help.harbor.example", label="Support")
AIDE = HelpText(help="Appelez le 112.")


def brands(harbor: Harbor, **changes: Any) -> None:
    """Publish a brand for Harbor."""
    wanted = {"name": "Harbor", "colour": "", "dark_colour": "", "texts": {}, **changes}
    with harbor.services.database.writing() as tx:
        found = harbor.services.organizations.find(tx, harbor.organization.environment, "harbor")
        look = harbor.services.brands.draft(tx, found, Typed(**wanted))
        harbor.services.brands.publish(tx, OPERATOR, found, look)


def sheets(page: Page) -> list[str]:
    return [
        str(found["href"])
        for tag, found in page.tags
        if tag == "link" and found["rel"] == "stylesheet"
    ]


def gets(harbor: Harbor, path: str) -> Any:
    assert isinstance(harbor.wire, InProcess)
    return harbor.wire.client.get(path, base_url=harbor.base_url)


def requests(page: Page) -> list[str]:
    """Return what a browser loads for a page."""
    names = {"link": "href", "script": "src", "img": "src"}
    found = [str(it.get(names[tag])) for tag, it in page.tags if tag in names]
    return [address for address in found if not address.startswith("data:")]


# What pages show


def test_every_page_of_a_visit_has_the_look_of_its_organization(harbor: Harbor) -> None:
    brands(harbor, colour="#ffcc00", logo=picture(), texts={"en": HELP})
    browser = harbor.visits(harbor.ada)
    seen = [browser.page]
    phone = browser.sets_up()
    seen.append(browser.page)
    browser.types("000000")
    seen.append(browser.page)
    browser.types(harbor.code(phone))
    seen.append(browser.page)
    browser.saves_codes()
    browser.goes_to(browser.address("ended"))
    seen.append(browser.page)
    stranger = harbor.browser()
    assert stranger.goes_to(browser.path).status == 403
    seen.append(stranger.page)
    for page in seen:
        assert len(sheets(page)) == 2, page.title
        assert sheets(page)[1].startswith(f"/brand/{harbor.organization.id}.")
        assert "own-logo" in str([found.get("class") for _, found in page.tags])
        assert "Call 112. Always. Support" in page.text
        assert ("a", "https://help.harbor.example") in [
            (tag, found.get("href")) for tag, found in page.tags
        ]
    assert "ada@" not in stranger.reply.text


def test_a_link_that_was_mailed_opens_a_page_with_the_look(harbor: Harbor) -> None:
    brands(harbor, colour="#ffcc00")
    back = harbor.notes.redirect_uri
    asked = harbor.backend.asks_link("ada@harbor.example", back, org_domain="harbor").json
    browser = harbor.browser()
    browser.goes_to(asked["magic_link"])
    assert len(sheets(browser.page)) == 2


@ONE_DATABASE
def test_a_brand_costs_one_request_and_no_brand_none(harbor: Harbor) -> None:
    before = requests(harbor.visits(harbor.ada).page)
    brands(harbor, texts={"en": HELP})
    assert requests(harbor.visits(harbor.ada).page) == before
    brands(harbor, texts={"en": HELP}, colour="#ff0000", dark_colour="#00ff00", logo=picture())
    after = requests(harbor.visits(harbor.ada).page)
    assert len(after) == len(before) + 1
    assert set(before) < set(after)


@ONE_DATABASE
def test_help_speaks_the_language_of_the_page_or_else_another(harbor: Harbor) -> None:
    brands(harbor, texts={"en": HELP, "fr": AIDE})
    page = harbor.visits(harbor.ada, locale="fr").page
    assert "Appelez le 112." in page.text
    assert "Call 112." not in page.text
    assert "Support" in page.text  # the French text names no link of its own
    tongues = [found["lang"] for tag, found in page.tags if tag in {"p", "a"} and "lang" in found]
    assert tongues == ["fr", "en"]
    assert "Call 112." in harbor.visits(harbor.ada, locale="en").page.text
    brands(harbor, texts={"fr": AIDE})
    assert "Appelez le 112." in harbor.visits(harbor.ada, locale="en").page.text
    brands(harbor, texts={})
    assert "details" not in [tag for tag, _ in harbor.visits(harbor.ada).page.tags]


@ONE_DATABASE
def test_a_link_without_a_name_is_called_by_its_address(harbor: Harbor) -> None:
    for link, name in {
        "https://help.harbor.example/": "help.harbor.example",
        "mailto:help@harbor.example": "help@harbor.example",
        "tel:+33123456789": "+33123456789",
    }.items():
        brands(harbor, texts={"en": HelpText(link=link)})
        page = harbor.visits(harbor.ada).page
        assert f"Help {name} Secured" in page.text
        (found,) = [it for tag, it in page.tags if tag == "a" and it.get("href") == link]
        assert (found.get("rel") == "noopener noreferrer") == link.startswith("https")


@ONE_DATABASE
@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "http://x.example", "//x.example"]
)
def test_a_link_that_runs_something_is_refused_at_use_too(harbor: Harbor, link: str) -> None:
    """F40: also where the database was changed behind our back."""
    brands(harbor, texts={"en": HELP})
    evil = {"en": {"help": "Call.", "link": link, "label": "Click"}}
    harbor.executes(sa.update(Brand).values(texts=evil))
    browser = harbor.visits(harbor.ada)
    assert "Call." in browser.page.text
    assert link not in browser.reply.text
    assert "Click" not in browser.page.text


@ONE_DATABASE
def test_no_text_becomes_markup_or_a_template(harbor: Harbor) -> None:
    """F67 and F78."""
    payload = (
        "\"'></details><script>alert(1)</script><img src=x onerror=alert(1)>{{8191*8191}}{%x%}"
    )
    brands(harbor, texts={"en": HELP})
    plain = [(tag, sorted(found)) for tag, found in harbor.visits(harbor.ada).page.tags]
    brands(harbor, texts={"en": HelpText(help=payload, link=HELP.link, label=payload[-60:])})
    browser = harbor.visits(harbor.ada)
    assert [(tag, sorted(found)) for tag, found in browser.page.tags] == plain
    assert payload in browser.page.text
    assert str(8191 * 8191) not in browser.reply.text


@ONE_DATABASE
def test_another_organization_and_administrators_keep_gatehouse_s_look(harbor: Harbor) -> None:
    brands(harbor, colour="#ffcc00", texts={"en": HELP})
    nadia = harbor.administrator(signed_in=False)
    nadia.browser.goes_to("/admin/sign-in")
    assert len(sheets(nadia.page)) == 1
    nadia.browser.submits(email=nadia.email, password=nadia.password)
    assert len(sheets(nadia.page)) == 1
    nadia.proves()
    nadia.at("/")
    assert len(sheets(nadia.page)) == 1
    assert "Call 112." not in nadia.text


# What is served (F73, F74)


def test_style_sheet_and_logo_are_inert_files_kept_for_a_year(harbor: Harbor) -> None:
    brands(harbor, colour="#ffff00", dark_colour="#112233", logo=picture())
    address = sheets(harbor.visits(harbor.ada).page)[1]
    ((digest,),) = harbor.rows(sa.select(Brand.logo_digest))
    logo = f"/brand/{harbor.organization.id}.{digest}.png"
    for path, kind in ((address, "text/css; charset=utf-8"), (logo, "image/png")):
        answer = gets(harbor, path)
        assert answer.status_code == 200
        headers = answer.headers
        assert headers["Content-Type"] == kind
        assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        policy = headers["Content-Security-Policy"].split("; ")
        assert set(policy) == {
            "default-src 'none'",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'none'",
            "sandbox",
        }
        assert "Set-Cookie" not in headers
        assert "Vary" not in headers
    text = gets(harbor, address).get_data(as_text=True)
    assert ":root { --brand: #ffff00; }" in text
    assert "--brand: light-dark(#ffff00, #112233)" in text
    assert "--on-fill: #000000; --brand-ink: #696900" in text  # for browsers that can't mix
    assert 'url("data:image/png;base64,' in text
    picture_served = Image.open(io.BytesIO(gets(harbor, logo).data))
    assert (picture_served.format, picture_served.size) == ("PNG", (200, 200))


def test_an_address_leads_to_one_content_and_guessing_leads_nowhere(harbor: Harbor) -> None:
    brands(harbor, colour="#ffff00", logo=picture())
    first = sheets(harbor.visits(harbor.ada).page)[1]
    brands(harbor, colour="#ff0000")
    second = sheets(harbor.visits(harbor.ada).page)[1]
    assert first != second
    own, digest = harbor.organization.id, second.split(".")[1]
    assert gets(harbor, second).status_code == 200
    for path in (
        first,
        f"/brand/{own}.{digest[:-1]}.css",
        f"/brand/{own}.None.css",
        f"/brand/{own}..css",
        f"/brand/{own}.css",
        f"/brand/{own}.{digest}.svg",
        f"/brand/{own}.{digest}.css.png",
        f"/brand/{own}.None.png",
        f"/brand/{uuid.uuid4()}.{digest}.css",
        f"/brand/harbor.{digest}.css",
        f"/brand/{own}.../../../../etc/passwd.css",
        f"/brand/{own}.%2e%2e%2f%2e%2e%2fetc%2fpasswd.png",
        f"/brand/..%5c..%5c{digest}.css",
        f"/brand//etc/passwd.{digest}.css",
        f"/brand/{own}.{digest}%00.css",
        f"/brand/{own}.'or'1'='1.css",
        "/brand/",
    ):
        answer = gets(harbor, path)
        assert answer.status_code in {404, 400}, path
        assert "sandbox" not in answer.headers["Content-Security-Policy"]
    with harbor.services.database.writing() as tx:
        found = harbor.services.organizations.find(tx, harbor.organization.environment, "harbor")
        harbor.services.organizations.delete(tx, OPERATOR, found)
    assert gets(harbor, second).status_code == 404


@ONE_DATABASE
def test_no_colour_of_the_database_ends_the_rule_it_stands_in(harbor: Harbor) -> None:
    brands(harbor, colour="#ffff00")
    text = gets(harbor, sheets(harbor.visits(harbor.ada).page)[1]).get_data(as_text=True)
    assert re.fullmatch(r"[-\w\s:;#(),{}@.]*", text)
    assert text.count("{") == text.count("}")
