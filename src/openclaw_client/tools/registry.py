"""The tools of one host."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from openclaw_client.errors import UsageError
from openclaw_client.os_threads import lock
from openclaw_client.tools.names import MAX_TOOLS
from openclaw_client.tools.tool import Tool
from openclaw_client.wire.nodes import tool_entry

AnyTool = Tool[..., Any]


class Registry:
    """From any thread. coroutines: whether tools may be `async def`."""

    def __init__(self, *, coroutines: bool) -> None:
        self._coroutines = coroutines
        self._lock = lock()
        self._tools: dict[str, AnyTool] = {}

    @property
    def tools(self) -> tuple[AnyTool, ...]:
        return tuple(self._tools.values())

    def find(self, name: str) -> AnyTool | None:
        return self._tools.get(name)

    def add(self, tools: Iterable[AnyTool]) -> None:
        """Add all of them, or raise UsageError and add none."""
        with self._lock:
            # A new one, for it is read without the lock.
            together = dict(self._tools)
            for tool in tools:
                self._check(tool)
                # A gateway makes no difference between a and A, and gives both tools other names.
                same = next((name for name in together if name.lower() == tool.name.lower()), None)
                if same is not None:
                    raise UsageError(
                        message=f"this host has a tool {same} already",
                        remedy="Remove the other one first, or give this one another name with name=",
                    )
                together[tool.name] = tool
            if len(together) > MAX_TOOLS:
                raise UsageError(
                    message=f"these are {len(together)} tools, and gateways take {MAX_TOOLS}",
                    remedy="Leave some out: a model chooses badly among so many",
                )
            self._tools = together

    def remove(self, name: str) -> None:
        """Raises UsageError where there is none of this name."""
        with self._lock:
            together = dict(self._tools)
            if together.pop(name, None) is None:
                raise UsageError(message=f"this host has no tool {name!r}", remedy="Pass the name of one of its tools")
            self._tools = together

    def entries(self, server: str) -> list[dict[str, Any]]:
        """The list as it is published."""
        return [tool_entry(server, tool.name, tool.description, tool.parameters) for tool in self.tools]

    def _check(self, tool: object) -> None:
        if not isinstance(tool, Tool):
            what = getattr(tool, "__qualname__", None) or type(tool).__name__
            raise UsageError(
                message=f"{what} is no tool", remedy="Put @tool above the function, or pass tool(function)"
            )
        if not self._coroutines and (tool.is_coroutine or inspect.iscoroutinefunction(tool.approve)):
            raise UsageError(
                message=f"the tool {tool.name} is an `async def`, which a blocking host cannot run",
                remedy="Pass a plain function, or use AsyncToolHost",
            )
