"""What a gateway and a node host say to each other: tools that are offered, calls of them, and their results.

Lenient towards the gateway: a call is one if it has an id. Knows no function and no host. Seen on 2026.8.1 and
2026.9.6, older releases refuse it all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from openclaw_client.errors.peer_text import cut, one_line
from openclaw_client.wire.bounds import too_many_values
from openclaw_client.wire.frames import UNDECODABLE
from openclaw_client.wire.limits import MAX_SESSION_KEY

INVOKE_REQUEST: Final = "node.invoke.request"
INVOKE_CANCEL: Final = "node.invoke.cancel"
PAIR_RESOLVED: Final = "node.pair.resolved"
"""Events."""

UPDATE_TOOLS: Final = "node.pluginTools.update"
INVOKE_RESULT: Final = "node.invoke.result"
"""Methods."""

TOOL_COMMAND: Final = "mcp.tools.call.v1"
"""The command by which tools are called. A gateway lets nodes have those of its own list only."""
PLUGIN_ID: Final = "node-mcp"
"""The id of the gateway's own node host, which its tool policies can name; under a restricted profile tools of other
ids pass by their own names only."""

MAX_IDENT: Final = 256
"""Characters of the ids of calls and nodes; gateways' have 36 and 64."""
MAX_WORD: Final = 64
"""Characters of a decision or an error's code that are kept."""
MAX_PARAMS: Final = 4_194_304
"""Characters of the parameters of a call: a model writes them, and no model writes a million tokens."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call that the gateway asks for.

    Attributes:
        id: The gateway's id of this call; the only thing by which a frame that comes twice is known.
        node_id: Whom it is for, to be sent back.
        command: What is to be done; `TOOL_COMMAND` for a call of a tool.
        params: Its parameters as JSON; "" where there are none.
        timeout: Seconds that the gateway waits; None where it does not say. May be negative.
        session_key: The session in which it is called; None where the gateway does not say, or what it says is none.
    """

    id: str
    node_id: str
    command: str
    params: str = field(default="", repr=False)
    timeout: float | None = None
    session_key: str | None = None


@dataclass(frozen=True, slots=True)
class ToolParams:
    """The parameters of a call of a tool."""

    server: str
    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)


def invocation_from(payload: Any) -> Invocation | None:
    """The call of `INVOKE_REQUEST`; None where nothing could be answered."""
    if not isinstance(payload, Mapping):
        return None
    ident, node_id = _ident(payload.get("id")), _ident(payload.get("nodeId"))
    if ident is None or node_id is None:
        return None
    key = payload.get("sessionKey")
    return Invocation(
        ident,
        node_id,
        _word(payload.get("command")),
        params if isinstance(params := payload.get("paramsJSON"), str) else "",
        _seconds(payload.get("timeoutMs")),
        # A key that was cut could be another session's.
        key if isinstance(key, str) and key and len(key) <= MAX_SESSION_KEY else None,
    )


def tool_params_from(params: str) -> ToolParams | None:
    """What a call of a tool says; None where it cannot be read, is too long, or names no tool."""
    if len(params) > MAX_PARAMS:
        return None
    try:
        data = params.encode()
        # The frame was looked at as a whole; within it this was one text.
        found = None if too_many_values(data) else msgspec.json.decode(data)
    except UNDECODABLE:
        return None
    if not isinstance(found, dict):
        return None
    tool, server, arguments = found.get("tool"), found.get("server"), found.get("arguments")
    if not isinstance(tool, str) or not tool or not isinstance(arguments, dict | None):
        return None
    return ToolParams(server if isinstance(server, str) else "", tool, arguments or {})


def cancelled_id(payload: Any) -> str | None:
    """The id of the call that `INVOKE_CANCEL` ends."""
    return _ident(payload.get("invokeId")) if isinstance(payload, Mapping) else None


def decision_from(payload: Any) -> str | None:
    """The decision of `PAIR_RESOLVED`: "approved", "rejected", or another word; None where there is none."""
    found = payload.get("decision") if isinstance(payload, Mapping) else None
    return _word(found) or None


def counted_tools(payload: Any) -> tuple[str, ...]:
    """The names of the tools that count, from the answer to `UPDATE_TOOLS`; of a longer list the first ones."""
    rows = payload.get("tools") if isinstance(payload, Mapping) else None
    names = [row.get("name") if isinstance(row, Mapping) else row for row in rows] if isinstance(rows, list) else []
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str) and 0 < len(name) <= MAX_IDENT))


def tool_entry(server: str, name: str, description: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A tool as `UPDATE_TOOLS` has it."""
    return {
        "pluginId": PLUGIN_ID,
        "name": name,
        "description": description,
        "parameters": parameters,
        "command": TOOL_COMMAND,
        "mcp": {"server": server, "tool": name},
    }


def content_result(ident: str, node_id: str, content: Sequence[Mapping[str, Any]], *, failed: bool) -> dict[str, Any]:
    """`INVOKE_RESULT` of a call that was made. failed: the content says what went wrong, in plain text to the model."""
    payload: dict[str, Any] = {"content": list(content)}
    if failed:
        payload["isError"] = True
    return {"id": ident, "nodeId": node_id, "ok": True, "payload": payload}


def refused_result(ident: str, node_id: str, code: str, message: str) -> dict[str, Any]:
    """`INVOKE_RESULT` of a call that was not made. A gateway puts a notice about untrusted content around the words."""
    return {"id": ident, "nodeId": node_id, "ok": False, "error": {"code": code, "message": message}}


def is_ignored(payload: Any) -> bool:
    """Whether the answer to `INVOKE_RESULT` says that nobody waited for it any more."""
    return isinstance(payload, Mapping) and payload.get("ignored") is True


def _ident(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MAX_IDENT else None


def _word(value: Any) -> str:
    return cut(one_line(value), MAX_WORD) if isinstance(value, str) else ""


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        seconds = float(value) / 1000
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) else None
