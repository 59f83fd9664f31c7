"""What an agent asks of its user, on a client: handlers, what is pending, and the answers for coroutines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from openclaw_client.client.callbacks import check_handler
from openclaw_client.client.events import EventStream
from openclaw_client.client.port import Port
from openclaw_client.interactions.events import InteractionEvent
from openclaw_client.interactions.handling import InteractionHandler
from openclaw_client.runs.answering import SKIP, AnswerOutcome, Answers
from openclaw_client.runs.events import ApprovalEvent, ApprovalRequested, ApprovalResolved, QuestionEvent
from openclaw_client.runs.interactions import Kind
from openclaw_client.wire.approvals import Approval, Decision
from openclaw_client.wire.questions import Question

ApprovalHandler = Callable[[Approval], Any]
QuestionHandler = Callable[[Question], Any]


class AnsweringBase:
    """The names that need no waiting. From any thread."""

    _port: Port
    _coroutines = True
    _on_loop: Callable[..., object]
    """Runs call(*args) on the loop's thread."""

    @property
    def pending_approvals(self) -> tuple[Approval, ...]:
        """What agents wait to be allowed, as far as this client is shown it; oldest first."""
        return tuple(item for item in self._port.interactions.pending if isinstance(item, Approval))

    @property
    def pending_questions(self) -> tuple[Question, ...]:
        """The questions that wait for an answer, as far as this client is shown them; oldest first."""
        return tuple(item for item in self._port.interactions.pending if isinstance(item, Question))

    def on_approval(self, handler: ApprovalHandler) -> Any:
        """Call handler(approval) for everything that an agent asks to be allowed. Also a decorator.

        What it returns is the answer: "allow-once", "allow-always" or "deny"; None leaves it open, for `approve` and
        `deny`. Handlers run apart from all others, for they wait for people: each in a task of its own, which is
        cancelled when the approval is over, where it may be `async def`; on up to 32 threads of their own in the
        blocking client. What one raises is logged and leaves the approval open.

        Raises:
            UsageError: The client is connected, and the gateway was not told that somebody answers: register before
                `connect()`, or make the client with `answers=["approvals"]`.
        """
        return self._answered("approvals", handler)

    def on_question(self, handler: QuestionHandler) -> Any:
        """Call handler(question) for everything that an agent asks. Also a decorator.

        What it returns is the answer: a text, a list of them, or a dict by the items' ids; `SKIP` for none; None leaves
        it open, for `answer` and `skip`. The rest is as for `on_approval`.
        """
        return self._answered("questions", handler)

    def _answered(self, kind: Kind, handler: Callable[..., Any]) -> Any:
        check_handler(handler, coroutines=self._coroutines)
        self._port.answers(kind)
        interactions, handle = self._port.interactions, cast(InteractionHandler, handler)
        interactions.handlers.append((kind, handle))
        if interactions.pending:
            self._on_loop(interactions.handle, kind, handle)
        return handler


class AsyncAnswering(AnsweringBase):
    """For coroutines, on the loop's thread."""

    _bind: Callable[[], None]
    """Of the client: it belongs to one loop."""

    async def approve(
        self, approval: Approval | str, *, always: bool = False, grant_days: int | None = None
    ) -> AnswerOutcome:
        """Allow what an agent asks for.

        Args:
            approval: The approval, or its id, as a web request brings it.
            always: Allow it from now on, and not only this once; where `allowed_decisions` has it.
            grant_days: For how many days that holds; None for good (2026.8.1 and later).

        Returns:
            What became of it; that somebody else was quicker, or its time was over, is no error.

        Raises:
            UsageError: It takes no such decision; nothing was sent. Else what `request` raises. Cancelling drops the
                answer; the gateway acts on it all the same.
        """
        self._bind()
        decision: Decision = "allow-always" if always else "allow-once"
        return await self._port.interactions.decide(approval, decision, grant_days)

    async def deny(self, approval: Approval | str) -> AnswerOutcome:
        """Refuse what an agent asks for; its run goes on without. As `approve`."""
        self._bind()
        return await self._port.interactions.decide(approval, "deny")

    async def answer(self, question: Question | str, answers: Answers) -> AnswerOutcome:
        """Answer what an agent asks.

        Args:
            question: The question, or its id, as a web request brings it.
            answers: A text; a list of them where several may be chosen; a dict by the items' ids.

        Returns:
            What became of it, as for `approve`.

        Raises:
            UsageError: The answers do not fit the question; nothing was sent. Else what `request` raises.
        """
        self._bind()
        return await self._port.interactions.answer(question, answers)

    async def skip(self, question: Question | str) -> AnswerOutcome:
        """Leave a question without an answer; its run goes on without. As `answer`."""
        self._bind()
        return await self._port.interactions.answer(question, SKIP)

    def approvals(self) -> EventStream[ApprovalEvent]:
        """An async iterator of `ApprovalRequested` and `ApprovalResolved`, beginning with what is pending.

        For the requests of all runs that this client is shown; over reconnects. A client that only watches should say
        so with `answers=["approvals"]`: 2026.8.1 and later ask nobody else.
        """
        return self._interaction_stream("approvals")

    def questions(self) -> EventStream[QuestionEvent]:
        """An async iterator of `QuestionAsked` and `QuestionClosed`, beginning with what is pending; as `approvals`."""
        return self._interaction_stream("questions")

    def _interaction_stream(self, kind: Kind) -> EventStream[Any]:
        interactions = self._port.interactions
        stream: EventStream[Any] = EventStream((kind,), interactions.unlisten, self._port.on_slow, size_of_interaction)
        interactions.listen(kind, stream)
        return stream

    def _on_loop(self, call: Callable[..., object], *args: Any) -> None:
        call(*args)


def size_of_interaction(event: InteractionEvent) -> int:
    """Bytes of what an event is about."""
    item = event.approval if isinstance(event, ApprovalRequested | ApprovalResolved) else event.question
    return len(msgspec.json.encode(item.raw))
