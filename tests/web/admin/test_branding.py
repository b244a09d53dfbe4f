"""Branding in the admin area: what is taken in, what is refused and why, and the preview."""

from __future__ import annotations

import base64
import html
import io
import itertools
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from app.errors import Invalid
from app.models import Brand, Event, Organization, Role
from app.services import brand_colours, brand_logos, brand_texts
from app.services.audit import OPERATOR
from app.services.brand_texts import HelpText
from tests.actors import Administrator, Page
from tests.conftest import ONE_DATABASE, Harbor, InProcess
from tests.pictures import BLUE, RED, animation, gif_bomb, picture, png_bomb, webp_bomb

PAYLOAD = (
    "\"'></textarea></iframe><script>alert(1)</script><img src=x onerror=alert(1)>"
    "{{8191*8191}}{%x%}"
)


def typed(**changes: Any) -> dict[str, Any]:
    """Return the fields of the form, as they stand at first."""
    fields = {"name": "Harbor", "colour": "#0e5a6a", "dark_colour": "", "page": "challenge"}
    texts = {
        f"{language}_{part}": "" for language in ("en", "fr") for part in ("help", "link", "label")
    }
    return {**fields, **texts, "language": "en", **changes}


def saves(nadia: Administrator, *, to: str = "", logo: bytes | None = None, **changes: Any) -> int:
    """Send the form, by default to be published."""
    fields = {"csrf_token": nadia.browser.form_token, **typed(**changes)}
    nadia.browser.goes_to(f"{nadia.place}/branding{to}", "POST", **multipart(fields, logo))
    return nadia.status


def multipart(fields: dict[str, Any], logo: bytes | None) -> dict[str, Any]:
    """Return a form as a browser sends it where it may bring a file."""
    more = {} if logo is None else {"logo": FileStorage(io.BytesIO(logo), "logo.png")}
    boundary, body = encode_multipart({**fields, **more})
    kind = f"multipart/form-data; boundary={boundary}"
    return {"data": body, "headers": {"Content-Type": kind}}


def stored(harbor: Harbor) -> Any:
    rows = harbor.rows(sa.select(*Brand.__table__.columns))
    return rows[0] if rows else None


def events(harbor: Harbor) -> list[tuple[str, dict[str, Any]]]:
    chosen = sa.select(Event.kind, Event.detail).where(
        Event.kind.in_(["brand:changed", "brand:reset", "organization:updated"])
    )
    return [(kind, detail) for kind, detail in harbor.rows(chosen.order_by(Event.id))]


def screens(nadia: Administrator) -> list[str]:
    """Return the documents that the preview holds."""
    return [str(found["srcdoc"]) for tag, found in nadia.page.tags if tag == "iframe"]


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def refusal(data: bytes) -> str:
    with pytest.raises(Invalid) as caught:
        brand_logos.cleaned(data)
    return caught.value.message


# Saving


