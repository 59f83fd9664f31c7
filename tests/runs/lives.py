"""A run's machine by itself, what is fed to it and what came out of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from openclaw_client.errors import (
    ConnectionLost,
    RequestFailed,
)
from openclaw_client.runs.clock import RunLimits
from openclaw_client.runs.events import (
    RunEvent,
)
from openclaw_client.runs.life import RunLife
from openclaw_client.runs.peer import Delivery, Peer
from openclaw_client.runs.phases import (
    Action,
    Ask,
    End,
)
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.chat import ChatPayload
from openclaw_client.wire.history import HistoryPage
from tests.runs.pages import SENT, assistant, page, user

WALL = SENT / 1000
PEER = Peer(4, "2026.9.6", "boot-1", 100.0, WALL - 1, WALL - 1, 0.0)
OTHER_PROCESS = replace(PEER, boot_id="boot-2")
OLD = Peer(3, "2026.4.15", None, 100.0, WALL - 1, WALL - 1, 0.0)
CUT = ConnectionLost(message="the connection was cut")
FAILED = RequestFailed(message="no")
LATER = RequestFailed(message="later", retryable=True)
STARTED = {"runId": "r", "status": "started"}


class Run:
    """A run and what came out of it."""

    def __init__(self, limits: RunLimits = RunLimits(), peer: Peer = PEER, **how: Any) -> None:  # noqa: B008
        self.events: list[RunEvent] = []
        self.peer = peer
        self.life = RunLife("r", "main", "Hi", self.events.append, limits, **how)

    def sent(self, **how: Any) -> Run:
        """how: of the `Sending`."""
        self.life.begin(0.0)
        self.life.written(self.peer, 0.0, WALL, Delivery(**how))
        return self

    def taken(self) -> Run:
        self.sent().life.answered(STARTED, 0.0)
        return self

    def deferred(self) -> Run:
        self.taken().life.chat(final(), 1.0)
        assert self.actions() == [Ask(1)]
        return self

    def actions(self) -> list[Action]:
        return self.life.actions()

    def page(self, number: int, found: HistoryPage, now: float = 1.0, peer: Peer | None = None, **how: Any) -> None:
        self.life.page(number, found, peer or self.peer, now, WALL + now, **how)

    def asked(self) -> int:
        (action,) = self.actions()
        assert isinstance(action, Ask)
        return action.number

    def outcome(self) -> Any:
        (action,) = self.actions()
        assert isinstance(action, End)
        return action.outcome


def final(text: str | None = None, run_id: str = "r") -> ChatPayload:
    return ChatPayload(run_id=run_id, state="final", message=text)


def delta(text: str, run_id: str = "r") -> ChatPayload:
    return ChatPayload(run_id=run_id, state="delta", message=text)


def lifecycle(**data: Any) -> AgentPayload:
    return AgentPayload("r", stream="lifecycle", data=msgspec.Raw(msgspec.json.encode(data)))


MINE = user("Hi", "r")
ANSWER = page(MINE, assistant("Hello", "r", "stop"))
ANSWERED_ELSEWHERE = page(MINE, assistant("Hello", "f", "stop"))


def look_until_the_end(run: Run, found: HistoryPage) -> Any:
    """The outcome when every page says the same."""
    for _ in range(20):
        now = run.life.deadline()
        run.life.handle_deadline(now)
        for action in run.actions():
            if isinstance(action, End):
                return action.outcome
            assert isinstance(action, Ask)
            run.page(action.number, found, now)
        if run.life.ended:
            return run.outcome()
    raise AssertionError("no outcome")
