"""QR codes: as a path for our pages, and as pictures for backends."""

from __future__ import annotations

import base64
import io

import segno

_BORDER = 3
_PIXELS = 6
"""Of one module in the PNG."""


class QrCode:
    """A text as a QR code of medium error correction.

    Args:
        text: what a camera reads.
    """

    def __init__(self, text: str) -> None:
        self._code = segno.make(text, error="m", micro=False, boost_error=False)

    def path(self) -> tuple[int, str]:
        """Return its width in modules and the `d` of one SVG path, quiet zone included."""
        matrix = [list(map(bool, row)) for row in self._code.matrix_iter(border=_BORDER)]
        path = "".join(
            f"M{start} {y}h{end - start}v1h-{end - start}z"
            for y, row in enumerate(matrix)
            for start, end in _runs(row)
        )
        return len(matrix), path

    def png(self) -> str:
        """Return it as a PNG in base64."""
        picture = io.BytesIO()
        self._code.save(picture, kind="png", scale=_PIXELS, border=4)
        return base64.b64encode(picture.getvalue()).decode()

    def svg(self) -> str:
        """Return it as an SVG document that scales."""
        width, path = self.path()
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {width}">'
            f'<path fill="#fff" d="M0 0h{width}v{width}H0z"/><path d="{path}"/></svg>'
        )


def _runs(row: list[bool]) -> list[tuple[int, int]]:
    """Return where a row is dark, as half-open spans."""
    edges = [x for x in range(len(row) + 1) if (x < len(row) and row[x]) != (x > 0 and row[x - 1])]
    return list(zip(edges[::2], edges[1::2], strict=True))
