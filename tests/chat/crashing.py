"""A gateway's transcripts, and processes that catch up with them and die: what one wrote down is all the next has.

The gateway is played where requests leave the client; the clock is moved by hand.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from openclaw_client.chat.methods import ChatMethods
from openclaw_client.chat.missed_messages import MissedMessages
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import ConnectionLost, RequestFailed
from openclaw_client.journal.protocol import KeptPlace
from openclaw_client.requests.requests import Requests
from openclaw_client.runs.proactive import ProactiveAssembler, ProactiveMessage
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.wire.chat import ChatPayload

SESSIONS = ["agent:main:a", "agent:main:b"]
RELEASES = ["2026.9.6", "2026.6.1", "2026.4.15", "2026.2.17"]
Entry = ProactiveMessage | KeptPlace


class Gateway:
    """Writes turns down as a release does. now: its clock, in milliseconds."""

    def __init__(self, release: str) -> None:
        self.release = release
        self.now = 1_000_000.0
        self.rows: dict[str, list[dict[str, Any]]] = {session: [] for session in SESSIONS}

    def time(self) -> float:
        return self.now / 1000

    def write(self, session: str, run_id: str, words: str, text: str, began: float) -> None:
        """The turn of a run, dated as it began."""
        user: dict[str, Any] = {"role": "user", "content": words, "timestamp": began}
        answer: dict[str, Any] = {"role": "assistant", "content": text, "timestamp": began + 1, "stopReason": "stop"}
        if self.release == "2026.2.17":
            user["content"] = f'Info {{"message_id": "{run_id}"}} {words}'
        elif self.release != "2026.4.15":
            user["idempotencyKey"] = f"{run_id}:user"
        if self.release == "2026.9.6":
            answer["__openclaw"] = {"runId": run_id}
        self._add(session, user, f"u-{run_id}")
        self._add(session, answer, f"a-{run_id}")

    def inject(self, session: str, ident: str, text: str) -> None:
        row = {"role": "assistant", "content": text, "timestamp": self.now, "stopReason": "stop"}
        self._add(session, {**row, "provider": "openclaw", "model": "gateway-injected"}, ident)

    def page(self, session: str) -> dict[str, Any]:
        return {"messages": [dict(row) for row in self.rows[session]], "sessionId": "one"}

    def _add(self, session: str, row: dict[str, Any], ident: str) -> None:
        if self.release != "2026.2.17":
            row["__openclaw"] = {**row.get("__openclaw", {}), "id": ident}
        self.rows[session].append(row)


class Wire:
    """Where requests leave the client: they wait until the test answers. early: whether a page is of when it was asked
    for; else it is of when it is answered."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.facts = SimpleNamespace(hello=None)
        self.waiting: list[tuple[str, dict[str, Any], asyncio.Future[dict[str, Any]]]] = []

    async def request(self, method: str, params: dict[str, Any], limit: float | None) -> dict[str, Any]:
        assert method == "chat.history"
        session = params["sessionKey"]
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.waiting.append((session, self.gateway.page(session), answer))
        return await answer

    def answer(self, *, early: bool = False) -> None:
        for session, page, answer in self._take():
            answer.set_result(page if early else self.gateway.page(session))

    def refuse(self) -> None:
        for _, _, answer in self._take():
            answer.set_exception(RequestFailed(code="UNAVAILABLE", message="busy", retryable=True, retry_after=600.0))

    def cut(self) -> None:
        for _, _, answer in self._take():
            answer.set_exception(ConnectionLost(message="cut"))

    def _take(self) -> list[tuple[str, dict[str, Any], asyncio.Future[dict[str, Any]]]]:
        taken, self.waiting = self.waiting, []
        return [one for one in taken if not one[2].done()]


class Runs:
    """What a router knows of runs. own: those of the record, which every process has."""

    def __init__(self, own: set[str]) -> None:
        self.own = own
        self.assembler = ProactiveAssembler()
        self.handed_out = self.assembler.finished
        self.has_open_run = self.assembler.has_open
        self.open_sessions = self.assembler.open_sessions

    def is_known_run(self, run_id: str) -> bool:
        return run_id in self.own or self.assembler.is_known(run_id)

    def open_runs(self, session: str) -> list[str]:
        return [run_id for run_id, key, _ in self.assembler.open_runs(0.0) if key == session]


class Process:
    """One life of the client. wrote: messages and places, in the order in which they were handed out and told."""

    def __init__(self, gateway: Gateway, own: set[str], places: list[KeptPlace]) -> None:
        self.gateway = gateway
        self.wrote: list[Entry] = []
        self.listening = True
        self.connected = False
        self.wire = Wire(gateway)
        self.runs = Runs(own)
        filtered = SessionFilter(SESSIONS)
        methods = ChatMethods(cast(Requests, self.wire), filtered, 30.0, lambda _: None)
        self.missed = MissedMessages(
            methods, filtered, self.runs, self._hand_out, lambda: self.listening, on_place=self.wrote.append
        )
        self.missed.restore(places)

    def connect(self) -> None:
        self.connected = True
        self.missed.on_connected(cast(Connection, SimpleNamespace(clock_offset=0.0)))
        self.missed.begin()

    def lose(self) -> None:
        self.connected = False
        self.missed.on_lost()
        self.wire.cut()

    def hear(self, session: str, run_id: str, text: str, state: str = "final") -> None:
        """A chat event of somebody else's run, as the router handles it."""
        payload = ChatPayload(run_id=run_id, session_key=session, state=state, message=text)
        whole = self.runs.assembler.receive(payload)
        if whole is not None:
            self.missed.deliver(whole)

    def _hand_out(self, message: ProactiveMessage) -> None:
        if self.listening:
            self.wrote.append(message)


def stored(wrote: list[Entry], before: list[KeptPlace]) -> list[KeptPlace]:
    """The places that a journal has behind these entries."""
    known = {place.session_key: place for place in before}
    known |= {entry.session_key: entry for entry in wrote if isinstance(entry, KeptPlace)}
    return list(known.values())


def clock_of(gateway: Gateway) -> Any:
    """What stands for the module `time`."""
    return SimpleNamespace(time=gateway.time)
