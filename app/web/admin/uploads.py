"""Files: a form may be long only for who may send it, and is read only then."""

from __future__ import annotations

import io
from typing import IO, Any

from flask import request

from app.web.support.forms import MOST_BYTES


def let_in(most_bytes: int) -> None:
    """Let this request bring a file of so many bytes, beside the fields of its form.

    All of it stays in memory: it may hold secrets, which are not to lie in a temporary file.
    Call it in a view that is exempt from the check of form tokens, since that check reads the
    form: first comes the role, then this, then `csrf.protect()`.
    """
    sent: Any = request._get_current_object()  # type: ignore[attr-defined]
    sent.max_content_length = most_bytes + MOST_BYTES
    sent._get_file_stream = _in_memory


def _in_memory(*_: object, **__: object) -> IO[bytes]:
    return io.BytesIO()
