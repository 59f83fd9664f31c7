"""Tools, thinking and status out of `agent` events."""

from __future__ import annotations

from typing import Any

from openclaw_client.runs.events import (
    RawEvent,
    RunEvent,
    RunStatus,
    ThinkingAppended,
    ToolFinished,
    ToolStarted,
    ToolUpdated,
)
from openclaw_client.wire.agent import AgentPayload

_SILENT_STREAMS = frozenset({"assistant", "usage", "lifecycle"})
"""The assistant's text comes as chat events too, and lifecycle says what the chat states say."""


class ToolTracker:
    """Knows which tools of a run are under way, so that a repeated phase gives no second event."""

    __slots__ = ("_finished", "_names")

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._finished: set[str] = set()

    def receive(self, run_id: str, payload: AgentPayload) -> RunEvent | None:
        """The event that an agent event stands for; None where it tells nothing that chat events don't."""
        if payload.stream in _SILENT_STREAMS:
            return None
        data = payload.fields()
        if payload.stream == "tool":
            return self._tool(run_id, data)
        if payload.stream == "thinking":
            text = data.get("delta")
            return ThinkingAppended(run_id, text) if isinstance(text, str) and text else None
        if payload.stream == "run_status":
            phase = data.get("phase")
            return RunStatus(run_id, phase) if isinstance(phase, str) else None
        return RawEvent(run_id, f"agent.{payload.stream}", data)

    def _tool(self, run_id: str, data: dict[str, Any]) -> RunEvent | None:
        call_id, phase = data.get("toolCallId"), data.get("phase")
        if not isinstance(call_id, str) or not call_id:
            return RawEvent(run_id, "agent.tool", data)
        name = data.get("name")
        known = self._names.get(call_id)
        name = name if isinstance(name, str) and name else known or "tool"
        if phase == "start":
            if known is not None:
                return None
            self._names[call_id] = name
            return ToolStarted(run_id, call_id, name, data.get("args"))
        if phase == "result":
            if call_id in self._finished:
                return None
            self._finished.add(call_id)
            self._names.setdefault(call_id, name)
            failed = data.get("isError") is True
            return ToolFinished(run_id, call_id, name, data.get("result"), failed)
        return None if call_id in self._finished else ToolUpdated(run_id, call_id, name, data)
