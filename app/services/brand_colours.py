"""What becomes of an organization's colours on the hosted pages, and how well they can be read.

The same sums as in the tokens of `static/css/gatehouse.css`: change them together.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from app.errors import Invalid

GATEHOUSE = "#0e5a6a"
"""The colour of pages without a brand."""

ENOUGH = 4.5
"""Contrast of text that WCAG 2.2 asks for (criterion 1.4.3)."""

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_SURFACES = {"light": "#ffffff", "dark": "#1c1d1a"}
"""`--surface`: what buttons and links stand on."""

_WHITE_BELOW = 0.183
"""White reads better on a fill of less luminance, black on one of more."""
_MOST_INK_LUMINANCE = 0.13
_LEAST_DARK_FILL, _LEAST_DARK_INK, _MOST_DARK_CHROMA = 0.5, 0.8, 0.12
_VISIBLE = 0.1
"""Distance in OKLab from which on two colours are plainly not the same."""

Linear = tuple[float, float, float]
"""Red, green and blue as amounts of light, 0 to 1."""


@dataclass(frozen=True, kw_only=True)
class Shades:
    """What one colour becomes on light, or on dark, screens.

    Attributes:
        chosen: as it was typed.
        fill: of the main button.
        on_fill: of the text on it.
        ink: of links, focus and progress.
        button: contrast of the text on the button.
        links: contrast of a link on the card.
        bare: contrast that the colour itself would have there.
        moved_fill: whether the button plainly has another colour than the chosen one.
        moved_ink: whether links plainly have.
        lost: whether the button is hard to tell from the card.
    """

    chosen: str
    fill: str
    on_fill: str
    ink: str
    button: float
    links: float
    bare: float
    moved_fill: bool
    moved_ink: bool
    lost: bool


def checked_colour(field: str, typed: str) -> str | None:
    """Return a colour as we keep it; None where nothing was typed.

    Raises:
        Invalid: it is not `#` and six digits of base 16.
    """
    colour = typed.strip().lower()
    if not colour:
        return None
    if not _COLOUR.fullmatch(colour):
        raise Invalid(field, "write it as # and six digits 0 to 9 or a to f, such as #0e5a6a.")
    return colour


def shades(colour: str, scheme: str) -> Shades:
    """Return what a colour becomes on screens of this scheme, `light` or `dark`."""
    chosen, surface = _parse(colour), _parse(_SURFACES[scheme])
    fill, ink = (_light if scheme == "light" else _dark)(chosen)
    text: Linear = (1, 1, 1) if _luminance(fill) < _WHITE_BELOW else (0, 0, 0)
    fill, ink = _clipped(fill), _clipped(ink)
    return Shades(
        chosen=colour,
        fill=_written(fill),
        on_fill=_written(text),
        ink=_written(ink),
        button=_contrast(fill, text),
        links=_contrast(ink, surface),
        bare=_contrast(chosen, surface),
        moved_fill=_distance(fill, chosen) > _VISIBLE,
        moved_ink=_distance(ink, chosen) > _VISIBLE,
        lost=_distance(fill, surface) < _VISIBLE,
    )


def sheet(colour: str, dark_colour: str | None) -> str:
    """Return the style sheet that gives hosted pages these colours.

    Browsers that can't mix colours get the light look, with text and links that we chose.
    """
    light = shades(colour, "light")
    both = f"light-dark({colour}, {dark_colour})" if dark_colour else colour
    modern = "(color: light-dark(red, color(from red xyz-d65 x y z)))"
    return (
        f":root {{ --brand: {colour}; }}\n"
        f"@supports {modern} {{ :root {{ --brand: {both}; }} }}\n"
        f"@supports not {modern} {{ :root {{ --on-fill: {light.on_fill};"
        f" --brand-ink: {light.ink}; }} }}\n"
    )


def _light(chosen: Linear) -> tuple[Linear, Linear]:
    luminance = _luminance(chosen)
    cap = min(1.0, _MOST_INK_LUMINANCE / luminance) if luminance else 1.0
    red, green, blue = chosen
    return chosen, (red * cap, green * cap, blue * cap)


def _dark(chosen: Linear) -> tuple[Linear, Linear]:
    lightness, a, b = _oklab(chosen)
    chroma, hue = math.hypot(a, b), math.atan2(b, a)
    fill = _from_oklch(max(lightness, _LEAST_DARK_FILL), chroma, hue)
    ink = _from_oklch(max(lightness, _LEAST_DARK_INK), min(chroma, _MOST_DARK_CHROMA), hue)
    return fill, ink


def _parse(colour: str) -> Linear:
    """Return the light of `#rrggbb` (IEC 61966-2-1)."""
    red, green, blue = (_lit(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return red, green, blue


def _lit(value: float) -> float:
    return float(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)


def _written(light: Linear) -> str:
    return "#" + "".join(f"{round(255 * _coded(value)):02x}" for value in light)


def _coded(light: float) -> float:
    return float(12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


def _clipped(light: Linear) -> Linear:
    red, green, blue = (min(1.0, max(0.0, value)) for value in light)
    return red, green, blue


def _luminance(light: Linear) -> float:
    red, green, blue = light
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: Linear, other: Linear) -> float:
    """Return the contrast ratio of WCAG 2.2."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _distance(one: Linear, other: Linear) -> float:
    return math.dist(_oklab(one), _oklab(other))


def _oklab(light: Linear) -> Linear:
    """Return lightness, a and b (CSS Color 4, section 9.2)."""
    red, green, blue = light
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _from_oklch(lightness: float, chroma: float, hue: float) -> Linear:
    """Return the light, which may leave what a screen can show."""
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
