"""What messages with a code say, in every language and by every channel."""

from __future__ import annotations

import pytest

from app import texts

FACTS = {"code": "123456", "organization": "Harbor", "reference": "ABCD"}
WORDS = {"en": ("1 minute", "2 minutes"), "fr": ("1 minute", "2 minutes")}


@pytest.mark.parametrize("language", texts.LANGUAGES)
@pytest.mark.parametrize("channel", ["email", "sms", "whatsapp", "voice"])
def test_one_minute_is_one_and_two_are_two(channel: str, language: str) -> None:
    for number, words in enumerate(WORDS[language], start=1):
        told = texts.message(
            "code", language, channel=channel, host="mfa.example", minutes=str(number), **FACTS
        )
        assert f"{words}." in told.body
        assert FACTS["code"] in told.body


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_the_words_to_begin_with_suit_one_minute_too(language: str) -> None:
    """They are kept as they are typed, so no catalog can choose between one and many."""
    told = texts.message("code_start", language, code="{code}", minutes="{minutes}")
    assert "{minutes} min." in told.body
    assert "{code}" in told.body
