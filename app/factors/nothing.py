"""Nothing: what a result says of a user whom a policy let go on, with no factor confirmed."""

from __future__ import annotations

KIND = "none"
