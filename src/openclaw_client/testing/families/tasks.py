"""tasks.*: what the gateway does on its own for somebody; here, every run that the method `agent` began.

Knows the fields of 2026.9.6, and the event `task`. Refuses to know how a run is performed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from openclaw_client.testing.callers import Caller, MethodError, Params, Switchboard
from openclaw_client.testing.registry import READ, Family, Method
from openclaw_client.testing.run import NO_ANSWER, Run
from openclaw_client.testing.run_events import agent_of

KEPT_TASKS: Final = 1_000
"""Tasks that are remembered, the oldest forgotten first; a test has a handful."""
PAGE: Final = 100
"""Tasks of one answer where the client names no number: the gateways' own."""


@dataclass(slots=True)
class Task:
    """One task. Times in milliseconds since 1970."""

    run: Run
    created_at: int
    updated_at: int
    started_at: int
    status: str = "running"
    summary: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def fields(self) -> Params:
        key, state = self.run.key, "finished" if self.status != "running" else "unknown"
        if self.status == "running" and self.run.state == "running":
            state = "running"
        return {
            "id": self.id,
            "taskId": self.id,
            "kind": "cli",
            "runtime": "cli",
            "status": self.status,
            "execution": {"state": state},
            "title": self.run.message,
            "agentId": agent_of(key),
            "sessionKey": key,
            "childSessionKey": key,
            "hasTranscript": True,
            "ownerKey": key,
            "runId": self.run.id,
            "sourceId": self.run.id,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
            "startedAt": self.started_at,
            **self.summary,
            "deliveryStatus": "not_applicable",
        }


class Tasks:
    """The tasks of one life of a gateway."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self._tasks: dict[str, Task] = {}
        """By id, the oldest first."""

    def methods(self) -> Family:
        return {"tasks.list": Method(self._list, READ), "tasks.get": Method(self._get, READ)}

    def begun(self, run: Run) -> Task:
        """A run was accepted."""
        now = self._board.now_ms()
        task = Task(run, now, now, now)
        if len(self._tasks) == KEPT_TASKS:
            del self._tasks[next(iter(self._tasks))]
        self._tasks[task.id] = task
        self._tell(task)
        return task

    def ended(self, task: Task) -> None:
        """The run of a task is over."""
        run = task.run
        task.updated_at, task.started_at = self._board.now_ms(), run.started_at or task.started_at
        if run.state == "aborted":
            task.status, told = "cancelled", {}
        elif run.error:
            task.status, told = "failed", {"error": run.error} if run.error != NO_ANSWER else {}
        else:
            task.status, told = "completed", {"terminalSummary": "completed"}
        task.summary = {"endedAt": run.ended_at, **told}
        self._tell(task)

    def _tell(self, task: Task) -> None:
        self._board.broadcast("task", {"action": "upserted", "task": task.fields()}, task.run.key)

    def _list(self, _caller: Caller, params: Params) -> Params:
        status = params.get("status")
        wanted = status if isinstance(status, list) else [status] if status is not None else None
        # In full: a short key is nobody's.
        key = params.get("sessionKey")
        found = [
            task.fields()
            for task in reversed(self._tasks.values())
            if wanted is None or task.status in wanted
            if key is None or task.run.key == key
            if params.get("agentId", "main") == agent_of(task.run.key)
        ]
        return {"tasks": found[: params.get("limit", PAGE)]}

    def _get(self, _caller: Caller, params: Params) -> Params:
        task = self._tasks.get(params["taskId"])
        if task is None:
            raise MethodError(f"task not found: {params['taskId']}")
        return {"task": task.fields()}
