"""Whole messages out of runs that nobody here asked for: injected ones, other clients', sub-agents', heartbeats.

Each message is handed out once. A run of one's own never becomes one: finished runs stay in a bounded table, without a
clock, because a late event may come minutes after the end.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

from openclaw_client.runs.events import RunCompleted
from openclaw_client.runs.fold import RunFold
from openclaw_client.wire.chat import ChatPayload

INJECT_PREFIX = "inject-"
"""The run id of an injected message is this and the message's id (observed on four releases)."""
MAX_FINISHED = 4096
"""Run ids are about 40 bytes; this many cover hours of a busy user, and gateways forget their own after 1,000."""
MAX_OPEN = 256
"""Foreign runs under way at once. A gateway rarely runs more than a few; the oldest is given up beyond that."""

Kind = Literal["injected", "subagent", "heartbeat", "cron", "run"]


@dataclass(frozen=True, slots=True)
class ProactiveMessage:
    """A whole message that no call of this client asked for.

    id stays the same when the message is met again. kind: "injected" (chat.inject), "subagent", "heartbeat", "cron",
    or "run" for another client's run.
    """

    id: str
    text: str
    session_key: str
    run_id: str
    kind: Kind
    stop_reason: str | None = None


class BoundedSet:
    """The last `limit` strings that were added."""

    __slots__ = ("_items", "_limit")

    def __init__(self, limit: int) -> None:
        self._items: OrderedDict[str, None] = OrderedDict()
        self._limit = limit

    def add(self, item: str) -> None:
        self._items[item] = None
        self._items.move_to_end(item)
        if len(self._items) > self._limit:
            self._items.popitem(last=False)

    def discard(self, item: str) -> None:
        self._items.pop(item, None)

    def __contains__(self, item: str) -> bool:
        return item in self._items

    def __len__(self) -> int:
        return len(self._items)


class ProactiveAssembler:
    """Folds foreign runs; `receive` returns a message when one is whole."""

    __slots__ = ("_finished", "_heartbeats", "_open")

    def __init__(self) -> None:
        self._open: OrderedDict[str, tuple[RunFold, str]] = OrderedDict()
        self._finished = BoundedSet(MAX_FINISHED)
        self._heartbeats = BoundedSet(MAX_OPEN)

    def finished(self, run_id: str) -> None:
        """A run of this client ended: nothing that comes late for it is a message."""
        self._finished.add(run_id)
        self._open.pop(run_id, None)

    def reopened(self, run_id: str) -> None:
        """A run id is in use again (2026.6.1 runs an aborted key anew)."""
        self._finished.discard(run_id)

    def knows(self, run_id: str) -> bool:
        """Whether a run is over here: this client's own, or one whose message was handed out."""
        return run_id in self._finished

    def hears(self, run_id: str) -> bool:
        """Whether the beginning of a run was heard, and not its end."""
        return run_id in self._open

    def open_sessions(self) -> list[str]:
        """The sessions of the runs that are heard."""
        return [session_key for _, session_key in self._open.values()]

    def heartbeat(self, run_id: str) -> None:
        """An agent event said that this run is a heartbeat's."""
        self._heartbeats.add(run_id)

    def receive(self, payload: ChatPayload) -> ProactiveMessage | None:
        """A chat event of a run that is not this client's; the message where this event completes one."""
        run_id = payload.run_id
        if not run_id or run_id in self._finished:
            return None
        known = self._open.get(run_id)
        if known is None:
            known = self._open[run_id] = RunFold(run_id), payload.session_key
            if len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
        fold = known[0]
        fold.chat(payload)
        outcome = fold.outcome
        if outcome is None:
            return None
        del self._open[run_id]
        self._finished.add(run_id)
        if not isinstance(outcome, RunCompleted) or not outcome.text:
            return None
        return ProactiveMessage(
            id=run_id.removeprefix(INJECT_PREFIX),
            text=outcome.text,
            session_key=payload.session_key,
            run_id=run_id,
            kind=self._kind(payload),
            stop_reason=outcome.stop_reason,
        )

    def _kind(self, payload: ChatPayload) -> Kind:
        if payload.run_id.startswith(INJECT_PREFIX):
            return "injected"
        if payload.spawned_by:
            return "subagent"
        if payload.run_id in self._heartbeats:
            return "heartbeat"
        return kind_of_session(payload.session_key)


def kind_of_session(session_key: str) -> Kind:
    """What the session says about a message in it: cron jobs and sub-agents have sessions of their own."""
    if ":cron:" in session_key:
        return "cron"
    return "subagent" if ":subagent:" in session_key else "run"
