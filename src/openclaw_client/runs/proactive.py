"""Whole messages out of runs that nobody here asked for: injected ones, other clients', sub-agents', heartbeats.

Each message is handed out once. A run of one's own never becomes one: finished runs stay in a bounded table, without a
clock, because a late event may come minutes after the end.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from openclaw_client.runs.application import Application
from openclaw_client.runs.events import RunCompleted
from openclaw_client.runs.fold import RunFold
from openclaw_client.wire.chat import ChatPayload, shows_anything

INJECT_PREFIX = "inject-"
"""The run id of an injected message is this and the message's id (observed on four releases)."""
MAX_FINISHED = 4096
"""Run ids are about 40 bytes; this many cover hours of a busy user, and gateways forget their own after 1,000."""
MAX_OPEN = 256
"""Foreign runs under way at once. A gateway rarely runs more than a few; the oldest is given up beyond that."""

MAX_OPEN_TEXT = 16_777_216
"""Characters of such runs together. Beyond that, too, the oldest is given up; what it says is whole again with its next
event, which has the text so far, or at its end."""
MAX_RUN_ID = 512
"""Characters of a run's id that is remembered. Gateways make UUIDs; clients' keys, which are ids as well, may be
longer."""

Kind = Literal["injected", "subagent", "heartbeat", "cron", "run", "reply"]


@dataclass(frozen=True, slots=True)
class ProactiveMessage:
    """A whole message that no call of this client asked for.

    Attributes:
        id: The same when the message is met again.
        text: Its text; "" for one that is only an image or a sound.
        session_key: The session in which it was said.
        run_id: The run that said it.
        kind: "injected" (chat.inject), "subagent", "heartbeat", "cron", "reply" for the run of another process of this
            application (`application=`), or "run" for any other client's run.
        stop_reason: Why the model stopped, in the gateway's words.
        content: Its blocks as the gateway sent them: texts, images, … .
        delivery: How often it is handed out with this: more than once only with a journal, where a handler raised or
            its process ended.
    """

    id: str
    text: str
    session_key: str
    run_id: str
    kind: Kind
    stop_reason: str | None = None
    content: tuple[Mapping[str, Any], ...] = ()
    delivery: int = 1


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


class _OpenRun:
    """A run of which the beginning was heard, and not the end. heard_at: when something of it came last."""

    __slots__ = ("fold", "heard_at", "session_key", "size")

    def __init__(self, run_id: str, session_key: str) -> None:
        self.fold = RunFold(run_id)
        self.session_key = session_key
        self.heard_at = 0.0
        self.size = 0


class ProactiveAssembler:
    """Folds foreign runs; `receive` returns a message when one is whole."""

    __slots__ = ("_application", "_finished", "_heartbeats", "_held", "_open")

    def __init__(self, application: Application | None = None) -> None:
        self._application = application
        self._open: OrderedDict[str, _OpenRun] = OrderedDict()
        self._held = 0
        self._finished = BoundedSet(MAX_FINISHED)
        self._heartbeats = BoundedSet(MAX_OPEN)

    def finished(self, run_id: str) -> None:
        """A run of this client ended: nothing that comes late for it is a message."""
        self._finished.add(run_id)
        self._close(run_id)

    def reopened(self, run_id: str) -> None:
        """A run id is this client's own from now on: sent, sent again (2026.6.1 runs an aborted key anew), followed."""
        self._finished.discard(run_id)
        self._close(run_id)

    def is_known(self, run_id: str) -> bool:
        """Whether a run is over here: this client's own, or one whose message was handed out."""
        return run_id in self._finished

    def has_open(self, run_id: str) -> bool:
        """Whether the beginning of a run was heard, and not its end."""
        return run_id in self._open

    def open_sessions(self) -> list[str]:
        """The sessions of the runs that are heard."""
        return [one.session_key for one in self._open.values()]

    def open_runs(self, since: float) -> list[tuple[str, str, float]]:
        """Run id, session and last sign of those of which something was heard since."""
        return [(run_id, one.session_key, one.heard_at) for run_id, one in self._open.items() if one.heard_at >= since]

    def heard(self, run_id: str, now: float) -> None:
        """An event beside the chat events came of a run."""
        known = self._open.get(run_id)
        if known is not None:
            known.heard_at = now

    def heartbeat(self, run_id: str) -> None:
        """An agent event said that this run is a heartbeat's."""
        if len(run_id) <= MAX_RUN_ID:
            self._heartbeats.add(run_id)

    def receive(self, payload: ChatPayload, now: float = 0.0) -> ProactiveMessage | None:
        """A chat event of a run that is not this client's; the message where this event completes one."""
        run_id = payload.run_id
        if not run_id or len(run_id) > MAX_RUN_ID or run_id in self._finished:
            return None
        known = self._open.get(run_id)
        if known is None:
            known = self._open[run_id] = _OpenRun(run_id, payload.session_key)
            if len(self._open) > MAX_OPEN:
                self._close(next(iter(self._open)))
        known.heard_at = now
        fold = known.fold
        fold.chat(payload)
        outcome = fold.outcome
        if outcome is None and not fold.wordless:
            self._count(known)
            return None
        self._close(run_id)
        self._finished.add(run_id)
        if not isinstance(outcome, RunCompleted) or not (outcome.text or shows_anything(outcome.content)):
            return None
        return ProactiveMessage(
            id=run_id.removeprefix(INJECT_PREFIX),
            text=outcome.text,
            session_key=payload.session_key,
            run_id=run_id,
            kind=self._kind(payload),
            stop_reason=outcome.stop_reason,
            content=outcome.content,
        )

    def _count(self, one: _OpenRun) -> None:
        """Count the text that a run has now, and give up others where that is too much."""
        size = len(one.fold.text)
        self._held += size - one.size
        one.size = size
        while self._held > MAX_OPEN_TEXT and len(self._open) > 1:
            self._close(next(iter(self._open)))

    def _close(self, run_id: str) -> None:
        one = self._open.pop(run_id, None)
        if one is not None:
            self._held -= one.size

    def _kind(self, payload: ChatPayload) -> Kind:
        if payload.run_id.startswith(INJECT_PREFIX):
            return "injected"
        if payload.spawned_by:
            return "subagent"
        if payload.run_id in self._heartbeats:
            return "heartbeat"
        if self._application is not None and self._application.has(payload.run_id):
            return "reply"
        return kind_of_session(payload.session_key)


def kind_of_session(session_key: str) -> Kind:
    """What the session says about a message in it: cron jobs and sub-agents have sessions of their own."""
    if ":cron:" in session_key:
        return "cron"
    return "subagent" if ":subagent:" in session_key else "run"
