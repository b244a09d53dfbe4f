"""What events are called: every kind has a name, a tone, and a subject with a heading."""

from __future__ import annotations

import re

import pytest

from app.factors import FACTORS
from app.factors.base import Reason
from app.services.audit import EventKind
from app.web.admin.event_subjects import SUBJECTS
from app.web.admin.event_terms import REFUSALS
from app.web.admin.event_words import METHODS, TONES, WORDS, say


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_of_event_has_words_and_a_tone(kind: EventKind) -> None:
    words = WORDS[kind]
    assert re.fullmatch(r"[A-Z][A-Za-z’, -]+", words.name)
    assert words.tone in TONES
    assert not (words.name + words.more).endswith(".")
    assert kind.value.partition(":")[0] in SUBJECTS


def test_no_two_kinds_are_called_the_same() -> None:
    names = [words.name for words in WORDS.values()]
    assert len(set(names)) == len(names)


def test_every_method_and_every_reason_has_its_words() -> None:
    assert set(FACTORS) <= set(METHODS)
    assert set(REFUSALS) == {reason.value for reason in Reason}


def test_a_sentence_tells_what_the_detail_knows_and_no_more() -> None:
    wrong = {"kind": "totp", "reason": "wrong"}
    assert say("verification:refused", wrong).text == "Code refused: wrong code, authenticator app"
    assert say("verification:refused", {}).text == "Code refused"
    assert say("verification:accepted", {"kind": "totp"}).text == "Verified with authenticator app"
    changed = {"changed": "name email_domains"}
    assert say("organization:updated", changed).text == "Organization changed: name, email domains"


def test_a_value_with_braces_is_only_a_value() -> None:
    told = say("invitation:accepted", {"email": "{kind} {0} %s {{"})
    assert told.text == "Invitation taken up by {kind} {0} %s {{"


def test_a_kind_that_is_no_longer_written_says_its_own_name() -> None:
    assert say("old_thing:done", {"a": 1}).text == "old thing, done"
