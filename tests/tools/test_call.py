"""What a function is told of its call."""

from __future__ import annotations

import math
from typing import Any

import pytest

from openclaw_client import ToolCall


def call(**fields: Any) -> ToolCall:
    return ToolCall(tool="stock", arguments={"pin": "4711"}, **fields)


def test_the_time_that_is_left() -> None:
    now = 100.0
    one = call(deadline=130.0, clock=lambda: now)
    assert one.seconds_left == 30
    now = 131.0
    assert one.seconds_left == 0
    assert call().seconds_left == math.inf


def test_a_call_is_cancelled_once_and_for_all() -> None:
    one = call(call_id="c1")
    assert not one.cancelled
    one._cancel()
    one._cancel()
    assert one.cancelled
    assert repr(one) == "<ToolCall stock c1 cancelled>"


def test_nothing_of_people_is_shown() -> None:
    one = call(session_key="agent:main:web:ann", user="ann", call_id="c1")
    assert repr(one) == "<ToolCall stock c1>"
    assert repr(call(call_id="c1\nERROR forged")) == "<ToolCall stock c1 ERROR forged>"
    assert not hasattr(one, "__dict__")


def test_arguments_are_the_call_s_own() -> None:
    given: dict[str, Any] = {"sku": "x"}
    one = ToolCall(tool="stock", arguments=given)
    given["sku"] = "y"
    assert one.arguments == {"sku": "x"}
    with pytest.raises(TypeError):
        one.arguments["sku"] = "z"  # type: ignore[index]
