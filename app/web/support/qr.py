"""QR codes: as a path for our pages, and as pictures for backends."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from io import BytesIO

import segno
from PIL import Image, ImageOps

_BORDER = 3
_MASK = 6
"""The pattern that breaks up plain areas. Comparing all eight for the best takes four fifths of the
time, and cameras read the one as well as the other: the code itself says which it is."""
_PIXELS = 6
"""Of one module in the PNG."""
_SHADES = bytes.maketrans(b"\0\1", b"\xff\0")
"""Light and dark as shades of grey."""


class QrCode:
    """A text as a QR code of medium error correction.

    Args:
        text: what a camera reads.
    """

    def __init__(self, text: str) -> None:
        self._code = segno.make(text, error="m", micro=False, boost_error=False, mask=_MASK)

    def path(self) -> tuple[int, str]:
        """Return its width in modules, quiet zone included, and the `d` of one SVG path.

        The path is to be stroked, with the width of 1 that is SVG's own: that takes half the bytes
        of what would be filled.
        """
        rows = self._code.matrix
        path = "".join(_line(row, y) for y, row in enumerate(rows, _BORDER))
        return len(rows) + 2 * _BORDER, path

    def png(self) -> str:
        """Return it as a PNG in base64."""
        rows = self._code.matrix
        width = len(rows)
        shades = b"".join(map(bytes, rows)).translate(_SHADES)
        code = ImageOps.expand(Image.frombytes("L", (width, width), shades), border=4, fill=255)
        picture, file = (
            code.resize((code.width * _PIXELS,) * 2, Image.Resampling.NEAREST),
            BytesIO(),
        )
        picture.convert("1", dither=Image.Dither.NONE).save(file, "png")
        return base64.b64encode(file.getvalue()).decode()

    def svg(self) -> str:
        """Return it as an SVG document that scales."""
        width, path = self.path()
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {width}">'
            f'<path fill="#fff" d="M0 0h{width}v{width}H0z"/><path stroke="#000" d="{path}"/></svg>'
        )


def _line(row: bytearray, y: int) -> str:
    """Return one row: where it begins, and then by turns what is dark and what is light."""
    parts, at = [], None
    for start, end in _runs(row):
        gap = f"M{start + _BORDER} {y}.5" if at is None else f"m{start - at} 0"
        parts.append(f"{gap}h{end - start}")
        at = end
    return "".join(parts)


def _runs(row: bytearray) -> Iterator[tuple[int, int]]:
    """Yield where a row is dark, as half-open spans."""
    start = row.find(1)
    while start >= 0:
        light = row.find(0, start)
        end = light if light >= 0 else len(row)
        yield start, end
        start = row.find(1, end)
