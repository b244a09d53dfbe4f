"""What the bench has from the tests: a passkey in software, Chromium, and query plans."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from tests.browser import chromium
from tests.browser.chromium import FLAGS
from tests.browser.weights import Scale
from tests.plans import heard, scans
from tests.software_authenticator import SoftwareAuthenticator

__all__ = ["FLAGS", "Scale", "SoftwareAuthenticator", "chromium", "heard", "scans"]
