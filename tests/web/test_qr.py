"""QR codes: a camera reads what was put in, from either picture."""

from __future__ import annotations

import base64
import io

import zxingcpp
from PIL import Image, ImageFilter

from app.web.support.qr import QrCode
from tests.pictures import stroked

SCALE = 4
KEY = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def texts() -> list[str]:
    """Return what apps are added by: short and long names, plain ones and escaped ones."""
    names = ["a", "ada@harbor.example", "x" * 120, "%C3%A9" * 30, "0" * 60, "AAAA" * 20, " _-." * 9]
    return [f"otpauth://totp/H:{name}?secret={KEY[: 16 + i]}" for i, name in enumerate(names)]


def test_either_picture_is_read_out_of_focus_and_askew() -> None:
    for text in texts():
        code = QrCode(text)
        for picture in (
            stroked(*code.path(), SCALE),
            Image.open(io.BytesIO(base64.b64decode(code.png()))),
        ):
            seen = picture.convert("L").rotate(7, expand=True, fillcolor=255)
            seen = seen.filter(ImageFilter.GaussianBlur(1))
            assert [found.text for found in zxingcpp.read_barcodes(seen)] == [text]


def test_the_path_leaves_a_quiet_zone_all_around() -> None:
    picture = stroked(*QrCode(KEY).path(), SCALE)
    dark = Image.eval(picture, lambda value: 255 - value).getbbox()
    edge = 3 * SCALE
    assert dark == (edge, edge, picture.width - edge, picture.height - edge)
