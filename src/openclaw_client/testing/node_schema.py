"""The closed parameters of the methods about nodes, and the events that hello names for them."""

from __future__ import annotations

from openclaw_client.testing.offers import LONGEST_NAME, NAME
from openclaw_client.testing.schema import Anything, Fields, Flag, Items, Rule, Text, Whole
from openclaw_client.testing.traits import Profile

LONGEST_CHUNK = 16_384
"""Characters of one node.invoke.progress."""
_FILLED = Text(low=1)
_TOOL = Fields(
    {
        "pluginId": _FILLED,
        "name": Text(low=1, high=LONGEST_NAME, pattern=NAME),
        "description": _FILLED,
        "parameters": Fields(open=True),
        "command": _FILLED,
        "mcp": Fields({"server": _FILLED, "tool": _FILLED}, ("server", "tool")),
    },
    ("pluginId", "name", "description"),
)
_RESULT: dict[str, Rule] = {
    "id": _FILLED,
    "nodeId": _FILLED,
    "ok": Flag(),
    "payload": Anything(),
    "payloadJSON": Text(),
    "error": Fields({"code": _FILLED, "message": _FILLED}),
}
_INVOKE: dict[str, Rule] = {
    "nodeId": _FILLED,
    "command": _FILLED,
    "params": Anything(),
    "timeoutMs": Whole(low=0),
    "idempotencyKey": _FILLED,
    "sessionKey": _FILLED,
    "turnSourceChannel": Text(),
    "turnSourceTo": Text(),
    "turnSourceAccountId": Text(),
    "turnSourceThreadId": Anything(),
}


def node_rules(profile: Profile) -> dict[str, Fields | None]:
    """The rule of each method, on releases whose nodes may publish tools: others were not looked at."""
    if not profile.node_tools:
        return {}
    request = Fields({"requestId": _FILLED}, ("requestId",))
    node = Fields({"nodeId": _FILLED}, ("nodeId",))
    progress: dict[str, Rule] = {"invokeId": _FILLED, "nodeId": _FILLED, "seq": Whole(low=0)}
    progress["chunk"] = Text(high=LONGEST_CHUNK)
    return {
        "node.pair.list": Fields(),
        "node.pair.approve": request,
        "node.pair.reject": request,
        "node.pair.remove": node,
        "node.list": Fields(),
        "node.describe": node,
        "node.invoke": Fields(_INVOKE, ("nodeId", "command", "idempotencyKey")),
        "node.pluginTools.update": Fields({"tools": Items(_TOOL)}, ("tools",)),
        "node.invoke.result": Fields(_RESULT, ("id", "nodeId", "ok")),
        "node.invoke.progress": Fields(progress, ("invokeId", "nodeId", "seq", "chunk")),
        "tools.effective": Fields({"sessionKey": _FILLED, "agentId": _FILLED}, ("sessionKey",)),
    }


def node_events(profile: Profile) -> tuple[str, ...]:
    """The events that hello names."""
    if not profile.node_tools:
        return ()
    return ("node.pair.requested", "node.pair.resolved", "node.invoke.cancel", "node.invoke.request")
