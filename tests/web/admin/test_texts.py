"""Texts of messages in the admin area: own words, what they must hold, and the real message."""

from __future__ import annotations

import re
from html import unescape

import pytest
import sqlalchemy as sa

from app.models import Authenticator, Event, Role
from app.services.audit import OPERATOR
from app.services.challenges import Asked
from app.web.admin.messages.text_previews import parts_of
from tests.actors import Administrator
from tests.conftest import ONE_DATABASE, Harbor
from tests.web.admin.test_channels import has

OWN = "{code} opens {organization} for {minutes} minutes. Page: {reference}"


def texts(harbor: Harbor, kind: str) -> dict[str, str]:
    with harbor.services.database.reading() as tx:
        return dict(harbor.services.channels.settings(tx, harbor.organization, kind).texts)


def preview(nadia: Administrator) -> str:
    """Return the message that the page shows as text."""
    found = re.search(r'class="letter">(.*?)</', nadia.browser.reply.text, re.S)
    assert found
    return unescape(found[1])


def writes(nadia: Administrator, text: str, kind: str = "sms", language: str = "en") -> None:
    nadia.at(f"/messages/texts/{kind}/{language}")
    nadia.browser.submits(1, text=text)


# What is sent


def test_a_text_of_one_s_own_is_sent_with_what_nobody_may_leave_out(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages/texts")
    assert "Your own" not in nadia.text
    writes(nadia, OWN)
    assert "Saved." in nadia.text
    assert texts(harbor, "sms") == {"en": OWN}
    assert preview(nadia) == (
        "482913 opens Harbor for 10 minutes. Page: K7QM\n"
        "Never tell this code to anyone. Ref. K7QM\n\n"
        "@localhost #482913"
    )
    assert "Your own" in nadia.at("/messages/texts").text
    *_, (event,) = harbor.rows(
        sa.select(Event).where(Event.kind == "method_setting:changed").order_by(Event.id)
    )
    assert (event.detail["kind"], event.detail["changed"]) == ("sms", "texts")


@pytest.mark.parametrize("kind", ["email", "sms", "whatsapp", "voice"])
def test_the_preview_is_the_message_that_users_get(harbor: Harbor, kind: str) -> None:
    nadia = harbor.administrator()
    writes(nadia, OWN, kind)
    nadia.does(f"/messages/channels/{kind}/switch-on")
    of_kind = "email" if kind == "email" else "sms"
    has(harbor, harbor.ada, of_kind)
    with harbor.services.database.writing() as tx:
        ada = harbor.services.directory.find(tx, harbor.organization, harbor.ada)
        [authenticator] = tx.scalars(sa.select(Authenticator).where(Authenticator.kind == of_kind))
        authenticator.recipient = ada.email if kind == "email" else "+33612345678"
        asked = harbor.services.message_codes.send(tx, OPERATOR, ada, authenticator, channel=kind)
    assert isinstance(asked, Asked)
    [message] = asked.messages
    real = harbor.text_of(message).strip()
    code = re.search(r"\d{6}", real)
    assert code
    nadia.at(f"/messages/texts/{kind}/en")
    shown = preview(nadia).replace("4, 8, 2, 9, 1, 3", "482913")
    assert shown.replace("482913", code[0]).replace("K7QM", asked.challenge.reference) == real


def test_each_language_has_words_of_its_own(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    writes(nadia, OWN)
    writes(nadia, "{code} pour {organization}, {minutes} minutes", language="fr")
    assert set(texts(harbor, "sms")) == {"en", "fr"}
    assert "Ne donnez ce code à personne." in preview(nadia)
    nadia.at("/messages/texts/sms/en")
    assert preview(nadia).startswith("482913 opens Harbor")


def test_an_email_is_shown_as_text_and_as_a_page_that_can_do_nothing(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    writes(nadia, OWN + "\n<script>alert(1)</script>", "email")
    assert "Your code for Harbor" in nadia.text
    [frame] = re.findall(r"<iframe[^>]*>", nadia.browser.reply.text)
    assert 'sandbox=""' in frame
    page = unescape(frame)
    assert "&lt;script&gt;" in page  # F67
    assert "<script>alert" not in page
    policy = nadia.browser.reply.headers["content-security-policy"]
    assert "'unsafe-hashes' 'sha256-" in policy
    assert "unsafe-inline" not in policy


def test_nothing_typed_means_ours(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    writes(nadia, OWN)
    writes(nadia, "   ")
    assert texts(harbor, "sms") == {}
    assert preview(nadia).startswith("482913 is your code for Harbor.")


def test_ours_is_used_again_after_it_was_asked(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    writes(nadia, OWN)
    writes(nadia, OWN, language="fr")
    nadia.at("/messages/texts/sms/en/reset")
    assert "Your words for text messages in English are deleted." in nadia.text
    assert texts(harbor, "sms") == {"en": OWN, "fr": OWN}
    nadia.browser.submits(1)
    assert texts(harbor, "sms") == {"fr": OWN}


def test_the_same_text_again_is_no_change(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    writes(nadia, OWN)
    writes(nadia, f"  {OWN}\r\n")
    assert "Nothing was changed." in nadia.text
    changes = sa.select(Event).where(Event.kind == "method_setting:changed")
    assert len([row for row in harbor.rows(changes) if row[0].detail["kind"] == "sms"]) == 1


# What is refused


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Your code works for {minutes} minutes.", "The text must name {code}."),
        ("Your code is {code}.", "The text must name {minutes}."),
        ("{code} {minutes} {name}", "{name} is not known."),
        ("{code} {minutes} {}", "{} is not known."),
        ("{code} {minutes}" + "x" * 300, "The text may have 300 characters."),
        ("{code} {minutes} \x07", "Use printable characters"),
    ],
)
def test_a_text_without_what_it_needs_is_refused_at_its_field(
    harbor: Harbor, text: str, says: str
) -> None:
    nadia = harbor.administrator()
    writes(nadia, OWN)
    for way in ("", "/preview"):
        nadia.at("/messages/texts/sms/en")
        nadia.does(f"/messages/texts/sms/en{way}", text=text)
        assert nadia.status == 422
        assert says in nadia.text
        assert nadia.page.title.startswith("Error: ")
        assert nadia.page.area.strip() == text.strip()  # what was typed is kept
        assert preview(nadia).startswith("482913 opens Harbor")  # what is in use
    assert texts(harbor, "sms") == {"en": OWN}


def test_what_looks_like_a_template_is_sent_as_it_is(harbor: Harbor) -> None:
    """F78: nothing that is typed is ever run."""
    nadia = harbor.administrator()
    evil = "{code} {minutes} {{ 7*7 }} {% raw %} %(code)s {code!r}".replace("{code!r}", "")
    writes(nadia, evil)
    assert preview(nadia).startswith("482913 10 {{ 7*7 }} {% raw %} %(code)s\n")


@ONE_DATABASE
def test_the_name_of_the_organization_is_no_template_either(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        found = harbor.services.organizations.find(
            tx, harbor.organization.environment, harbor.organization.domain
        )
        found.name = "{code} {{ 7*7 }}"
    nadia = harbor.administrator()
    writes(nadia, OWN)
    assert preview(nadia).startswith("482913 opens {code} {{ 7*7 }} for 10 minutes.")


@ONE_DATABASE
@pytest.mark.parametrize("place", ["pigeon/en", "sms/de", "dual/en", "sms/..%2fen"])
def test_a_text_that_is_none_is_not_found(harbor: Harbor, place: str) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages/texts")
    assert nadia.at(f"/messages/texts/{place}").status == 404
    assert nadia.does(f"/messages/texts/{place}", text=OWN).status == 404


# The preview


def test_a_preview_keeps_nothing(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/messages/texts/voice/en")
    assert "In use" in nadia.text
    nadia.does("/messages/texts/voice/en/preview", text=OWN)
    assert "Not saved yet" in nadia.text
    assert preview(nadia).startswith("4, 8, 2, 9, 1, 3 opens Harbor")
    assert nadia.page.area.strip() == OWN
    assert texts(harbor, "voice") == {}


def test_a_long_text_message_says_what_it_costs(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    writes(nadia, "{code} {minutes}")
    assert "It fits into one text message." in nadia.text
    writes(nadia, "{code} {minutes} " + "a" * 150)
    assert "It goes as 2 text messages, and is paid 2 times." in nadia.text
    writes(nadia, "{code} {minutes} — “now”")
    assert "fewer characters fit into one" in nadia.text


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("ê" + "a" * 69, 1),
        ("ê" + "a" * 70, 2),
        ("😀" * 35, 1),
        ("😀" * 36, 2),
    ],
)
def test_the_parts_of_a_text_message_are_counted_as_networks_do(text: str, parts: int) -> None:
    assert parts_of(text) == parts


# Who may


@ONE_DATABASE
def test_an_auditor_sees_the_message_and_changes_nothing(harbor: Harbor) -> None:
    auditor = harbor.administrator(Role.AUDITOR)
    auditor.at("/messages/texts/sms/en")
    assert preview(auditor).startswith("482913 is your code for Harbor.")
    assert "Save text" not in auditor.text
    assert auditor.does("/messages/texts/sms/en", text=OWN).status == 403
    assert auditor.does("/messages/texts/sms/en/preview", text=OWN).status == 403
    assert texts(harbor, "sms") == {}
