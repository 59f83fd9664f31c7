"""What of a docstring is for the model."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from openclaw_client import ToolCall, tool
from openclaw_client.tools.docstring import read_docstring
from tests.tools.kinds import Point

LONG = """How many pieces of an article are in stock.

    Counts what is reserved, too.

    Args:
        sku: The article's number,
            as on its label: two
            letters first.
        warehouse (Literal["main"], optional): Which one.
        *rest: More.
        no entry at all
        empty:

    Returns:
        count: What is not for the model.

    Raises:
        ValueError: Never.
    """


def test_the_text_ends_where_the_sections_begin() -> None:
    docs = read_docstring(LONG)
    assert docs.text == "How many pieces of an article are in stock.\n\nCounts what is reserved, too."
    assert docs.parameters == {
        "sku": "The article's number, as on its label: two letters first.",
        "warehouse": "Which one.",
        "rest": "More.",
        "empty": "",
    }


@pytest.mark.parametrize(
    ("docstring", "text", "parameters"),
    [
        (None, "", {}),
        ("", "", {}),
        ("One line.", "One line.", {}),
        ("\nArgs:\n    a: b", "", {"a": "b"}),
        ("Note: this is text.\n\nArgs: and this.", "Note: this is text.\n\nArgs: and this.", {}),
        ("Text.\n\nArguments:\n  a: b\n\nKeyword Args:\n  c: d\n", "Text.", {"a": "b", "c": "d"}),
        ("Text.\n\nReturns:\n  a: b\nMore text.", "Text.", {}),
        ("Text.\n\nArgs:\n  a: b\nc: not a parameter\n", "Text.", {"a": "b"}),
        ("Text.\n\nArgs:\n    none\n\nReturns:\n    a: b", "Text.", {}),
        ("Text.\n\nArgs:\n    deeper\n  a: b", "Text.", {"a": "b"}),
    ],
)
def test_shapes_of_docstrings(docstring: str | None, text: str, parameters: dict[str, str]) -> None:
    docs = read_docstring(docstring)
    assert (docs.text, docs.parameters) == (text, parameters)


@given(st.text(st.sampled_from("Args: \n\tabc*()[]Returns")) | st.text())
def test_no_docstring_breaks_anything(docstring: str) -> None:
    read_docstring(docstring)


def test_lines_describe_parameters_that_nothing_else_describes() -> None:
    @tool
    def stock(
        call: ToolCall,
        sku: Annotated[str, "the number"],
        place: Point,
        pieces: Annotated[int, Meta(description="how many")] = 1,
        note: str = "",
    ) -> None:
        """In stock.

        Args:
            call: The call.
            sku: Not this.
            place: Of it.
            pieces: Not this.
            note: For people.
            gone: No parameter.
        """

    properties: dict[str, Any] = stock.parameters["properties"]
    assert {name: one["description"] for name, one in properties.items()} == {
        "sku": "the number",
        "place": "Of it.",
        "pieces": "how many",
        "note": "For people.",
    }
