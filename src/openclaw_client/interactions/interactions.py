"""One client's approvals and questions: heard of, told to whoever listens, answered. On the loop's thread.

What is pending stands in `runs.interactions`, what a gateway is asked in `interactions.calls`. Events are heard first
and lists read behind them, so that what was asked while nobody was connected is made up for, and nothing that is over
comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from openclaw_client.chat.context import RunListener
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import (
    ConnectionLost,
    GatewayError,
    NotConnected,
    OutcomeUnknown,
    RequestTimeout,
    UsageError,
)
from openclaw_client.interactions.calls import InteractionCalls
from openclaw_client.interactions.events import (
    REQUESTED,
    RESOLVED,
    InteractionEvent,
    InteractionSink,
    asked_event,
    ended_event,
)
from openclaw_client.interactions.expiry import Expiry
from openclaw_client.interactions.handling import HandlerRunner, InteractionHandler
from openclaw_client.interactions.replies import Replies
from openclaw_client.interactions.warnings import Warnings
from openclaw_client.logs import GuardedLogger
from openclaw_client.requests.requests import Requests
from openclaw_client.runs.answering import (
    AnswerOutcome,
)
from openclaw_client.runs.events import (
    ChatReply,
    RunErrored,
)
from openclaw_client.runs.interactions import (
    KINDS,
    Interaction,
    InteractionEnd,
    InteractionTable,
    Kind,
    Pending,
    kind_of,
)
from openclaw_client.runs.phases import Outcome
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.approvals import Approval, approval_end_from, approval_from
from openclaw_client.wire.frames import Event, decode_payload
from openclaw_client.wire.questions import Question, question_end_from, question_from

logger = GuardedLogger("openclaw_client.interactions")


class RunFinder(Protocol):
    """The client's runs, as far as somebody waits for them."""

    def run_of(self, run_id: str, session: str | None) -> RunListener | None:
        """The run of an id, where it is one of this session."""
        ...

    def runs_of(self, run_id: str) -> tuple[RunListener, ...]:
        """All that follow a run."""
        ...

    def runs_in(self, session: str) -> list[RunListener]:
        """Those of a session."""
        ...