def test_a_brand_is_published_whole_and_the_record_names_what_changed(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    assert nadia.at("/branding").status == 200
    logo = picture()
    assert (
        saves(
            nadia,
            logo=logo,
            name="Harbor Port",
            colour=" #FFCC00 ",
            dark_colour="#ffdd55",
            en_help="Call us.\r\nWeekdays only.",
            en_link="https://help.harbor.example",
            en_label="Support",
            fr_help="Appelez-nous\u202f!",
        )
        == 200
    )
    assert nadia.browser.path.endswith("/branding")
    assert "Published: name, colour, dark colour, logo, help texts." in nadia.text
    brand = stored(harbor)
    assert (brand.colour, brand.dark_colour) == ("#ffcc00", "#ffdd55")
    assert opened(brand.logo).getpixel((100, 100)) == (*RED, 255)
    assert brand.texts == {
        "en": {
            "help": "Call us.\nWeekdays only.",
            "link": "https://help.harbor.example",
            "label": "Support",
        },
        "fr": {"help": "Appelez-nous\u202f!"},
    }
    assert events(harbor) == [
        ("organization:updated", {"changed": "name"}),
        ("brand:changed", {"changed": "colour dark_colour logo texts"}),
    ]
    assert (
        saves(
            nadia,
            name="Harbor Port",
            colour="#ffcc00",
            dark_colour="#ffdd55",
            en_help="Call us.\nWeekdays only.",
            en_link="https://help.harbor.example",
            en_label="Support",
            fr_help="Appelez-nous\u202f!",
        )
        == 200
    )
    assert "Nothing was changed" in nadia.text
    assert len(events(harbor)) == 2
    nadia.at("/audit")
    assert "Branding changed" in nadia.text


def test_a_logo_is_removed_and_everything_is_reset_after_a_question(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/branding")
    assert "Reset to" not in nadia.text
    saves(nadia, logo=picture(), colour="#ff0000")
    assert "Reset to" in nadia.text
    saves(nadia, colour="#ff0000", remove_logo="y")
    assert stored(harbor).logo is None
    nadia.at("/branding/reset")
    assert "Reset to Gatehouse’s look?" in nadia.text
    assert stored(harbor) is not None
    nadia.does("/branding/reset")
    assert stored(harbor) is None
    assert "Gatehouse’s look again" in nadia.text
    nadia.does("/branding/reset")
    assert [kind for kind, _ in events(harbor)] == ["brand:changed"] * 2 + ["brand:reset"]


@ONE_DATABASE
def test_the_colour_of_gatehouse_is_no_brand(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/branding")
    saves(nadia, colour="#0E5A6A")
    assert "Nothing was changed" in nadia.text
    assert stored(harbor) is None


@ONE_DATABASE
def test_everything_wrong_is_told_at_once_and_nothing_typed_is_lost(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/branding")
    status = saves(
        nadia,
        logo=picture(),
        name="",
        colour="red",
        dark_colour="#12345",
        en_help="x" * 301,
        en_link="http://help.example",
        fr_label="Aide",
    )
    assert status == 422
    assert nadia.page.title.startswith("Error")
    for told in (
        "Give it 1 to 100",
        "# and six digits",
        "at most 300 printable characters; these are 301",
        "Write an address such as https://",
        "“Aide” leads nowhere yet",
    ):
        assert told in nadia.text, told
    fields = nadia.page.forms[-1]["fields"]
    assert (fields["colour"], fields["dark_colour"], fields["fr_label"]) == (
        "red",
        "#12345",
        "Aide",
    )
    assert stored(harbor) is None
    # the logo was good: it comes along with the next round, and still counts
    kept = fields["kept_logo"]
    assert saves(nadia, kept_logo=kept) == 200
    assert opened(stored(harbor).logo).size == (200, 200)


@ONE_DATABASE
def test_what_a_hidden_field_brings_is_judged_like_a_file(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/branding")
    for junk in ("???", "AAAA", base64.b64encode(b"<svg onload=alert(1)>").decode()):
        saves(nadia, kept_logo=junk)
        assert stored(harbor) is None, junk
    assert nadia.status == 422
    assert saves(nadia, kept_logo=base64.b64encode(picture("GIF")).decode()) == 200
    assert opened(stored(harbor).logo).format == "PNG"


@ONE_DATABASE
def test_who_may_only_look_finds_nothing_to_press(harbor: Harbor) -> None:
    auditor = harbor.administrator(Role.AUDITOR)
    text = auditor.at("/branding").text
    main = text[text.index("<main") :].partition("<iframe")[0]
    assert "Save and publish" not in main
    assert "disabled" in main
    assert 'type="submit"' not in main
    assert len(screens(auditor)) == 2
    assert auditor.at("/branding/reset").status == 403
    helpdesk = harbor.administrator(Role.HELPDESK)
    assert helpdesk.at("/branding").status == 403
    assert helpdesk.at("/branding/sheet.css?colour=%23ff0000").status == 403
    for person in (auditor, helpdesk):
        for to in ("", "/preview", "/reset"):
            assert saves(person, to=to, colour="#ff0000") == 403
    assert stored(harbor) is None


# The logo (F73)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "1", "LA"])
def test_every_usual_picture_becomes_a_png(kind: str, mode: str) -> None:
    if (kind, mode) in {("JPEG", "RGBA"), ("JPEG", "P"), ("JPEG", "LA")}:
        return
    if mode == "CMYK" and kind != "JPEG":
        return
    image = opened(brand_logos.cleaned(picture(kind, (300, 200), mode)))
    assert (image.format, image.mode, image.size) == ("PNG", "RGBA", (256, 256))
    seen = image.getchannel("A")
    assert (seen.getpixel((0, 0)), seen.getpixel((128, 128))) == (0, 255)


def test_a_logo_keeps_nothing_but_pixels() -> None:
    from PIL.PngImagePlugin import PngInfo

    exif = Image.Exif()
    exif[0x010E], exif[0x8825] = "taken at the secret place", {1: "N"}
    info = PngInfo()
    info.add_text("Comment", "secret", zip=True)
    files = [
        picture("JPEG", exif=exif, comment=b"secret"),
        picture("PNG", exif=exif, pnginfo=info, icc_profile=b"secret"),
        picture("WEBP", exif=exif, xmp=b"secret"),
        picture("GIF", comment=b"secret"),
    ]
    for file in files:
        assert b"secret" in file or b"zTXt" in file
        drawn = brand_logos.cleaned(file)
        assert b"secret" not in drawn
        assert opened(drawn).info == {}
        assert not opened(drawn).getexif()


def test_a_photo_stands_upright() -> None:
    image = Image.new("RGB", (300, 200), RED)
    image.paste(BLUE, (0, 0, 150, 200))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    file = io.BytesIO()
    image.save(file, "PNG", exif=exif)
    drawn = opened(brand_logos.cleaned(file.getvalue()))
    assert drawn.getpixel((128, 10)) == (*BLUE, 255)
    assert drawn.getpixel((128, 245)) == (*RED, 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_a_film_the_first_picture_is_kept(kind: str) -> None:
    drawn = opened(brand_logos.cleaned(animation(kind)))
    assert getattr(drawn, "n_frames", 1) == 1
    assert drawn.getpixel((100, 100)) == (*RED, 255)


def test_what_hangs_on_a_picture_is_gone_after_it_is_drawn_anew() -> None:
    script = b"<html><script>alert(1)</script></html>"
    files = [
        picture("PNG") + script,
        picture("JPEG", comment=script),
        picture("GIF", comment=b"*/=1;alert(1)//" + script),
        picture("GIF").replace(b"GIF89a", b"GIF87a") + b"PK\3\4" + script,
    ]
    for file in files:
        assert b"<script>" in file
        drawn = brand_logos.cleaned(file)
        assert drawn.startswith(b"\x89PNG")
        assert b"script" not in drawn


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "SVG"),
        (
            b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x --><svg><script>alert(1)</script></svg>",
            "SVG",
        ),
        (b"<svg><foreignObject><body onload=alert(1)></foreignObject></svg>", "SVG"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "web page"),
        (b"<html><body>", "web page"),
        (b"%PDF-1.7", "PDF"),
        (b"", "empty"),
        (b"MZ\x90\0", "no picture"),
        (b"\x00" * 1000, "no picture"),
        (picture("BMP"), "no picture"),
        (picture("TIFF"), "no picture"),
        (picture("ICO"), "no picture"),
        (picture("PPM"), "no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 200\n", "no picture"),
        (picture()[:60], "damaged"),
        (picture("JPEG")[:-100], "damaged"),
        (picture(size=(143, 400)), "143 x 400"),
        (picture(size=(1, 1)), "at least 144 x 144"),
        (gif_bomb(), "too many pixels"),
        (gif_bomb(6_000), "too many pixels"),
        (png_bomb(), "too many pixels"),
        (png_bomb(12_000), "too many pixels"),
        (webp_bomb(b"VP8X"), "too many pixels"),
        (webp_bomb(b"VP8L"), "too many pixels"),
        (webp_bomb(b"VP8 "), "too many pixels"),
        (b"RIFF\0\0\0\0WEBP", "no picture"),
        (picture("PNG", (16, 4096 * 4096 // 16 + 1)), "too many pixels"),
        (b"\x89PNG" + b"0" * 2 * 1024 * 1024, "more than 2 MB"),
    ],
)
def test_what_is_no_small_picture_is_refused_with_the_reason(data: bytes, told: str) -> None:
    message = refusal(data)
    assert told in message
    if told in {"SVG", "web page", "PDF", "empty", "no picture", "damaged"}:
        assert "Use a PNG, JPEG, WebP or GIF picture." in message


def test_a_bomb_is_refused_before_anything_is_decoded() -> None:
    import tracemalloc

    tracemalloc.start()
    for bomb in (gif_bomb(), png_bomb(), *map(webp_bomb, (b"VP8X", b"VP8L", b"VP8 "))):
        refusal(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


@ONE_DATABASE
def test_a_file_is_long_only_on_this_page_and_only_for_who_may_send_it(harbor: Harbor) -> None:
    nadia, auditor = harbor.administrator(), harbor.administrator(Role.AUDITOR)
    noise = Image.effect_noise((1200, 1200), 90)
    file = io.BytesIO()
    noise.save(file, "PNG")
    large = file.getvalue()
    assert 1024**2 < len(large) < 2 * 1024**2
    nadia.at("/branding")
    assert saves(nadia, logo=large) == 200
    assert len(stored(harbor).logo) < 300_000
    for size in (2 * 1024 * 1024 + 1, 20 * 1024 * 1024):
        assert saves(nadia, logo=bytes(size)) == 422
        assert "more than 2 MB" in nadia.text
    auditor.at("/branding")
    assert saves(auditor, logo=large) == 403
    stranger = harbor.browser()
    sent = multipart({}, large)
    assert stranger.wire.request("POST", f"{nadia.place}/branding", **sent).status == 303
    long = typed(en_help="x" * 100_000)
    assert (
        nadia.browser.goes_to(f"{nadia.place}/administrators/invite", "POST", data=long).status
        == 413
    )


@ONE_DATABASE
def test_no_form_is_taken_without_its_token(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/branding")
    for to in ("", "/preview"):
        for token in ("", "made-up"):
            fields = typed(colour="#ff0000", csrf_token=token)
            reply = nadia.browser.goes_to(f"{nadia.place}/branding{to}", "POST", data=fields)
            assert reply.status == 400, to
    assert stored(harbor) is None


# Colours

TABLE = [
    # colour, text on the button in light and in dark, plainly changed: links, button on dark
    ("#ffffff", "#000000", "#000000", True, False),
    ("#000000", "#ffffff", "#ffffff", False, True),
    ("#ffff00", "#000000", "#000000", True, False),
    ("#0e5a6a", "#ffffff", "#ffffff", False, False),
    ("#ff0000", "#000000", "#000000", True, False),
    ("#0000ff", "#ffffff", "#ffffff", False, False),
    ("#767676", "#ffffff", "#ffffff", False, False),
    ("#0b1f3a", "#ffffff", "#ffffff", False, True),
    ("#ffc0cb", "#000000", "#000000", True, False),
]


@pytest.mark.parametrize(("colour", "on_light", "on_dark", "links", "button"), TABLE)
def test_text_and_links_are_chosen_for_a_colour(
    colour: str, on_light: str, on_dark: str, links: bool, button: bool
) -> None:
    light, dark = (brand_colours.shades(colour, scheme) for scheme in ("light", "dark"))
    assert (light.on_fill, dark.on_fill) == (on_light, on_dark)
    assert (light.moved_ink, dark.moved_fill) == (links, button)
    assert light.fill == colour
    assert not light.moved_fill


def test_whatever_the_colour_text_reaches_four_and_a_half_to_one() -> None:
    grid = ["00", "1c", "39", "55", "71", "8e", "aa", "c6", "e3", "ff"]
    for parts in itertools.product(grid, repeat=3):
        colour = "#" + "".join(parts)
        for scheme in ("light", "dark"):
            found = brand_colours.shades(colour, scheme)
            assert found.button >= 4.5, colour
            assert found.links >= 4.5, colour


@ONE_DATABASE
def test_contrast_is_what_wcag_says(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/branding")
    assert "Easy to read. Button text 7.8:1 on light" in nadia.text  # as in the mock-up
    assert "Links 7.8:1 on light, 9.3:1 on dark. At least 4.5:1 is needed." in nadia.text
    assert brand_colours.shades("#000000", "light").links == pytest.approx(21)
    assert brand_colours.shades("#767676", "light").button == pytest.approx(4.54, abs=0.01)
    saves(nadia, to="/preview", colour="#ffff00")
    assert "Links on light screens are darker, #696900" in nadia.text
    assert "only 1.1:1 on white" in nadia.text
    saves(nadia, to="/preview", colour="#ffffff")
    assert "hardly stands out" in nadia.text
    saves(nadia, to="/preview", colour="#000000")
    assert "The button on dark screens is lighter, #636363" in nadia.text
    saves(nadia, to="/preview", colour="#000000", dark_colour="#ffcc00")
    assert "lighter" not in nadia.text
    assert stored(harbor) is None


@ONE_DATABASE
@pytest.mark.parametrize(
    "colour",
    [
        "red",
        "#fff",
        "#12345",
        "#1234567",
        "#gggggg",
        "0e5a6a",
        "#0e5a6a;",
        "#0e5a6a\n}",
        "var(--x)",
        "#0e5a6a}*{display:none",
        "url(//evil.example)",
        "#\uff10e5a6a",
    ],
)
def test_nothing_but_six_digits_is_a_colour(harbor: Harbor, colour: str) -> None:
    with pytest.raises(Invalid):
        brand_colours.checked_colour("colour", colour + ("" if colour.strip() == colour else "x"))
    nadia = harbor.administrator()
    nadia.at("/branding")
    for name in ("colour", "dark_colour"):
        assert saves(nadia, **dict[str, Any]({name: colour + "!"})) == 422
    from urllib.parse import quote

    wrong = f"/branding/sheet.css?colour={quote(colour + '!')}"
    assert nadia.at(wrong).status == 404
    assert stored(harbor) is None


# Texts (F40, F67, F78)

SAFE = [
    "https://help.example.com",
    "https://help.example.com:8443/a?b=c#d",
    "mailto:help@example.com",
    "tel:+33123456789",
]
UNSAFE = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "http://help.example.com",
    "//help.example.com",
    "/help",
    "help.example.com",
    "https:help.example.com",
    "https://",
    "https://user@help.example.com",
    "https://help.example.com\\@evil.example",
    "https://help.example.com/<script>",
    "https://localhost",
    "https://help.example.com:99999",
    "mailto:help",
    "mailto:a@example.com?bcc=eve@evil.example",
    "mailto:a@example.com,b@example.com",
    "tel:javascript:alert(1)",
    "tel:1",
    "blob:https://help.example.com/x",
    "https://help.example.com/" + "x" * 500,
]


@ONE_DATABASE
def test_a_link_opens_a_page_a_letter_or_a_call(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/branding")
    for link in SAFE:
        assert saves(nadia, en_link=link) == 200, link
        assert stored(harbor).texts["en"]["link"] == link
    before = stored(harbor)
    for link in UNSAFE:
        assert saves(nadia, en_link=link) == 422, link
        assert not [doc for doc in screens(nadia) if html.escape(link) in doc], link
    assert stored(harbor) == before


def test_texts_may_not_be_long_or_unprintable() -> None:
    def wrong(**parts: str) -> list[str]:
        text = brand_texts.cleaned(HelpText(**{"link": SAFE[0], **parts}))
        return [invalid.field for invalid in brand_texts.faults("en", text)]

    assert wrong(help="x" * 301) == ["en_help"]
    assert wrong(label="x" * 61) == ["en_label"]
    for sign in ("\u202e", "\0", "\x1b", "\u200b"):
        assert wrong(help=f"a{sign}b") == ["en_help"]
        assert wrong(label=f"a{sign}b") == ["en_label"]
    assert wrong(help="é" * 299 + "\u202f", label="é" * 60) == []


# The preview


@ONE_DATABASE
def test_a_preview_shows_the_real_page_as_typed_and_keeps_nothing(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/branding")
    assert (
        saves(
            nadia,
            to="/preview",
            logo=picture(),
            name="Pier",
            colour="#ff0000",
            en_help="Call us.",
            fr_help="Appelez-nous.",
            page="recover",
            language="fr",
        )
        == 200
    )
    documents = screens(nadia)
    for scheme, document in zip(("light", "dark"), documents, strict=True):
        page = Page(document)
        assert page.attribute("html", "data-scheme") == scheme
        assert page.attribute("html", "lang") == "fr"
        assert page.heading == "Utiliser un code de récupération"
        assert "Vous you@example.com" in page.text
        assert "Pier" in page.text
        assert "Appelez-nous." in page.text
        assert "Call us." not in page.text
        assert str(page.attribute("img", "src")).startswith("data:image/png;base64,")
        assert f"{nadia.place}/branding/sheet.css?colour=%23ff0000" in document
    sheet = nadia.browser.wire.request(
        "GET",
        f"{nadia.place}/branding/sheet.css?colour=%23ff0000",
        cookies=dict(nadia.browser.cookies),
    )
    assert "--brand: #ff0000" in sheet.text
    assert sheet.headers["content-type"].startswith("text/css")
    assert "sandbox" in sheet.headers["content-security-policy"]
    assert sheet.headers["cache-control"] == "no-store"
    assert stored(harbor) is None
    assert events(harbor) == []
    assert harbor.rows(sa.select(Organization.name).where(Organization.domain == "harbor")) == [
        ("Harbor",)
    ]


@ONE_DATABASE
def test_a_preview_shows_each_page_and_what_is_wrong_as_published(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    nadia.at("/branding")
    saves(nadia, colour="#ff0000")
    for page, heading in {
        "challenge": "Enter the code from your authenticator app",
        "enroll": "Add your authenticator app",
        "recover": "Use a recovery code",
        "no such page": "Enter the code from your authenticator app",
        "../errors/error": "Enter the code from your authenticator app",
    }.items():
        assert saves(nadia, to="/preview", page=page, colour="wrong", language="xx") == 422
        assert {Page(document).heading for document in screens(nadia)} == {heading}
        assert all("colour=%23ff0000" in document for document in screens(nadia))


@ONE_DATABASE
def test_a_preview_tells_the_numbers_of_the_organization_s_own_settings(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        harbor.services.method_settings.change(
            tx, OPERATOR, harbor.organization, digits=8, period=60, recovery_codes=9
        )
    nadia = harbor.administrator()
    nadia.at("/branding")
    for page, words in (
        ("challenge", "Eight-digit code"),
        ("enroll", "a new code every 60 seconds"),
        ("recover", "You have 9 codes left."),
    ):
        saves(nadia, to="/preview", page=page)
        assert all(words in Page(document).text for document in screens(nadia)), page


@ONE_DATABASE
def test_nothing_in_a_preview_can_do_anything(harbor: Harbor) -> None:
    nadia = harbor.administrator()
    reply = nadia.at("/branding")
    token = nadia.browser.form_token
    frames = [found for tag, found in nadia.page.tags if tag == "iframe"]
    assert len(frames) == 2
    for page in ("challenge", "enroll", "recover"):
        saves(nadia, to="/preview", page=page, en_help=PAYLOAD[:300])
        for document in screens(nadia):
            assert token not in document
            assert "<script" not in document
            found = Page(document)
            assert "inert" in dict(next(it for tag, it in found.tags if tag == "body"))
            assert not [it for tag, it in found.tags for name in it if name.startswith("on")]
            assert all(not form["fields"].get("csrf_token") for form in found.forms)
            for form in found.forms:
                assert form["action"] in {"", "/gateway/preview/cancel"}
    for frame in frames:
        assert frame["sandbox"] == "allow-same-origin"  # and neither scripts nor forms
    policy = reply.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy  # F48: no page of ours is framed, not even by us
    assert "frame-src" not in policy


@ONE_DATABASE
def test_no_text_becomes_markup_or_a_template(harbor: Harbor) -> None:
    """F67 and F78, on the page itself and in its previews."""
    nadia = harbor.administrator()
    nadia.at("/branding")
    fields = {
        "name": PAYLOAD[:100],
        "en_help": PAYLOAD,
        "en_link": SAFE[0],
        "en_label": PAYLOAD[-60:],
    }
    assert saves(nadia, **dict[str, Any](fields)) == 200
    plain = harbor.administrator(Role.ADMINISTRATOR)
    shown = plain.at("/branding").text
    assert "<script>alert" not in shown
    assert str(8191 * 8191) not in shown
    for document in screens(plain):
        assert "<script>alert" not in document
        assert str(8191 * 8191) not in document
        assert PAYLOAD in Page(document).text
        assert not [tag for tag, found in Page(document).tags if found.get("src") == "x"]


@ONE_DATABASE
def test_a_page_of_another_organization_is_unknown(harbor: Harbor) -> None:
    with harbor.services.database.writing() as tx:
        pier = harbor.services.organizations.create(
            tx, OPERATOR, environment=harbor.organization.environment, name="Pier"
        )
    eve = harbor.administrator(Role.OWNER, "eve@pier.example", organization=pier)
    eve.at("/branding")
    eve.place = "/admin/sandbox/harbor"
    for to in ("", "/preview", "/reset"):
        assert saves(eve, to=to, colour="#ff0000") == 404
    assert eve.at("/branding/sheet.css?colour=%23ff0000").status == 404
    assert stored(harbor) is None
    assert isinstance(harbor.wire, InProcess)
