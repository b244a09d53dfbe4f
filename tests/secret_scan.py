"""Look for secrets in every file of the repository; run as a program by `make lint`.

Passwords in code are ruff's business (S105 to S107). What stands below looks like a secret and is
none; whoever adds to it says why.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).parent.parent
_PROVIDERS = (
    *("AWSKey", "AzureStorageKey", "BasicAuth", "DiscordBotToken", "GitHubToken", "JwtToken"),
    *("Mailchimp", "Npm", "PrivateKey", "SendGrid", "Slack", "SquareOAuth", "Stripe", "TwilioKey"),
)
_PLUGINS = [
    *({"name": f"{name}Detector"} for name in _PROVIDERS),
    {"name": "Base64HighEntropyString", "limit": 4.5},
    {"name": "HexHighEntropyString", "limit": 3.0},
]
_NO_TEXT = (".ico", ".lock", ".mo", ".png", ".po", ".pot", ".svg", ".woff2")
"""Pictures, catalogs, and locks, whose hashes are all that they are."""
_MADE_UP = "a password of an address in a test, made up"
_KSUID = "the id of a gateway session in an example"

ALLOWED: dict[str, dict[str, str]] = {
    "app/factors/message_code.py": {"ACDEFGHJKLMNPQRTUVWXY34679": "an alphabet"},
    "app/factors/recovery_code.py": {"0123456789ABCDEFGHJKMNPQRSTVWXYZ": "an alphabet"},
    "app/web/api_v2/passkeys.py": {
        "eyJ0eXBlIjoid2ViYXV0aG4uZ2V0IiwiY2hhbGxlbmdlIjoiYyJ9": "client data of an example"
    },
    "deploy/systemd/environment": {"password": "a word that stands for one"},
    "docs/integrate.md": {"gateway-session_2mXqyWZJ7c0aQm5yU8l1kq3vT9d": _KSUID},
    "docs/operate.md": {"password": "a word that stands for one"},
    "tests/browser/packages.py": dict.fromkeys(
        (
            "10fd270ddc7432a4d6fbf6ac13eee069af5605086b15566e200b86439602aad5",
            "f5e3ca1f1b2e04503a0782bfa32c970e14045192a00b93a8282a8eaabf15857e",
        ),
        "half of the SHA-512 of a package",
    ),
    "tests/cli/test_cli.py": dict.fromkeys(("hush", "hushhush", "p%40s"), _MADE_UP),
    "tests/cli/test_doctor.py": {"hushhush": _MADE_UP},
    "tests/conftest.py": {
        "dGVzdGluZyBrZXkgb2YgMzIgYnl0ZXMsIG5vIG1vcmU=": "the encryption key of the tests"
    },
    "tests/entra.py": {"mBfcvuhSHkDWVgV72x2ruIYdSsPSvcj2R0qfc6mGEAA": "a subject of Entra's"},
    "tests/providers/test_deployment.py": {"p%2F%3A": _MADE_UP},
    "tests/providers/test_http.py": {"password": _MADE_UP},
    "tests/providers/test_outbound.py": {"password": _MADE_UP},
    "tests/providers/test_twilio.py": {"CA1234567890ABCDE": "the id of a call, made up"},
    "tests/providers/test_vonage.py": {
        "280c4320703dbc98bfa22db676655ed2acfbfe8792b062ff7622e67f1183c287": "a signature, made up"
    },
    "tests/services/test_encryption_keys.py": {
        "bmV3IGtleSBmb3IgdGhlIHRlc3RzIG9mIHJvdGF0aW8=": "another encryption key of the tests"
    },
    "tests/services/test_webhooks.py": {"pass": _MADE_UP},
    "tests/web/admin/test_applications.py": {"secret": _MADE_UP},
    "tests/web/api_v2/test_gateway_sessions.py": {"secret": _MADE_UP},
    "tests/web/api_v2/test_results.py": {"gateway-session_3F5ZqKwR3mSx0a8Yc2VbN1TgLhP": _KSUID},
    "tests/web/api_v2/test_token.py": {"gateway-session_3F5ZqKwR3mSx0a8Yc2VbN1TgLhP": _KSUID},
    "tests/web/api_v2/test_webhooks.py": {"password": _MADE_UP},
    "tests/web/duo/client.py": {"kR2mZq8WvXy0aB4cD6eF1gH3iJ5kL7mN9oP2": "a state"},
    "tests/web/duo/test_refusals.py": {
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_": "an alphabet"
    },
    "tests/web/test_health.py": {"hush": _MADE_UP},
}
"""By file: what is found in it, and why it is no secret."""


@dataclass(frozen=True)
class Found:
    """Something that looks like a secret."""

    path: str
    line: int
    kind: str
    value: str


def scan(root: Path, paths: Iterable[str]) -> Iterator[Found]:
    """Yield what looks like a secret in these files, whether allowed or not."""
    with transient_settings({"plugins_used": _PLUGINS}):
        for path in paths:
            if not path.endswith(_NO_TEXT):
                for one in scan_file(str(root / path)):
                    yield Found(path, one.line_number, one.type, one.secret_value or "")


def is_allowed(found: Found) -> bool:
    """Tell whether it is on the list, for its file; the list itself may name what it allows."""
    if found.path == Path(__file__).relative_to(ROOT).as_posix():
        return any(found.value in known for known in ALLOWED.values())
    return found.value in ALLOWED.get(found.path, {})


def files(root: Path = ROOT) -> list[str]:
    """Return the files that are in the repository, or would be with the next commit."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(listed, cwd=root, check=True, capture_output=True, text=True).stdout
    return [path for path in told.split("\0") if path and (root / path).is_file()]


def main() -> int:
    """Tell of everything that is found and not allowed; the exit status."""
    found = [one for one in scan(ROOT, files()) if not is_allowed(one)]
    for one in found:
        print(f"{one.path}:{one.line}: {one.kind}. If it is none, say so in {__file__}.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
