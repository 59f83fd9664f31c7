"""What is said of a message that holds more than text."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_client.runs.blocks import beside_text, text_and_blocks

IMAGE = {"type": "image", "data": "iVBORw0KGgo="}


@pytest.mark.parametrize(
    ("types", "told"),
    [
        ((), ""),
        (("text", "thinking", "toolCall", ""), ""),
        (("image",), "image"),
        (("text", "image", "audio", "image"), "2 images, audio"),
        (("input_image", "image_url", "image"), "3 images"),
        (("audio", "audio", "canvas", "canvas"), "2 audio clips, 2 canvases"),
        (("c" * 99,), "c" * 40),
    ],
)
def test_what_is_no_text_is_told_by_its_type(types: tuple[str, ...], told: str) -> None:
    assert beside_text([{"type": kind} for kind in types]) == told


@pytest.mark.parametrize(
    ("message", "text", "content"),
    [
        ({}, "", ()),
        ({"content": "words"}, "words", ({"type": "text", "text": "words"},)),
        ({"content": [IMAGE]}, "", (IMAGE,)),
        ({"content": [IMAGE], "text": "beside"}, "beside", (IMAGE,)),
    ],
)
def test_a_message_in_two(message: dict[str, Any], text: str, content: tuple[dict[str, Any], ...]) -> None:
    assert text_and_blocks(message) == (text, content)
