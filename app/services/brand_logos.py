"""Logos: any small raster picture goes in, a PNG that we drew ourselves comes out."""

from __future__ import annotations

import hashlib
import io

from PIL import Image, ImageOps

from app.errors import Invalid

MOST_BYTES = 2 * 1024 * 1024
MOST_PIXELS = 4096 * 4096
LEAST_SIDE = 144
SIDE = 256
"""Of the square that we keep: seven times the size on a page, for every screen there is."""

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_RIGHT = "Use a PNG, JPEG, WebP or GIF picture."
_TOO_LARGE = f"has too many pixels. Use one of at most {4096:,} x {4096:,}."
_BROKEN = f"is damaged: we can't draw it. {_RIGHT}"
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def cleaned(data: bytes) -> bytes:
    """Return the picture in a file, drawn anew: a square PNG with nothing in it but pixels.

    Only the first picture of several is kept, turned as its EXIF data says, and nothing else of
    the file: no metadata, no colour profile, nothing that was hidden before, behind or in it.

    Raises:
        Invalid: the file is no picture of a kind that we take, or it is too small or too large.
    """
    if len(data) > MOST_BYTES:
        raise Invalid("logo", f"this file has more than {MOST_BYTES // 1024**2} MB.")
    picture = _opened(data)
    if picture.width * picture.height > MOST_PIXELS:
        raise Invalid("logo", f"this picture {_TOO_LARGE}")
    if min(picture.size) < LEAST_SIDE:
        width, height = picture.size
        right = f"Use one of at least {LEAST_SIDE} x {LEAST_SIDE}."
        raise Invalid("logo", f"this picture has {width} x {height} pixels. {right}")
    try:
        return _drawn(picture)
    except Exception:  # whoever made the file to break its decoder chose how it breaks
        raise Invalid("logo", f"this file {_BROKEN}") from None


def digest(logo: bytes) -> str:
    """Return what a logo is called in its address."""
    return hashlib.sha256(logo).hexdigest()[:32]


def _opened(data: bytes) -> Image.Image:
    """Read a file's header; nothing is decoded yet."""
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except _BOMBS:
        raise Invalid("logo", f"this picture {_TOO_LARGE}") from None
    except Exception:
        raise Invalid("logo", f"this file is {_name_of(data)}. {_RIGHT}") from None


def _drawn(picture: Image.Image) -> bytes:
    upright = ImageOps.exif_transpose(picture)
    if not upright.has_transparency_data:
        upright = upright.convert("RGB")
    pixels = upright.convert("RGBA")
    pixels.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (max(pixels.size),) * 2)
    square.paste(pixels, ((square.width - pixels.width) // 2, (square.height - pixels.height) // 2))
    drawn = io.BytesIO()
    square.save(drawn, "PNG", optimize=True)
    return drawn.getvalue()


def _name_of(data: bytes) -> str:
    """Say what was sent instead of a picture, as far as its beginning tells."""
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not data:
        return "empty"
    if b"<svg" in start:
        return "an SVG drawing, which can carry programs"
    if start.startswith((b"<!doctype html", b"<html", b"<script")):
        return "a web page"
    if start.startswith(b"%pdf"):
        return "a PDF document"
    return "no picture that we can read"
