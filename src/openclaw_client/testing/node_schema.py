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
    """The rule of each method, of releases that were looked at."""
    if not profile.node_surfaces:
        return {}
    request = Fields({"requestId": _FILLED}, ("requestId",))
    node = Fields({"nodeId": _FILLED}, ("nodeId",))
    pairing = {"node.pair.approve": request, "node.pair.reject": request, "node.pair.remove": node}
    rules: dict[str, Fields | None] = {"node.pair.list": Fields(), **pairing}
    return rules | _tool_rules(node) if profile.node_tools else rules


def _tool_rules(node: Fields) -> dict[str, Fields | None]:
    """Those that concern tools."""
    progress: dict[str, Rule] = {"invokeId": _FILLED, "nodeId": _FILLED, "seq": Whole(low=0)}
    progress["chunk"] = Text(high=LONGEST_CHUNK)
    return {
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
    pairing = ("node.pair.requested", "node.pair.resolved") if profile.node_surfaces else ()
    return (*pairing, *(("node.invoke.cancel", "node.invoke.request") if profile.node_tools else ()))
