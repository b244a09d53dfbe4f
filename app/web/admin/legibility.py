"""How well a brand's colours can be read, in words."""

from __future__ import annotations

from dataclasses import dataclass

from app.services.brand_colours import ENOUGH, Shades, shades
from app.services.brands import Look


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the branding page says about two colours.

    Attributes:
        tone: `ok`, or `warn` where something is not as it was chosen.
        strong: the verdict itself.
        ratios: the figures behind it.
        remarks: what was changed and why.
        light: colour of the button on light screens.
        dark: the same on dark ones.
    """

    tone: str
    strong: str
    ratios: str
    remarks: list[str]
    light: str
    dark: str


def verdict(look: Look) -> Verdict:
    """Return what to say about the colours of a look."""
    light = shades(look.main_colour, "light")
    dark = shades(look.dark_colour or look.main_colour, "dark")
    remarks = [*_on_light(light), *_on_dark(dark, own=look.dark_colour is not None)]
    return Verdict(
        tone="warn" if remarks else "ok",
        strong="Easy to read, but not as you chose." if remarks else "Easy to read.",
        ratios=(
            f"Button text {light.button:.1f}:1 on light, {dark.button:.1f}:1 on dark. "
            f"Links {light.links:.1f}:1 on light, {dark.links:.1f}:1 on dark. "
            f"At least {ENOUGH}:1 is needed."
        ),
        remarks=remarks,
        light=light.fill,
        dark=dark.fill,
    )


def _on_light(light: Shades) -> list[str]:
    told = []
    if light.lost:
        told.append("The button hardly stands out from the white card. Choose a stronger colour.")
    if light.moved_ink:
        told.append(
            f"Links on light screens are darker, {light.ink}: the colour itself has only "
            f"{light.bare:.1f}:1 on white."
        )
    return told


def _on_dark(dark: Shades, *, own: bool) -> list[str]:
    if not dark.moved_fill:
        return []
    advice = "" if own else " Choose a colour for dark screens if you want another."
    return [f"The button on dark screens is lighter, {dark.fill}, or it would be lost.{advice}"]
