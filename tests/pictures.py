"""Pictures as people bring them, and files as attackers make them."""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import Any

from PIL import Image, ImageDraw

RED, BLUE = (200, 30, 30), (20, 40, 200)


def picture(
    kind: str = "PNG", size: tuple[int, int] = (200, 200), mode: str = "RGB", **more: Any
) -> bytes:
    """Return a red picture as a file of some kind."""
    image = Image.new("RGB", size, RED).convert(mode)
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


def animation(kind: str) -> bytes:
    """Return a picture that turns from red to blue."""
    first, second = Image.new("RGB", (200, 200), RED), Image.new("RGB", (200, 200), BLUE)
    file = io.BytesIO()
    first.save(file, kind, save_all=True, append_images=[second], duration=100, lossless=True)
    return file.getvalue()


def gif_bomb(side: int = 50_000) -> bytes:
    """Return a few bytes that claim to be a huge picture."""
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", side, side, 0x80, 0, 0)
        + b"\0\0\0\xff\xff\xff"
        + b","
        + struct.pack("<HHHHB", 0, 0, side, side, 0)
        + b"\x02\x02\x4c\x01\0;"
    )


def png_bomb(side: int = 50_000) -> bytes:
    """Return a PNG whose header claims a huge picture, and whose data is short."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )


def webp_bomb(kind: bytes) -> bytes:
    """Return a WebP whose header claims the largest picture that there can be."""
    body = {
        b"VP8X": bytes(4) + b"\xfe\x3f\0" * 2,
        b"VP8L": b"\x2f" + struct.pack("<I", 0x3FFE | 0x3FFE << 14),
        b"VP8 ": b"\x10\0\0\x9d\x01\x2a" + struct.pack("<HH", 0x3FFF, 0x3FFF),
    }[kind]
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


def stroked(width: int, path: str, scale: int = 4) -> Image.Image:
    """Draw the rows of a QR code's path as a browser does."""
    picture = Image.new("L", (width * scale, width * scale), 255)
    pen = ImageDraw.Draw(picture)
    for line in path.split("M")[1:]:
        row = re.fullmatch(r"(\d+) (\d+\.5)((?:(?:m\d+ 0)?h\d+)+)", line)
        assert row is not None, line
        x, top = float(row[1]), (float(row[2]) - 0.5) * scale
        for gap, run in re.findall(r"(?:m(\d+) 0)?h(\d+)", row[3]):
            left = (x + int(gap or 0)) * scale
            x += int(gap or 0) + int(run)
            pen.rectangle((left, top, x * scale - 1, top + scale - 1), fill=0)
    return picture
