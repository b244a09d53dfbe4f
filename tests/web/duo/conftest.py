"""What the tests of Duo's door share."""

from __future__ import annotations

import pytest

from tests.conftest import Harbor
from tests.web.duo.client import Client, duo_client


@pytest.fixture
def wiki(harbor: Harbor) -> Client:
    """An application of Harbor that speaks Duo Universal."""
    return duo_client(harbor)
