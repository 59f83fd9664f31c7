"""Payloads between a gateway and a node host, in and out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.wire import nodes
from openclaw_client.wire.bounds import LONG, MAX_VALUES
from openclaw_client.wire.nodes import Invocation, ToolParams

REQUEST = {
    "id": "3f",
    "nodeId": "a1",
    "command": "mcp.tools.call.v1",
    "paramsJSON": '{"server":"shop","tool":"stock","arguments":{"sku":"7"}}',
    "timeoutMs": 119_984,
    "idempotencyKey": "call_5",
    "sessionKey": "agent:main:main",
}
"""As 2026.9.6 sends it."""

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*REQUEST, "tools", "x"]), inner),
)


def test_a_call_as_it_comes() -> None:
    call = nodes.invocation_from(REQUEST)
    assert call == Invocation("3f", "a1", "mcp.tools.call.v1", REQUEST["paramsJSON"], 119.984, "agent:main:main")
    assert nodes.tool_params_from(call.params) == ToolParams("shop", "stock", {"sku": "7"})
    assert "sku" not in repr(call)
    assert "7" not in repr(nodes.tool_params_from(call.params))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"id": ""}, None),
        ({"id": "x" * 257}, None),
        ({"id": 7}, None),
        ({"nodeId": None}, None),
        ({"timeoutMs": -5}, {"timeout": -0.005}),
        ({"timeoutMs": True}, {"timeout": None}),
        ({"timeoutMs": "10"}, {"timeout": None}),
        ({"timeoutMs": 10**400}, {"timeout": None}),
        ({"timeoutMs": float("inf")}, {"timeout": None}),
        ({"sessionKey": ""}, {"session_key": None}),
        ({"sessionKey": "k" * 513}, {"session_key": None}),
        ({"sessionKey": ["agent:main:main"]}, {"session_key": None}),
        ({"paramsJSON": {"tool": "stock"}}, {"params": ""}),
        ({"command": None}, {"command": ""}),
        ({"command": "a\nb" * 100}, {"command": ("a b" * 100).replace("ba", "ba")[:64] + "… (300 characters)"}),
    ],
)
def test_a_call_that_is_not_as_it_should_be(change: dict[str, Any], found: dict[str, Any] | None) -> None:
    call = nodes.invocation_from({**REQUEST, **change})
    assert (call is None) == (found is None)
    for name, value in (found or {}).items():
        assert getattr(call, name) == value


@pytest.mark.parametrize(
    "params",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        "{}",
        '{"tool": ""}',
        '{"tool": 7}',
        '{"tool": "stock", "arguments": []}',
        '{"tool": "stock", "arguments": "x"}',
        "[" * 100_000,
        '{"tool": "\ud800"}',
        "x" * (nodes.MAX_PARAMS + 1),
        '{"tool": "stock", "arguments": {"a": [' + "1," * MAX_VALUES + "1" * LONG + "]}}",
    ],
    ids=range(14),
)
def test_parameters_that_name_no_call(params: str) -> None:
    assert nodes.tool_params_from(params) is None


@pytest.mark.parametrize("params", ['{"tool":"t"}', '{"tool":"t","server":3,"arguments":null}'])
def test_what_may_be_left_out(params: str) -> None:
    assert nodes.tool_params_from(params) == ToolParams("", "t", {})


@given(anything)
def test_nothing_that_comes_raises(payload: Any) -> None:
    nodes.invocation_from(payload)
    nodes.cancelled_id(payload)
    nodes.decision_from(payload)
    nodes.counted_tools(payload)
    nodes.is_ignored(payload)


@given(anything)
def test_what_is_invoked_may_be_anything(payload: Any) -> None:
    nodes.tool_params_from(json.dumps(payload, ensure_ascii=False))


def test_the_tools_that_count() -> None:
    sent = nodes.tool_entry("shop", "stock", "How many.", {"type": "object"})
    assert sent["pluginId"] == "node-mcp"
    assert sent["mcp"] == {"server": "shop", "tool": "stock"}
    rows = [sent, {"name": "book"}, "sell", sent, {"name": 7}, None, {"name": ""}, {"name": "x" * 257}]
    assert nodes.counted_tools({"nodeId": "a1", "tools": rows}) == ("stock", "book", "sell")
    assert nodes.counted_tools({"tools": None}) == ()


def test_what_is_answered() -> None:
    content = [{"type": "text", "text": "3"}]
    assert nodes.content_result("3f", "a1", content, failed=False) == {
        "id": "3f",
        "nodeId": "a1",
        "ok": True,
        "payload": {"content": content},
    }
    assert nodes.content_result("3f", "a1", content, failed=True)["payload"]["isError"] is True
    assert nodes.refused_result("3f", "a1", "NODE_NOT_READY", "leaving") == {
        "id": "3f",
        "nodeId": "a1",
        "ok": False,
        "error": {"code": "NODE_NOT_READY", "message": "leaving"},
    }


def test_the_other_words_of_a_gateway() -> None:
    assert nodes.cancelled_id({"invokeId": "3f", "nodeId": "a1"}) == "3f"
    assert nodes.cancelled_id({}) is None
    assert nodes.decision_from({"decision": "approved"}) == "approved"
    assert nodes.decision_from({"decision": ""}) is None
    assert nodes.is_ignored({"ok": True, "ignored": True})
    assert not nodes.is_ignored({"ok": True})
