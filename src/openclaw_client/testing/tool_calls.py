"""Calls of tools that nodes serve, as one run makes them: the events that it shows, and what the model is told.

Knows the words that the gateways put around what a node says. Refuses to know connections.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

from openclaw_client.testing.invokes import Invocation, InvokeEnd
from openclaw_client.testing.nodes import Nodes
from openclaw_client.testing.offers import OfferedTool
from openclaw_client.testing.run import Run
from openclaw_client.testing.turn import ToolAnswer, tool_error

TOOL_SECONDS: Final = 120.0
"""How long a tool of a node may take; the gateways' own number."""
_NOTHING: Final = "MCP tool completed without returning content."
_NOTHING_FAILED: Final = "MCP tool failed without returning content."


class ToolCaller:
    """Calls tools for one turn."""

    def __init__(self, run: Run, nodes: Nodes) -> None:
        self._run = run
        self._nodes = nodes

    def offered(self) -> dict[str, OfferedTool]:
        return self._nodes.offered()

    async def call_tool(self, call: str, name: str, arguments: Mapping[str, Any], seconds: float | None) -> ToolAnswer:
        tool = self._nodes.offered().get(name)
        if tool is None:
            blocks, error = [_text(f"Tool {name} not found")], True
        else:
            wish = self._wish(call, tool, arguments, TOOL_SECONDS if seconds is None else seconds)
            end = await self._nodes.invokes.invoke(tool.node_id, wish)
            blocks, error = _told(name, end)
        result = {"phase": "result", "name": name, "toolCallId": call, "isError": error, "result": {"content": blocks}}
        self._run.show_tool(result)
        return answer_of(blocks, is_error=error)

    def _wish(self, call: str, tool: OfferedTool, arguments: Mapping[str, Any], seconds: float) -> Invocation:
        mcp = tool.published.get("mcp")
        params: Any = dict(arguments)
        if mcp is not None:
            params = {"server": mcp["server"], "tool": mcp["tool"], "arguments": params}
        # Of the model, which counts its calls anew in each run: two calls may have the same.
        key = f"tool_search_code:{call}:{tool.name}:1" if self._run.profile.tool_search else call
        command = tool.published["command"]
        return Invocation(command=command, params=params, key=key, session_key=self._run.key, seconds=seconds)


def _told(name: str, end: InvokeEnd) -> tuple[list[dict[str, Any]], bool]:
    """What the model is told of a call, and whether that is an error."""
    if not end.ok:
        message = f"{end.code}: {end.message}" if end.code else end.message or "node invoke failed"
        return [_text(tool_error(name, message))], True
    if not isinstance(end.payload, dict):
        return [_text(json.dumps(end.payload, indent=2))], False
    failed = end.payload.get("isError") is True
    content = end.payload.get("content")
    blocks = [_block(one) for one in content] if isinstance(content, list) else []
    structured = end.payload.get("structuredContent")
    if isinstance(structured, dict):
        plain = json.dumps(structured, indent=2)
        whole = json.dumps(structured, indent=2, sort_keys=True)
        blocks = [_text(f"structuredContent:\n{whole}"), *(one for one in blocks if one.get("text") != plain)]
    return blocks or [_text(_NOTHING_FAILED if failed else _NOTHING)], failed


def _block(block: Any) -> dict[str, Any]:
    """A block of content as the model gets it: text or an image; what else it is, it is written out."""
    if isinstance(block, dict):
        if block.get("type") == "text" and isinstance(block.get("text"), str):
            return _text(block["text"])
        if (
            block.get("type") == "image"
            and isinstance(block.get("data"), str)
            and isinstance(block.get("mimeType"), str)
        ):
            return {"type": "image", "data": block["data"], "mimeType": block["mimeType"]}
    return _text(json.dumps(block, separators=(",", ":"), ensure_ascii=False))


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def answer_of(blocks: list[dict[str, Any]], *, is_error: bool) -> ToolAnswer:
    """What an agent gets of these blocks of content."""
    text = "\n".join(block["text"] for block in blocks if block["type"] == "text")
    images = tuple((_decoded(block["data"]), block["mimeType"]) for block in blocks if block["type"] == "image")
    return ToolAnswer(text, is_error, images)


def _decoded(data: str) -> bytes:
    """The bytes of an image; b"" for what is no base64, which the model would not see either."""
    try:
        return base64.b64decode(data, validate=True)
    except (ValueError, binascii.Error):
        return b""
