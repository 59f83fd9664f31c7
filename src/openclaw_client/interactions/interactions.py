"""One client's approvals and questions: heard of, told to whoever listens, answered. On the loop's thread.

What is pending stands in `runs.interactions`, what a gateway is asked in `interactions.calls`. Events are heard first
and lists read behind them, so that what was asked while nobody was connected is made up for, and nothing that is over
comes back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, Protocol

from openclaw_client.chat.context import RunListener
from openclaw_client.connection.connection import Connection
from openclaw_client.errors import GatewayError, OutcomeUnknown, UsageError
from openclaw_client.interactions.calls import InteractionCalls, of_kind
from openclaw_client.interactions.events import (
    REQUESTED,
    RESOLVED,
    InteractionEvent,
    asked_event,
    ended_event,
    id_of,
    outcome_of,
)
from openclaw_client.interactions.handling import HandlerRunner, InteractionHandler
from openclaw_client.interactions.warnings import Warnings
from openclaw_client.logs import GuardedLogger
from openclaw_client.requests.requests import Requests
from openclaw_client.runs.answering import (
    SKIP,
    AnswerOutcome,
    check_answers,
    check_decision,
    check_grant_days,
)
from openclaw_client.runs.events import (
    ChatReply,
    RunErrored,
)
from openclaw_client.runs.interactions import (
    KINDS,
    Ended,
    Interaction,
    InteractionTable,
    Kind,
    Pending,
    kind_of,
)
from openclaw_client.runs.phases import Outcome
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.wire.agent import AgentPayload
from openclaw_client.wire.approvals import Approval, approval_from, verdict_from
from openclaw_client.wire.frames import Event, decode_payload
from openclaw_client.wire.questions import Question, closing_from, question_from

logger = GuardedLogger("openclaw_client.interactions")


_GONE = AnswerOutcome("gone")
LONGEST_WAIT = 3600.0
"""Seconds until it is looked again whether one has expired, however far ahead the gateway says that is."""


class InteractionSink(Protocol):
    """Who is told of one kind. On the loop's thread; must not block and must not raise."""

    def put(self, event: InteractionEvent) -> None: ...

    def end(self, error: GatewayError) -> None:
        """The connection ended for good; nothing follows."""


class Runs(Protocol):
    """The client's runs, as far as somebody waits for them."""

    def run_of(self, run_id: str, session: str | None) -> RunListener | None:
        """The run of an id, where it is one of this session."""
        ...

    def runs_in(self, session: str) -> list[RunListener]:
        """Those of a session."""
        ...


