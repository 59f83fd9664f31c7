"""What an agent asks of its user, answered from threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from openclaw_client.client.answering import AnsweringBase, size_of_interaction
from openclaw_client.interactions.handling import InteractionHandler, log_failure
from openclaw_client.runs.answering import SKIP, AnswerOutcome, Answers
from openclaw_client.runs.events import ApprovalEvent, QuestionEvent
from openclaw_client.runs.interactions import Interaction, Kind
from openclaw_client.sync.callbacks import HandlerExecutor
from openclaw_client.sync.events import BlockingEventStream
from openclaw_client.sync.loop_thread import LoopThread
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question


class ThreadRunner:
    """Each handler on a thread that is there for handlers that wait for people."""

    def __init__(self, executor: HandlerExecutor) -> None:
        self._executor = executor

    def run(
        self, handler: InteractionHandler, item: Interaction, done: Callable[[object], None]
    ) -> Callable[[], object]:
        loop, needed = asyncio.get_running_loop(), [True]

        def job() -> None:
            if not needed:
                return
            try:
                result = handler(item)
            except BaseException:  # noqa: BLE001 - logged with its traceback
                # SystemExit, a gevent.Timeout: nothing ends a program from here.
                log_failure(handler)
            else:
                with suppress(RuntimeError):  # the loop is gone, and the process with it
                    # Not as an argument: asyncio's debug log shows those of slow callbacks.
                    loop.call_soon_threadsafe(lambda: done(result))

        try:
            self._executor.submit_apart(job)
        except RuntimeError:
            # No thread is to be had.
            log_failure(handler)
        return needed.clear


class BlockingAnswering(AnsweringBase):
    """For threads."""

    _coroutines = False
    # Of the client.
    _reconnect_after_fork: bool
    _thread: LoopThread | None
    _ready_thread: Callable[[], LoopThread]
    _soon: Callable[..., None]

    def approve(
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
            UsageError: It takes no such decision; nothing was sent. Else what `request` raises. Ctrl-C drops the
                answer; the gateway acts on it all the same.
        """
        decision = "allow-always" if always else "allow-once"
        return self._ready_thread().call(
            lambda: self._port.interactions.decide(approval, decision, grant_days), "approve"
        )

    def deny(self, approval: Approval | str) -> AnswerOutcome:
        """Refuse what an agent asks for; its run goes on without. As `approve`."""
        return self._ready_thread().call(lambda: self._port.interactions.decide(approval, "deny"), "deny")

    def answer(self, question: Question | str, answers: Answers) -> AnswerOutcome:
        """Answer what an agent asks.

        Args:
            question: The question, or its id, as a web request brings it.
            answers: A text; a list of them where several may be chosen; a dict by the items' ids.

        Returns:
            What became of it, as for `approve`.

        Raises:
            UsageError: The answers do not fit the question; nothing was sent. Else what `request` raises.
        """
        return self._ready_thread().call(lambda: self._port.interactions.answer(question, answers), "answer")

    def skip(self, question: Question | str) -> AnswerOutcome:
        """Leave a question without an answer; its run goes on without. As `answer`."""
        return self._ready_thread().call(lambda: self._port.interactions.answer(question, SKIP), "skip")

    def approvals(self) -> BlockingEventStream[ApprovalEvent]:
        """An iterator of `ApprovalRequested` and `ApprovalResolved`, beginning with what is pending.

        For the requests of all runs that this client is shown; over reconnects. A client that only watches should say
        so with `answers=["approvals"]`: 2026.8.1 and later ask nobody else.
        """
        return self._interaction_stream("approvals")

    def questions(self) -> BlockingEventStream[QuestionEvent]:
        """An iterator of `QuestionAsked` and `QuestionClosed`, beginning with what is pending; as `approvals`."""
        return self._interaction_stream("questions")

    def _interaction_stream(self, kind: Kind) -> BlockingEventStream[Any]:
        if self._reconnect_after_fork:
            self._ready_thread()
        interactions, on_slow = self._port.interactions, self._port.on_slow
        stream: BlockingEventStream[Any] = BlockingEventStream(
            (kind,), lambda leaving: self._soon(interactions.unlisten, leaving), on_slow, size_of_interaction
        )

        async def listen() -> None:
            interactions.listen(kind, stream)

        if self._thread is None or self._thread.closing:
            interactions.listen(kind, stream)
        else:
            # Waited for: a process may be forked in the next moment.
            self._thread.call(listen, kind)
        return stream

    def _on_loop(self, call: Callable[..., object], *args: Any) -> None:
        self._soon(call, *args)
