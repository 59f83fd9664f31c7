"""What the stylesheet promises: text that can be read in both schemes."""

from __future__ import annotations

import re

import pytest

from examples.webchat.app import STATIC

READABLE = 4.5
"""The contrast that WCAG 2.2 wants of text (AA)."""

PAIRS = [
    ("ink", "paper"),
    ("ink", "raised"),
    ("ink", "mine"),
    ("ink", "sunken"),
    ("soft", "paper"),
    ("soft", "raised"),
    ("soft", "sunken"),
    ("accent", "paper"),
    ("accent", "mine"),
    ("accent-ink", "accent"),
    ("bad", "paper"),
    ("bad", "raised"),
    ("good", "raised"),
    ("warn-ink", "warn"),
    ("paper", "ink"),
]


def schemes() -> dict[str, dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", (STATIC / "style.css").read_text(), re.DOTALL)
    colours = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in (light, dark)]
    return {"light": colours[0], "dark": {**colours[0], **colours[1]}}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_contrast(scheme: str, text: str, ground: str) -> None:
    colours = schemes()[scheme]
    brighter, darker = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
    assert (brighter + 0.05) / (darker + 0.05) >= READABLE
