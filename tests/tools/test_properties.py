"""What a schema admits a call takes, and nothing that a model sends breaks anything."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw_client import ToolCall, ToolError, tool
from openclaw_client.errors.peer_text import SHOWN
from openclaw_client.tools.tool import Tool
from tests.tools.json_values import admits, instances, json_values
from tests.tools.kinds import KINDS, Node, Rope


def taking(kind: Any) -> Tool[..., Any]:
    def take(it: Any) -> Any:
        return it

    take.__annotations__ = {"it": kind}
    return tool(take, description="Takes it.")


TOOLS = {name: taking(kind) for name, kind in KINDS.items()}

FEW = settings(max_examples=30)
"""There are thirty types."""


def huge(value: Any) -> bool:
    """Whether a number in it is a float that cannot count whole numbers."""
    if isinstance(value, dict | list):
        return any(map(huge, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float) and abs(value) >= 2**53


def bound(one: Tool[..., Any], arguments: Any) -> Any:
    args, kwargs = one.bind(ToolCall(tool=one.name, arguments=arguments))
    return one(*args, **kwargs)


@pytest.mark.parametrize("name", TOOLS)
@FEW
@given(data=st.data())
def test_what_the_schema_admits_is_what_a_call_takes(name: str, data: st.DataObject) -> None:
    one = TOOLS[name]
    arguments = data.draw(instances(one.parameters))
    assert admits(one.parameters, arguments)
    msgspec.convert(bound(one, arguments), KINDS[name])
    # And the same as it comes over the wire.
    bound(one, msgspec.json.decode(msgspec.json.encode(arguments)))


@pytest.mark.parametrize("name", TOOLS)
@FEW
@given(data=st.data())
def test_arguments_survive_the_way_to_the_model_and_back(name: str, data: st.DataObject) -> None:
    one = TOOLS[name]
    value = bound(one, data.draw(instances(one.parameters)))
    arguments = msgspec.json.decode(msgspec.json.encode({"it": value}))
    assert admits(one.parameters, arguments)
    assert bound(one, arguments) == value


@pytest.mark.parametrize("name", [*TOOLS, "node", "rope"])
@FEW
@given(arguments=json_values | st.fixed_dictionaries({"it": json_values}))
def test_no_arguments_break_anything(name: str, arguments: Any) -> None:
    one = {"node": taking(Node), "rope": taking(Rope), **TOOLS}[name]
    if not isinstance(arguments, dict):
        arguments = {"it": arguments}
    try:
        bound(one, arguments)
        refusal = None
    except ToolError as error:
        refusal = str(error)
    if refusal is not None:
        assert 0 < len(refusal) <= SHOWN + 40
        assert "\n" not in refusal
        # Formats are not looked at, a recursive type is any object in its schema, and JSON takes 1e300 for an integer.
        looser = name in ("node", "rope") or "format" in str(one.parameters)
        assert looser or huge(arguments) or not admits(one.parameters, arguments)


@given(secret=st.text(st.characters(categories=("Lu",)), min_size=8, max_size=30))
def test_a_refusal_does_not_quote_what_is_of_the_wrong_type(secret: str) -> None:
    for name in ("int", "list", "dataclass", "dict", "date", "bounded", "short", "tuple"):
        with pytest.raises(ToolError) as refused:
            bound(TOOLS[name], {"it": secret})
        assert secret not in str(refused.value)


@given(name=st.text(min_size=1), times=st.integers(1, 10_000))
def test_an_unknown_argument_is_refused_in_a_bounded_text(name: str, times: int) -> None:
    with pytest.raises(ToolError) as refused:
        bound(TOOLS["int"], {"it": 1, f"more {name * times}": 2})
    assert len(str(refused.value)) <= SHOWN + 40
