"""Calls of tools that nodes serve, as one run makes them: by their names, or through the search for tools.

Knows the events that a call shows. Refuses to know connections, and what becomes of a result.
"""

from __future__ import annotations

from typing import Any, Final

from openclaw_client.testing.argument_check import checked
from openclaw_client.testing.invokes import InvokeWish
from openclaw_client.testing.nodes import Nodes
from openclaw_client.testing.offers import DIRECT_TOOLS, OfferedTool
from openclaw_client.testing.run import Run
from openclaw_client.testing.tool_results import Told, failed_call, refused, result_of, search_result
from openclaw_client.testing.turn import StartTool, ToolAnswer

TOOL_SECONDS: Final = 120.0
"""How long a tool of a node may take; the gateways' own number."""
SEARCH_CALL: Final = "tool_call"
"""The tool through which those are called that a model has to search for."""


class ToolCaller:
    """Calls tools for one turn."""

    def __init__(self, run: Run, nodes: Nodes) -> None:
        self._run = run
        self._nodes = nodes

    def offered(self) -> dict[str, OfferedTool]:
        return self._nodes.offered()

    async def call_tool(
        self, start: StartTool, name: str, arguments: dict[str, Any], *, seconds: float | None, call_id: str | None
    ) -> ToolAnswer:
        seconds = TOOL_SECONDS if seconds is None else seconds
        if self._run.profile.tool_search:
            return await self._through_search(start, name, arguments, seconds, call_id)
        call = start(name, arguments, call_id=call_id)
        told = await self._by_name(call, name, arguments, seconds)
        if told.failure:
            told = failed_call(name, told.failure)
        self._finish(call, name, told)
        return told.answer()

    async def _by_name(self, call: str, name: str, arguments: dict[str, Any], seconds: float) -> Told:
        tool = self._nodes.offered().get(name)
        if tool is None:
            return refused(f"Tool {name} not found")
        strange = self._run.profile.names_strange_arguments
        params, wrong = checked(name, tool.parameters, arguments, names_strange=strange)
        return refused(wrong) if wrong else await self._invoked(call, tool, params, seconds)

    async def _through_search(
        self, start: StartTool, name: str, arguments: dict[str, Any], seconds: float, call_id: str | None
    ) -> ToolAnswer:
        call = start(SEARCH_CALL, {"id": name, "args": arguments}, call_id=call_id)
        tool = self._nodes.offered().get(name)
        if name in DIRECT_TOOLS or tool is None:
            why = f"Unknown tool id: {name}. Use tool_search to find a tool."
            if name in DIRECT_TOOLS:
                why = f"Ambiguous tool name: {name}; use an exact tool id."
            outer = failed_call(SEARCH_CALL, why)
            self._finish(call, SEARCH_CALL, outer)
            return outer.answer()
        inner = f"tool_search_code:{call}:{tool.name}:1"
        shown = {"name": tool.name, "toolCallId": inner, "parentToolCallId": call, "args": arguments}
        self._run.show_tool({"phase": "start", **shown})
        # Nobody looks at the arguments first.
        told = await self._invoked(inner, tool, arguments, seconds)
        self._finish(inner, tool.name, told, parent=call)
        outer = failed_call(SEARCH_CALL, told.failure) if told.failure else search_result(tool, told)
        self._finish(call, SEARCH_CALL, outer)
        return told.answer(outer)

    async def _invoked(self, key: str, tool: OfferedTool, params: Any, seconds: float) -> Told:
        """Call the node. key: the id of the model's call. It counts anew in each run: two calls may have the same."""
        mcp = tool.published.get("mcp")
        if mcp is not None:
            params = {"server": mcp["server"], "tool": mcp["tool"], "arguments": params}
        command = tool.published["command"]
        wish = InvokeWish(command=command, params=params, key=key, session_key=self._run.key, seconds=seconds)
        end = await self._nodes.invokes.invoke(tool.node_id, wish)
        return result_of(end, {"mcpServer": mcp["server"], "mcpTool": mcp["tool"]} if mcp else {})

    def _finish(self, call: str, name: str, told: Told, *, parent: str | None = None) -> None:
        ended: dict[str, Any] = {"phase": "result", "name": name, "toolCallId": call}
        if parent is not None:
            ended["parentToolCallId"] = parent
        ended |= {"isError": told.error, "commandBearing": False}
        self._run.show_tool({**ended, "result": {"content": told.shown(), "details": told.details}})