class Interactions:
    """pending: what waits, oldest first; from any thread. wanted: the kinds that somebody answers. alive: whether there
    was a connection, and it was not given up. limit: seconds for which an answer waits for the connection."""

    __slots__ = (
        "__weakref__",
        "_calls",
        "_cancels",
        "_expiry",
        "_limit",
        "_look_soon",
        "_reading",
        "_replies",
        "_requests",
        "_runner",
        "_runs",
        "_sessions",
        "_sinks",
        "_table",
        "_tasks",
        "_warnings",
        "alive",
        "handlers",
        "pending",
        "wanted",
    )

    def __init__(
        self,
        requests: Requests,
        sessions: SessionFilter,
        runs: RunFinder,
        runner: HandlerRunner,
        *,
        with_device: bool,
        limit: float | None,
    ) -> None:
        self.alive = False
        self.pending: tuple[Interaction, ...] = ()
        self.wanted: frozenset[Kind] = frozenset()
        self.handlers: list[tuple[Kind, InteractionHandler]] = []
        self._requests = requests
        self._calls = InteractionCalls(requests)
        self._sessions = sessions
        self._runs = runs
        self._runner = runner
        self._table = InteractionTable()
        self._sinks: tuple[tuple[Kind, InteractionSink], ...] = ()
        self._cancels: dict[str, list[Callable[[], object]]] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._expiry = Expiry(self._look)
        self._reading: dict[Kind, asyncio.Task[None]] = {}
        self._limit = limit
        self._look_soon = False
        self._replies = Replies(self._table, self._calls, sessions, self._close, self._lists_are_read)
        self._warnings = Warnings(with_device=with_device)

    @property
    def awaited(self) -> bool:
        """Whether an agent waits for what somebody here answers. From any thread."""
        return any(kind_of(item) in self.wanted for item in self.pending)

    # Who is told.

    def listen(self, kind: Kind, sink: InteractionSink) -> None:
        """Tell of one kind from now on, beginning with what is pending."""
        self._sinks = (*self._sinks, (kind, sink))
        for entry in self._table.pending(kind):
            sink.put(asked_event(entry))

    def unlisten(self, sink: InteractionSink) -> None:
        self._sinks = tuple((kind, other) for kind, other in self._sinks if other is not sink)

    def knows(self, ident: object) -> bool:
        """Whether one was handed out by this client."""
        return isinstance(ident, str) and self._table.knows(ident)

    def handle(self, kind: Kind, handler: InteractionHandler) -> None:
        """Hand what is pending to one more handler."""
        for entry in self._table.pending(kind):
            self._hand_out(entry, handler)

    # What comes.

    def on_event(self, frame: Event) -> None:
        """One of `EVENTS`."""
        payload = decode_payload(frame.payload)
        kind = REQUESTED.get(frame.event)
        if kind is not None:
            self._hear(approval_from(payload, kind))
        elif frame.event == "question.requested":
            self._hear(question_from(payload))
        elif frame.event in RESOLVED:
            verdict = approval_end_from(payload)
            if verdict is not None:
                self._close(verdict.id, InteractionEnd(verdict.status, verdict.decision))
        else:
            closing = question_end_from(payload)
            if closing is not None:
                self._close(closing.id, InteractionEnd(closing.status))

    def on_tool(self, payload: AgentPayload) -> None:
        """A tool of a run of one's own: its result may say that nobody could be asked."""
        self._warnings.tool_result(bytes(payload.data))

    def on_connected(self, connection: Connection) -> None:
        """Events come from now on."""
        self.alive = True
        self._expiry.set_clock(connection.clock_offset)
        self._warnings.connected(connection.hello, connection.granted, self.wanted)

    def session_added(self) -> None:
        """A session is this client's own from now on: what was asked in it before may be pending."""
        if self.wanted and self._requests.usable is not None and not self._look_soon:
            self._look_soon = True
            asyncio.get_running_loop().call_soon(self.catch_up)

    def catch_up(self) -> None:
        """Events may have been missed: read the lists."""
        self._look_soon = False
        for kind in KINDS:
            if kind in self.wanted:
                # One that was begun before may have missed what happened since.
                self._reading[kind] = self._start(self._read_list(kind, self._reading.get(kind)))

    def run_added(self, run: RunListener) -> None:
        """Somebody follows a run: it learns what the run waits for already."""
        if self.pending:
            asyncio.get_running_loop().call_soon(self._tell_pending, run)

    def run_ended(self, run_ids: tuple[str, ...], outcome: Outcome) -> Outcome:
        """A run of this client is over: nothing that it asked for is needed any more, but on releases whose runs end
        before their approvals. Returns its outcome, with what is still waited for."""
        entries = self._table.of_runs(run_ids)
        if not entries or not isinstance(outcome, ChatReply | RunErrored):
            # One that was lost may go on at the gateway, and wait there.
            return outcome
        completed = isinstance(outcome, ChatReply) and outcome.state == "final"
        for entry in entries:
            # One that is being answered in this moment ends with what becomes of that.
            if not entry.answering and (entry.named or not completed):
                over = entry.over_at <= asyncio.get_running_loop().time()
                self._close(entry.item.id, InteractionEnd("expired" if over else "cancelled"))
        left = [entry.item for entry in self._table.of_runs(run_ids) if isinstance(entry.item, Approval)]
        if not left or not isinstance(outcome, ChatReply):
            return outcome
        return replace(outcome, pending_approval=left[-1])

    def stop(self, error: GatewayError) -> None:
        """The connection is gone for good: handlers learn that nobody needs their answers, readers end with the
        error. What is pending stays so at the gateway."""
        self.alive = False
        for task in list(self._tasks):
            task.cancel()
        for ident in list(self._cancels):
            self._cancel(ident)
        self._reading.clear()
        self._table.clear()
        self._changed()
        self.end_streams(error)

    def end_streams(self, error: GatewayError) -> None:
        """Nothing follows for who listens."""
        for _, sink in self._sinks:
            sink.end(error)

    # What goes.

    async def decide(self, target: Approval | str, decision: str, days: int | None = None) -> AnswerOutcome:
        """Decide on an approval, given by itself or its id."""
        return await self._replies.decide(target, decision, days)

    async def answer(self, target: Question | str, answers: object) -> AnswerOutcome:
        """Answer a question, given by itself or its id; SKIP leaves it without an answer."""
        return await self._replies.answer(target, answers)

    # Inside.

    async def _lists_are_read(self, kind: Kind) -> None:
        """Return when what was pending at the gateway is known, as far as it can be."""
        await self._requests.ready(self._limit)
        reading = self._reading.get(kind)
        if reading is not None:
            await asyncio.wait({reading})

    def _hear(self, item: Interaction | None) -> None:
        if item is None or self._table.knows(item.id):
            return
        run = self._run_of(item)
        if run is None and not self._permitted(item):
            return
        run_id = run.run_ids[0] if run is not None else None
        refused = self._table.refused
        entry = self._table.add(item, run_id, named=item.run_id is not None, over_at=self._expiry.over_at(item))
        if entry is None:
            if self._table.refused > refused:
                self._warnings.full()
            return
        self._changed()
        self._tell(entry, asked_event(entry))
        self._warnings.heard(item, entry.kind in self.wanted)
        for kind, handler in tuple(self.handlers):
            # It may be over already: its run can end while it is told of it.
            if kind == entry.kind and self._table.get(item.id) is entry:
                self._hand_out(entry, handler)

    def _permitted(self, item: Interaction) -> bool:
        """Whether one may be shown here: with listed sessions, only what is asked in one of them."""
        return not self._sessions.restricted or bool(item.session_key and self._sessions.accepts(item.session_key))

    def _run_of(self, item: Interaction) -> RunListener | None:
        """The run of this client that asks, as far as it can be told."""
        if item.run_id is not None:
            return self._runs.run_of(item.run_id, item.session_key)
        runs = self._runs.runs_in(item.session_key) if item.session_key else []
        if len(runs) > 1 and isinstance(item, Approval):
            runs = [run for run in runs if run.command == item.command]
        return runs[0] if len(runs) == 1 else None

    def _hand_out(self, entry: Pending, handler: InteractionHandler) -> None:
        def done(result: object) -> None:
            if result is not None:
                self._start(self._answer_for(entry, result))

        self._cancels.setdefault(entry.item.id, []).append(self._runner.run(handler, entry.item, done))

    async def _answer_for(self, entry: Pending, result: Any) -> None:
        """A handler has decided."""
        item = entry.item
        try:
            if isinstance(item, Approval):
                outcome = await self.decide(item, result)
            else:
                outcome = await self.answer(item, result)
        except UsageError as error:
            logger.error("a handler's answer cannot be given, and %s stays open: %s", item.id, error)
        except (ConnectionLost, NotConnected, OutcomeUnknown, RequestTimeout) as error:
            # People have answered, and are not asked again: it is given when the connection is back.
            entry.answer = result
            what = "waits for the connection" if self.alive else "was not given, and it stays open at the gateway"
            logger.warning("a handler's answer to %s %s: %s", item.id, what, error)
        except GatewayError as error:
            logger.warning("a handler's answer to %s was not taken: %s", item.id, error)
        else:
            if outcome.status != "applied":
                logger.info("a handler's answer to %s came too late: %s", item.id, outcome.status)

    def _give_again(self, kind: Kind) -> None:
        """Give the answers that found no connection."""
        for entry in self._table.pending(kind):
            result, entry.answer = entry.answer, None
            if result is not None:
                self._start(self._answer_for(entry, result))

    def _close(self, ident: str, ended: InteractionEnd) -> None:
        entry = self._table.end(ident, ended)
        if entry is None:
            return
        if not entry.answering:
            # What a handler of one's own answers in this moment is not to be cut off.
            self._cancel(ident)
        self._cancels.pop(ident, None)
        self._changed()
        self._tell(entry, ended_event(entry, ended))

    def _cancel(self, ident: str) -> None:
        for cancel in self._cancels.pop(ident, ()):
            cancel()

    def _tell(self, entry: Pending, event: InteractionEvent) -> None:
        for run in self._runs.runs_of(entry.run_id) if entry.run_id is not None else ():
            run.on_interaction(event, patient=entry.kind in self.wanted)
        for kind, sink in self._sinks:
            if kind == entry.kind:
                sink.put(event)

    def _tell_pending(self, run: RunListener) -> None:
        for entry in self._table.pending():
            if entry.run_id is None and entry.item.run_id in run.run_ids:
                entry.run_id = entry.item.run_id
            if entry.run_id in run.run_ids:
                run.on_interaction(asked_event(entry), patient=entry.kind in self.wanted)

    def _changed(self) -> None:
        self.pending = tuple(entry.item for entry in self._table.pending())
        self._expiry.arm(self._table.next_end)

    def _look(self) -> None:
        """Some may be over."""
        for entry in self._table.over(asyncio.get_running_loop().time()):
            self._close(entry.item.id, InteractionEnd("expired"))
        self._expiry.arm(self._table.next_end)

    async def _read_list(self, kind: Kind, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            earlier.cancel()
            await asyncio.wait({earlier})
        before = self._table.pending(kind)
        self._table.list_begun()
        try:
            listed = await self._calls.pending(kind)
            for item in listed or ():
                self._hear(item)
            missing = () if listed is None else self._table.unlisted(before, {item.id for item in listed})
            for entry in missing:
                ended = await self._calls.look_up(entry.item)
                if ended is not None:
                    self._close(entry.item.id, ended)
        except GatewayError as error:
            self._warnings.list_failed(kind, error)
        finally:
            self._table.list_ended()
        self._give_again(kind)

    def _start(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name="openclaw-interaction")
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task
