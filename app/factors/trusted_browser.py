"""Trusted browsers: what a result says of a user whose browser was trusted, with nothing asked."""

from __future__ import annotations

KIND = "trusted_browser"
