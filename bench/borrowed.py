"""What the bench has from the tests: a passkey in software, and how a Chromium is found."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from tests.browser import chromium
from tests.software_authenticator import SoftwareAuthenticator

__all__ = ["SoftwareAuthenticator", "chromium"]