class Interactions:
    """pending: what waits, oldest first; from any thread. wanted: the kinds that somebody answers."""

    def __init__(
        self, requests: Requests, sessions: SessionFilter, runs: Runs, runner: HandlerRunner, *, with_device: bool
    ) -> None:
        self.pending: tuple[Interaction, ...] = ()
        self.wanted: frozenset[Kind] = frozenset()
        self.handlers: list[tuple[Kind, InteractionHandler]] = []
        self._requests = requests
        self._calls = InteractionCalls(requests)
        self._sessions = sessions
        self._runs = runs
        self._runner = runner
        self._table = InteractionTable()
        self._sinks: list[tuple[Kind, InteractionSink]] = []
        self._cancels: dict[str, list[Callable[[], object]]] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._clock_offset = 0.0
        self._look_soon = False
        self._warnings = Warnings(with_device=with_device)

    @property
    def awaited(self) -> bool:
        """Whether an agent waits for what somebody here answers. From any thread."""
        return any(kind_of(item) in self.wanted for item in self.pending)

    # Who is told.

    def listen(self, kind: Kind, sink: InteractionSink) -> None:
        """Tell of one kind from now on, beginning with what is pending."""
        self._sinks.append((kind, sink))
        for entry in self._table.pending(kind):
            sink.put(asked_event(entry))

    def unlisten(self, sink: InteractionSink) -> None:
        self._sinks = [(kind, other) for kind, other in self._sinks if other is not sink]

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
            verdict = verdict_from(payload)
            if verdict is not None:
                self._close(verdict.id, Ended(verdict.status, verdict.decision))
        else:
            closing = closing_from(payload)
            if closing is not None:
                self._close(closing.id, Ended(closing.status))

    def on_tool(self, payload: AgentPayload) -> None:
        """A tool of a run of one's own: its result may say that nobody could be asked."""
        self._warnings.tool_result(bytes(payload.data))

    def on_connected(self, connection: Connection) -> None:
        """Events come from now on."""
        self._clock_offset = connection.clock_offset or 0.0
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
                self._start(self._read_list(kind))
        self._arm()

    def finished(self, run_ids: tuple[str, ...], outcome: Outcome) -> Outcome:
        """A run of this client is over: nothing that it asked for is needed any more, but on releases whose runs end
        before their approvals. Returns its outcome, with what is still waited for."""
        entries = self._table.of_runs(run_ids)
        if not entries or not isinstance(outcome, ChatReply | RunErrored):
            # One that was lost may go on at the gateway, and wait there.
            return outcome
        completed = isinstance(outcome, ChatReply) and outcome.state == "final"
        for entry in entries:
            if entry.named or not completed:
                over = entry.expires_at <= self._now()
                self._close(entry.item.id, Ended("expired" if over else "cancelled"))
        left = [entry.item for entry in self._table.of_runs(run_ids) if isinstance(entry.item, Approval)]
        if not left or not isinstance(outcome, ChatReply):
            return outcome
        return replace(outcome, pending_approval=left[-1])

    def stop(self, error: GatewayError) -> None:
        """The connection is gone for good: handlers learn that nobody needs their answers, readers end with the
        error."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in list(self._tasks):
            task.cancel()
        for ident in list(self._cancels):
            self._cancel(ident)
        self._table = InteractionTable()
        self._changed()
        for _, sink in tuple(self._sinks):
            sink.end(error)

    # What goes.

    async def decide(self, target: Approval | str, decision: str, days: int | None = None) -> AnswerOutcome:
        """Decide on an approval, given by itself or its id."""
        ident = id_of(target, Approval)
        entry, known = self._table.get(ident), self._known(target)
        approval = known if isinstance(known, Approval) else None
        check_decision(decision, approval)
        days = check_grant_days(days, decision)
        if (over := self._over(ident)) is not None:
            return over
        kind = of_kind(approval) if approval is not None else ""
        outcome = await self._answering(entry, partial(self._calls.decide, ident, kind, decision, days), decision)
        if outcome.status == "applied":
            self._close(ident, Ended("denied" if decision == "deny" else "allowed", decision))
        return self._settled(ident, outcome)

    async def answer(self, target: Question | str, answers: object) -> AnswerOutcome:
        """Answer a question, given by itself or its id; SKIP leaves it without an answer."""
        ident = id_of(target, Question)
        entry, known = self._table.get(ident), self._known(target)
        question = known if isinstance(known, Question) else None
        checked = None if answers is SKIP else check_answers(answers, question)
        if (over := self._over(ident)) is not None:
            return over
        outcome = await self._answering(entry, partial(self._calls.answer, ident, checked))
        if outcome.status == "applied":
            self._close(ident, Ended("skipped" if checked is None else "answered"))
        return self._settled(ident, outcome)

    # Inside.

    def _hear(self, item: Interaction | None) -> None:
        if item is None or self._table.knows(item.id):
            return
        run = self._run_of(item)
        if run is None and not self._permitted(item):
            return
        run_id = run.run_ids[0] if run is not None else None
        refused = self._table.refused
        entry = self._table.add(item, run_id, named=item.run_id is not None)
        if entry is None:
            if self._table.refused > refused:
                self._warnings.full()
            return
        self._changed()
        self._tell(entry, asked_event(entry))
        self._warnings.heard(item, entry.kind in self.wanted)
        for kind, handler in tuple(self.handlers):
            if kind == entry.kind:
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
                await self.decide(item, result)
            else:
                await self.answer(item, result)
        except UsageError as error:
            logger.error("a handler's answer cannot be given, and %s stays open: %s", item.id, error)
        except GatewayError as error:
            logger.warning("a handler's answer to %s was not taken: %s", item.id, error)

    async def _answering(
        self, entry: Pending | None, call: Callable[[], Awaitable[AnswerOutcome]], decision: str | None = None
    ) -> AnswerOutcome:
        """Give an answer, and again where its connection was lost before it was known to count: that harms nothing."""
        if entry is not None:
            entry.answering += 1
        try:
            return await call()
        except OutcomeUnknown as unknown:
            outcome = await call()
            if outcome.status == "gone":
                # Releases up to 2026.4.15 forget at once what was answered.
                raise unknown from None
            mine = outcome.status == "already" and outcome.decision is not None and outcome.decision == decision
            return AnswerOutcome("applied", decision) if mine else outcome
        finally:
            if entry is not None:
                entry.answering -= 1

    def _known(self, target: Interaction | str) -> Interaction | None:
        entry = self._table.get(target if isinstance(target, str) else target.id)
        if entry is not None:
            return entry.item
        return None if isinstance(target, str) else target

    def _over(self, ident: str) -> AnswerOutcome | None:
        """What is known without asking: that one is over, or not this client's."""
        ended = self._table.ended(ident)
        if ended is not None:
            return outcome_of(ended)
        return _GONE if self._sessions.restricted and self._table.get(ident) is None else None

    def _settled(self, ident: str, outcome: AnswerOutcome) -> AnswerOutcome:
        """The outcome, with what was heard of the end meanwhile."""
        if outcome.status == "gone":
            self._close(ident, Ended("gone"))
        elif outcome.status == "already":
            ended = self._table.ended(ident)
            if ended is not None and outcome.decision is None:
                return AnswerOutcome("already", ended.decision)
        return outcome

    def _close(self, ident: str, ended: Ended) -> None:
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
        run = self._runs.run_of(entry.run_id, None) if entry.run_id is not None else None
        if run is not None:
            run.on_interaction(event, patient=entry.kind in self.wanted)
        for kind, sink in tuple(self._sinks):
            if kind == entry.kind:
                sink.put(event)

    def _changed(self) -> None:
        self.pending = tuple(entry.item for entry in self._table.pending())
        self._arm()

    async def _read_list(self, kind: Kind) -> None:
        before = self._table.pending(kind)
        try:
            listed = await self._calls.pending(kind)
            if listed is None:
                return
            for item in listed:
                self._hear(item)
            for entry in self._table.unlisted(before, {item.id for item in listed}):
                ended = await self._calls.look_up(entry.item)
                if ended is not None:
                    self._close(entry.item.id, ended)
        except GatewayError as error:
            self._warnings.list_failed(kind, error)

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work, name="openclaw-interaction")
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    # Time.

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        at = self._table.next_expiry
        if at != inf:
            wait = min(max(0.0, at - self._now()), LONGEST_WAIT)
            self._timer = asyncio.get_running_loop().call_later(wait, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        for entry in self._table.expired(self._now()):
            self._close(entry.item.id, Ended("expired"))
        self._arm()

    def _now(self) -> float:
        """Seconds since 1970 by the gateway's clock."""
        return time.time() + self._clock_offset
