"""What the model gets of what a function returned or raised."""

from __future__ import annotations

import base64
import enum
import math
import pickle
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client import ToolError, ToolResult
from openclaw_client.errors import UsageError
from openclaw_client.errors.peer_text import SHOWN
from openclaw_client.tools.results import MAX_TYPE_NAME, content_of, error_text
from tests.tools.json_values import json_values

PNG = b"\x89PNG"


class Colour(enum.StrEnum):
    RED = "red"


class OldColour(str, enum.Enum):  # noqa: UP042
    RED = "red"


@dataclass
class Stock:
    sku: str
    day: date


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (None, []),
        ("", []),
        ("three\n", ["three\n"]),
        ("größe 😀", ["größe 😀"]),
        ("half \ud800 a character", ["half � a character"]),
        (Colour.RED, ["red"]),
        (OldColour.RED, ["red"]),
        (3, ["3"]),
        (0, ["0"]),
        (False, ["false"]),
        ([], ["[]"]),
        (math.nan, ["null"]),
        ({"sku": "ä", "day": date(2026, 9, 6)}, ['{"sku":"ä","day":"2026-09-06"}']),
        (Stock("x", date(2026, 9, 6)), ['{"sku":"x","day":"2026-09-06"}']),
        (ToolResult(), []),
        (ToolResult("three"), ["three"]),
    ],
)
def test_the_text_of_a_result(value: object, texts: list[str]) -> None:
    content = content_of(value, max_bytes=1000)
    assert content == [{"type": "text", "text": text} for text in texts]
    assert all(type(one["text"]) is str for one in content)
    msgspec.json.encode(content)


def test_images_follow_the_text() -> None:
    assert content_of(ToolResult("a plan", [(PNG, "image/png")]), max_bytes=1000) == [
        {"type": "text", "text": "a plan"},
        {"type": "image", "data": base64.b64encode(PNG).decode(), "mimeType": "image/png"},
    ]
    assert [one["type"] for one in content_of(ToolResult(images=((PNG, "image/png"),)), max_bytes=1000)] == ["image"]
    # What a tool returns is people's own.
    assert repr(ToolResult("a plan", [(PNG, "image/png")])) == "ToolResult()"


@pytest.mark.parametrize(
    ("value", "size"),
    [("x" * 20, 20), ("ä" * 10, 20), (["x" * 16], 20), (ToolResult("x" * 8, [(b"y" * 9, "image/png")]), 20)],
)
def test_what_is_too_large_is_an_error_that_says_so(value: object, size: int) -> None:
    assert content_of(value, max_bytes=size)
    with pytest.raises(ToolError, match=f"The result has {size} bytes, and {size - 1} are allowed: ask for less"):
        content_of(value, max_bytes=size - 1)


@pytest.mark.parametrize(
    "value", [object(), {"a": object()}, b"x", bytearray(b"x"), memoryview(b"x"), ["\ud800"], {1.5: {2, object}}]
)
def test_what_is_no_json_is_an_error_that_names_its_type(value: object) -> None:
    with pytest.raises(ToolError) as refused:
        content_of(value, max_bytes=1000)
    assert f"cannot be written as JSON ({type(value).__name__})" in str(refused.value)


def test_a_result_that_holds_itself_is_an_error() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ToolError, match="cannot be written as JSON"):
        content_of(value, max_bytes=1000)


@given(json_values)
def test_json_comes_out_as_it_was(value: Any) -> None:
    content = content_of([value], max_bytes=1 << 20)
    assert msgspec.json.decode(content[0]["text"]) == [value]


@given(st.text(st.characters()), st.integers(0, 40))
def test_no_text_breaks_the_frame_or_its_bound(text: str, most: int) -> None:
    try:
        content = content_of(text, max_bytes=most)
    except ToolError:
        assert len(text.encode(errors="surrogatepass")) > most
    else:
        assert sum(len(one["text"].encode()) for one in content) <= most
        msgspec.json.encode(content)


@pytest.mark.parametrize(
    ("text", "images", "said"),
    [
        (5, (), "text of a ToolResult is of type int"),
        ("", 5, "no pair of bytes and MIME type"),
        ("", [PNG], "no pair of bytes and MIME type"),
        ("", [(PNG,)], "no pair of bytes and MIME type"),
        ("", [("PNG", "image/png")], "no pair of bytes and MIME type"),
        ("", [(PNG, "text/plain")], "no pair of bytes and MIME type"),
        ("", [(PNG, None)], "no pair of bytes and MIME type"),
    ],
)
def test_a_result_of_wrong_parts_is_refused_where_it_is_made(text: Any, images: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ToolResult(text, images)


class TestErrors:
    def test_the_words_of_a_tool_error_are_told(self) -> None:
        assert error_text("stock", ToolError("no article x\nTry y."), host="shop") == "no article x\nTry y."
        assert error_text("stock", ToolError(""), host="shop") == "stock failed"
        assert str(pickle.loads(pickle.dumps(ToolError("no article")))) == "no article"
        assert error_text("stock", ToolError("\ud800"), host="shop") == "�"

    def test_a_tool_error_that_cannot_say_what_is_wrong_is_one(self) -> None:
        class Mute(ToolError):
            def __str__(self) -> str:
                raise AttributeError(self)

        assert error_text("stock", Mute("no article"), host="shop") == "stock failed"

    def test_of_other_errors_their_class_is_told(self) -> None:
        error = ValueError("the password is 4711")
        assert error_text("stock", error, host="shop") == "stock failed (ValueError); see the log of shop"
        assert (
            error_text("stock", KeyboardInterrupt(), host="shop")
            == "stock failed (KeyboardInterrupt); see the log of shop"
        )

    @pytest.mark.parametrize("error", [ToolError("x" * 100_000), type("E" * 5000, (Exception,), {})("secret")])
    def test_what_is_told_is_bounded(self, error: Exception) -> None:
        text = error_text("stock", error, host="shop")
        assert len(text) < SHOWN + MAX_TYPE_NAME
        assert "secret" not in text
