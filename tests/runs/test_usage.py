"""Which model answered and what that took, by the rows of the answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs.usage import added, from_row, from_rows, row_of
from openclaw_client.wire.chat import MessageDetails
from openclaw_client.wire.history import HistoryMessage
from tests.wire.test_frames import texts, values

TEXT = {"type": "text", "text": "Hello"}
CALL = {"type": "toolCall", "id": "c1", "name": "read"}


def row(*content: dict[str, Any], **more: Any) -> HistoryMessage:
    return HistoryMessage({"role": "assistant", "content": list(content), **more})


def test_a_row_tells() -> None:
    found = row(TEXT, usage={"input": 3, "output": 4}, model="mock-1", provider="mock")
    assert from_row(found) == MessageDetails((TEXT,), {"input": 3, "output": 4}, "mock-1", "mock")
    assert from_row(row()) == MessageDetails()


def test_the_rows_of_a_run_with_tools_are_one_answer() -> None:
    rows = [
        row(CALL, usage={"input": 3, "cost": {"total": 0.5}}, model="small", provider="mock"),
        row(TEXT, usage={"input": 4, "cost": {"total": 0.25}}, model="large", provider="mock"),
        row(model="gateway-injected", provider="openclaw"),
    ]
    assert from_rows(rows) == MessageDetails((CALL, TEXT), {"input": 7, "cost": {"total": 0.75}}, "large", "mock")
    assert from_rows(rows[:1]) == from_row(rows[0])
    assert from_rows([]) == MessageDetails()


@pytest.mark.parametrize(
    ("usages", "total"),
    [
        ([], None),
        ([None], None),
        ([{"input": 3}], {"input": 3}),
        ([None, {"input": 3}, None], {"input": 3}),
        ([{"input": 3}, {"input": 4, "output": 5}, {"output": 6}], {"input": 7, "output": 11}),
        ([{"cost": {"a": 1, "b": 2}}, {"cost": {"b": 3, "c": 4}}], {"cost": {"a": 1, "b": 5, "c": 4}}),
        # No numbers, and numbers that no longer are any.
        ([{"input": "3"}, {"input": 4}], {"input": 4}),
        ([{"input": 3}, {"input": None}], {"input": None}),
        ([{"cached": True}, {"cached": True}], {"cached": True}),
        ([{"cost": {"a": 1}}, {"cost": 2}], {"cost": 2}),
        ([{"input": 10**400}, {"input": 0.5}], {"input": 0.5}),
    ],
)
def test_what_several_model_calls_took(usages: list[dict[str, Any] | None], total: dict[str, Any] | None) -> None:
    assert added(usages) == total


@given(usages=st.lists(st.none() | st.dictionaries(texts, values, max_size=3), max_size=4))
def test_any_usages_can_be_added(usages: list[dict[str, Any] | None]) -> None:
    total = added(usages)
    keys = {key for usage in usages if usage is not None for key in usage}
    assert (set() if total is None else set(total)) == keys


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"sessionKey": "agent:main:main", "message": {"role": "assistant"}, "messageId": "m1"}, {"role": "assistant"}),
        ({"message": "text"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_the_row_of_a_session_message(payload: object, expected: dict[str, Any] | None) -> None:
    assert row_of(payload) == expected
