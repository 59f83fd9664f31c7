"""What a run is doing now, out of real events only: for a status line, a typing indicator, a "still working" note."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from openclaw_client.runs.events import (
    ApprovalEvent,
    ApprovalRequested,
    QuestionAsked,
    QuestionEvent,
    RawEvent,
    RunEvent,
    RunStatus,
    ToolFinished,
    ToolStarted,
)

ActivityKind = Literal[
    "queued",
    "starting",
    "thinking",
    "writing",
    "tool",
    "awaiting_approval",
    "awaiting_answer",
    "waiting",
    "reconnecting",
    "over",
]


@dataclass(frozen=True, slots=True)
class Activity:
    """What a run is doing.

    Attributes:
        kind: "queued": nothing was heard of the run yet. "waiting": another run of the session goes on; the message
            goes out behind it, or is answered within it or after it. "over": it ended, whichever way. The others say
            it themselves.
        detail: What it is about: the phase of "starting", the tool of "tool", the command of "awaiting_approval", the
            header of "awaiting_answer".
    """

    kind: ActivityKind
    detail: str | None = None


QUEUED, THINKING, WRITING = Activity("queued"), Activity("thinking"), Activity("writing")
WAITING = Activity("waiting")
RECONNECTING, OVER = Activity("reconnecting"), Activity("over")


class ActivityTracker:
    """Told of every event but text, which is too frequent: that text came is seen by its length."""

    __slots__ = ("_approvals", "_asked", "_last", "_length", "_tools", "command")

    def __init__(self) -> None:
        # The command of the latest tool that has one.
        self.command: str | None = None
        self._tools: dict[str, str] = {}
        self._asked: dict[str, Activity] = {}
        self._approvals: dict[str, str | None] = {}
        self._last: RunEvent | None = None
        self._length = 0

    def note(self, event: RunEvent, length: int) -> None:
        """An event that is no text; length of the text when it came."""
        if isinstance(event, RawEvent) and not self._approval(event):
            return
        if isinstance(event, ToolStarted):
            self._tools[event.call_id] = event.name
            command = event.args.get("command") if isinstance(event.args, dict) else None
            self.command = command if isinstance(command, str) else self.command
        elif isinstance(event, ToolFinished):
            self._tools.pop(event.call_id, None)
            self._approvals.pop(event.call_id, None)
        self._last, self._length = event, length

    def note_interaction(self, event: ApprovalEvent | QuestionEvent) -> None:
        """The run waits for a person's answer, or has it."""
        if isinstance(event, ApprovalRequested):
            approval = event.approval
            self._asked[approval.id] = Activity("awaiting_approval", approval.command or approval.title)
        elif isinstance(event, QuestionAsked):
            self._asked[event.question.id] = Activity("awaiting_answer", event.question.header or event.question.text)
        elif event.type == "approval_resolved":
            self._asked.pop(event.approval.id, None)
        else:
            self._asked.pop(event.question.id, None)

    def note_approval(self, data: Mapping[str, Any]) -> None:
        """A lifecycle event "waiting-approval" or "approval-resolved" (2026.9.6)."""
        key = str(data.get("toolCallId") or "")
        if data.get("phase") == "waiting-approval":
            self._approvals[key] = self.command
        else:
            self._approvals.pop(key, None)

    @property
    def waits_for_a_person(self) -> bool:
        return bool(self._asked)

    def now(self, length: int) -> Activity:
        """What the run does, given the length of its text."""
        if self._asked:
            return next(reversed(self._asked.values()))
        if self._approvals:
            return Activity("awaiting_approval", next(reversed(self._approvals.values())))
        if length != self._length:
            # Also with a tool that is not known to have ended: its end can be lost.
            return WRITING
        if self._tools:
            return Activity("tool", next(reversed(self._tools.values())))
        if self._last is None:
            return QUEUED
        return Activity("starting", self._last.phase) if isinstance(self._last, RunStatus) else THINKING

    def _approval(self, event: RawEvent) -> bool:
        """An approval that a command waits for, or its end (agent stream "approval" of 2026.9.6)."""
        data = event.payload
        if event.name != "agent.approval" or not isinstance(data, dict):
            return False
        key = str(data.get("toolCallId") or data.get("itemId") or "")
        if data.get("phase") == "requested" and data.get("status") == "pending":
            title = data.get("title")
            self._approvals[key] = title if isinstance(title, str) else "approval"
        else:
            self._approvals.pop(key, None)
        return True
