"""Runs, the line between them and a gateway, and time, all moved by hand. No socket, no loop, no clock.

The world does what a driver does: it carries out what a run asks for and feeds it what comes. After every step it holds
the run against what the gateway knows to be true.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import msgspec

from openclaw_client.errors import ConnectionLost, GatewayError, OutcomeUnknown, RequestFailed
from openclaw_client.runs.clock import RunLimits
from openclaw_client.runs.peer import Peer
from openclaw_client.runs.phases import Phase
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.chat import chat_payload_from
from openclaw_client.wire.history import history_page
from tests.runs.gateway_model import Gateway, Style
from tests.runs.life_reader import WALL, Reader

TERMINAL = ("final", "aborted", "error")
LIMITS = RunLimits()


@dataclass
class Reply:
    """What the gateway answers: to whom, and to which question (None: to chat.send)."""

    reader: Reader
    number: int | None
    payload: dict[str, Any]
    peer: Peer
    made: float


@dataclass
class Line:
    """One connection: what is on its way to the gateway, what the gateway is at, what is on its way back."""

    peer: Peer
    began: float = 0.0
    up: list[tuple[Reader, int | None]] = field(default_factory=list)
    at_work: list[Reply] = field(default_factory=list)
    down: list[Reply | tuple[str, dict[str, Any]] | None] = field(default_factory=list)


class World:
    """line: None while there is no connection. stale: pages of connections that are gone. open: the runs that were
    heard to begin and not to end, and when something of them came last."""

    def __init__(self, style: Style) -> None:
        self.now = 1000.0
        self.style = style
        self.gateway = Gateway(style, self.wall)
        self.line: Line | None = None
        self.readers: list[Reader] = []
        self.stale: list[Reply] = []
        self.open: dict[str, float] = {}
        self.intervals: list[tuple[float, float]] = []
        self.heard_at = 0.0
        # Whether an event was lost and no number showed it.
        self.lost_unseen = False
        # Whether the connection is gone and the runs are about to be told.
        self.dying = False
        # What becomes of the next question: "", or "refused", "refused for now".
        self.refusal = ""
        self.trace: list[str] = []
        self.numbers = 0
        self.connect(0, 0)

    @property
    def wall(self) -> float:
        return WALL + self.now

    def log(self, what: str) -> None:
        self.trace.append(f"{self.now - 1000:9.3f} {what}")

    # The client.

    def start(self, *, total: float | None = None) -> Reader | None:
        """Send a message of this client's."""
        if self.line is None:
            return None
        self.numbers += 1
        reader = Reader(self, f"key-{self.numbers}", f"say{self.numbers}", limits=RunLimits(total=total))
        self.readers.append(reader)
        reader.life.begin(self.now)
        self.send(reader)
        reader.carry_out()
        return reader

    def send(self, reader: Reader) -> None:
        assert self.line is not None
        assert self.now >= reader.sent_at + 2 or self.line.began >= reader.sent_at, "sent again and again"
        reader.sent_at = self.now
        reader.life.written(self.line.peer, self.now, self.wall)
        self.line.up.append((reader, None))

    def foreign(self) -> None:
        """Somebody else sends a message to the session."""
        self.numbers += 1
        self.gateway.send(f"key-{self.numbers}", f"say{self.numbers}")
        self.flush()

    def adopt(self, reader: Reader, *, acknowledged: bool) -> Reader | None:
        """The reader's process dies, and another one takes the run up from what was stored."""
        sent = reader.life.sent_run
        if reader.left or reader.outcome is not None or sent is None:
            return None
        self.leave(reader)
        sent = replace(sent, acknowledged=acknowledged and reader.life.acknowledged)
        sent = pickle.loads(pickle.dumps(sent))
        other = Reader(self, reader.key, sent.message, limits=LIMITS)
        self.readers.append(other)
        other.life.adopt(sent, self.now, self.wall)
        other.carry_out()
        if self.line is not None:
            self.come_back(other)
        return other

    def seek(self, key: str) -> Reader:
        """Look for the run of an id."""
        other = Reader(self, key, "", limits=LIMITS)
        other.sought = True
        self.readers.append(other)
        other.life.seek(self.now)
        other.carry_out()
        if self.line is not None:
            self.come_back(other)
        return other

    def leave(self, reader: Reader) -> None:
        reader.left = True
        self.readers.remove(reader)
        if self.line is not None:
            self.line.up = [item for item in self.line.up if item[0] is not reader or item[1] is None]

    def abort(self, key: str, reader: Reader | None = None) -> None:
        """chat.abort, by the reader of the run or by anybody."""
        stopped = self.gateway.abort(key)
        self.log(f"abort {key}: {stopped}")
        self.flush()
        if reader is not None:
            self.deliver_all()
            reader.life.abort_answered(stopped)
            reader.carry_out()

    # The line.

    def connect(self, before: float, after: float) -> None:
        """A new connection; seconds from the challenge to the making of the hello, and from there to its arrival."""
        if self.line is not None:
            return
        challenged = self.wall
        self.pass_time(before)
        process = self.gateway.process
        uptime = None if self.style.boots else self.wall - process.born
        boot_id = process.boot_id if self.style.boots else None
        # What happens from here on reaches the connection: its hello goes first.
        line = Line(Peer(self.style.protocol, self.style.version, boot_id, uptime, challenged, 0.0, self.style.skew))
        self.pass_time(after)
        line.peer, line.began = replace(line.peer, greeted_at=self.wall), self.now
        self.intervals.append((challenged - (uptime or 0.0), self.wall - (uptime or 0.0)))
        self.line, self.heard_at = line, self.now
        self.log("connected")
        for reader in list(self.readers):
            self.come_back(reader)

    def come_back(self, reader: Reader) -> None:
        unsent, over = reader.life.phase is Phase.UNSENT, reader.outcome is not None
        reader.life.back()
        reader.carry_out()
        assert over or unsent or reader.outcome is not None or reader.asked, "nothing was asked after the return"

    def cut(self, arrive: int, hear: int, *, errors_first: bool, late_pages: bool) -> None:
        """The connection dies. arrive, hear: how much of what is on its way gets through."""
        if self.line is None:
            return
        for _ in range(min(arrive, len(self.line.up))):
            self.gateway_reads()
        while self.line.at_work:
            self.gateway_answers()
        for _ in range(min(hear, len(self.line.down))):
            self.deliver()
        line, self.line = self.line, None
        self.dying = True
        self.log("cut")
        unheard = [item for item in line.down if isinstance(item, Reply)]
        if late_pages:
            for reply in unheard:
                self.receive(reply, up=False)
        self.stale += [reply for reply in unheard if reply.number is not None]
        error = ConnectionLost(message="cut")
        self.open.clear()
        if errors_first:
            self.fail_requests(line, error)
        for reader in list(self.readers):
            self.feed(reader, "lost", error, self.now)
        if not errors_first:
            self.fail_requests(line, error)
        self.dying = False

    def fail_requests(self, line: Line, error: GatewayError) -> None:
        waiting = {(id(reader), None) for reader, number in line.up if number is None}
        waiting |= {(id(item.reader), None) for item in line.down if isinstance(item, Reply) and item.number is None}
        for reader in list(self.readers):
            if (id(reader), None) in waiting:
                self.feed(reader, "refused", OutcomeUnknown(message="cut"))
            for number in list(reader.asked):
                reader.asked.remove(number)
                self.feed(reader, "page_failed", number, error, self.now)

    def gateway_reads(self) -> None:
        """The next request arrives at the gateway."""
        line = self.line
        if line is None or not line.up:
            return
        reader, number = line.up.pop(0)
        if number is None:
            payload = self.gateway.send(reader.key, reader.life.message)
        elif self.refusal:
            payload, self.refusal = {"refused": self.refusal}, ""
        else:
            payload = self.gateway.page()
        line.at_work.append(Reply(reader, number, payload, line.peer, self.wall))
        self.flush()

    def gateway_answers(self, which: int = 0, *, torn: bool = False) -> None:
        """The gateway sends an answer that it has made; events may have gone out since it made it.

        torn: it looks at what goes on only now, and has read the rows before.
        """
        line = self.line
        if line is not None and line.at_work:
            reply = line.at_work.pop(which % len(line.at_work))
            if torn and "messages" in reply.payload:
                reply.payload = {**self.gateway.page(), "messages": reply.payload["messages"]}
            line.down.append(reply)

    def flush(self) -> None:
        """What the gateway has to say to everybody goes onto the line."""
        if self.line is not None:
            self.line.down += self.gateway.events
        self.gateway.events.clear()

    def lose(self, *, told: bool) -> None:
        """The next event on its way is lost. told: whether the numbers of the events show it."""
        if self.line is None:
            return
        for index, item in enumerate(self.line.down):
            if isinstance(item, tuple):
                self.log(f"lost {item}")
                self.open.pop(item[1]["runId"], None)
                self.lost_unseen = self.lost_unseen or not told
                self.line.down[index : index + 1] = [None] if told else []
                return

    def deliver(self) -> None:
        """The next of what is on its way arrives."""
        if self.line is None or not self.line.down:
            return
        item = self.line.down.pop(0)
        if item is None:
            certain = self.style.protocol == 4
            for reader in list(self.readers):
                asked = reader.questions
                self.feed(reader, "gap", self.now, certain=certain)
                if certain and reader.life.acknowledged and reader.outcome is None and reader.questions == asked:
                    reader.owed, reader.owed_in = min(reader.owed, self.now + 0.6), reader.life.phase
        elif isinstance(item, Reply):
            self.receive(item)
        else:
            self.hear(*item)

    def deliver_all(self) -> None:
        while self.line is not None and (self.line.up or self.line.at_work or self.line.down):
            self.gateway_reads()
            self.gateway_answers()
            self.deliver()

    def receive(self, reply: Reply, *, up: bool = True) -> None:
        reader, number = reply.reader, reply.number
        if reader.left:
            return
        if number is None:
            self.feed(reader, "answered", reply.payload, self.now)
            return
        fresh = number in reader.asked
        if fresh:
            reader.asked.remove(number)
            if reader.owed < inf:
                reader.owed = self.now + 0.6
            reader.page_made = reply.made
        if (refusal := reply.payload.get("refused")) is not None:
            error = RequestFailed(message=refusal, retryable=refusal == "refused for now")
            reader.refused = reader.refused or not error.retryable
            self.feed(reader, "page_failed", number, error, self.now)
            return
        before = len(reader.events)
        busy = any(run not in reader.life.run_ids for run, at in self.open.items() if self.now - at < 600)
        # The client's own runs count, too.
        busy = busy or any(one is not reader and one.life.phase is Phase.TAKEN for one in self.readers)
        page = history_page(reply.payload)
        reader.life.page(number, page, reply.peer, self.now, self.wall, up=up, busy=busy)
        if not fresh:
            assert len(reader.events) == before, "an older page was followed"
            assert not reader.life.actions(), "an older page was followed"
        reader.carry_out()

    def hear(self, kind: str, payload: dict[str, Any]) -> None:
        run_id = payload["runId"]
        state = payload.get("state")
        self.log(f"heard {kind} {run_id} {state or payload['data']} {_text(payload)}")
        self.heard_at = self.now
        if state in TERMINAL:
            self.open.pop(run_id, None)
        elif payload.get("data", {}).get("phase") not in ("end", "error"):
            self.open[run_id] = self.now
        for reader in list(self.readers):
            if run_id not in reader.life.run_ids:
                self.feed(reader, "session_heard", self.now)
                if state in TERMINAL:
                    self.feed(reader, "other_ended", self.now)
            elif kind == "chat":
                reader.heard.add(str(state) if run_id == reader.key else "")
                self.feed(reader, "delta" if state == "delta" else "chat", chat_payload_from(payload), self.now)
            else:
                if run_id == reader.key:
                    reader.hear_phase(str(payload["data"]["phase"]))
                self.feed(reader, "agent", agent_payload(payload), self.now)

    def feed(self, reader: Reader, name: str, *args: Any, **more: Any) -> None:
        getattr(reader.life, name)(*args, **more)
        reader.carry_out()

    def crash(self) -> None:
        self.log("crash")
        self.gateway.crash()
        if self.line is not None:
            self.line.up.clear()
            self.line.at_work.clear()
        self.cut(0, 99, errors_first=False, late_pages=False)

    # Time.

    def pass_time(self, seconds: float) -> None:
        """Let time pass for both sides, with all that is due in it. A line that is silent for longer is no line."""
        while seconds > 10:
            self.pass_time(10)
            self.deliver_all()
            seconds -= 10
        until = self.now + seconds
        while True:
            due = min((reader.life.deadline() for reader in self.readers), default=inf)
            at = max(self.now, min(due, until))
            self.now = at
            self.gateway.advance(self.wall)
            self.flush()
            for reader in list(self.readers):
                if reader.life.deadline() <= at:
                    self.feed(reader, "handle_deadline", at)
                    assert reader.life.deadline() > at, "a deadline that does not move"
                if reader.owed_in is Phase.DEFERRED and not reader.life.deferred:
                    # It is heard again.
                    reader.owed = inf
                late = reader.owed < at and not reader.asked and reader.outcome is None and self.line is not None
                assert not late, "events were lost, and nothing was asked"
            if due > until:
                return

    def settle(self) -> None:
        """The line holds, and every model comes to its end: everybody gets an outcome."""
        self.connect(0.01, 0.01)
        began = self.now
        while any(reader.outcome is None for reader in self.readers):
            self.connect(0.01, 0.01)
            self.deliver_all()
            if self.gateway.process.active is not None:
                self.gateway.speak()
                self.gateway.end()
                self.flush()
                self.deliver_all()
            late = self.now - began
            self.pass_time(0.3 if late < 10 else 5.0 if late < 300 else 60.0)
            stuck = [(reader.key, reader.life.phase) for reader in self.readers if reader.outcome is None]
            assert late < 8000, f"no outcome: {stuck}"
        self.deliver_all()
        for key, times in self.gateway.executions.items():
            assert times <= 1, f"{key} ran {times} times"


def agent_payload(payload: dict[str, Any]) -> AgentPayload:
    data = msgspec.Raw(msgspec.json.encode(payload["data"]))
    return AgentPayload(payload["runId"], payload["sessionKey"], payload["stream"], payload["seq"], data)


def _text(payload: dict[str, Any]) -> str:
    message = payload.get("message")
    return "" if message is None else str(message["content"][0]["text"])
