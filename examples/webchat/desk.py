"""What the agents of one user ask, over whichever connection it comes, and the way back for the answers.

The table is the wall: a page can only answer what was asked in its own user's conversation, by the id of a card.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from examples.webchat.asks import (
    GONE,
    UNANSWERED,
    Ask,
    State,
    answers_in,
    approval_ask,
    decision_in,
    question_ask,
)
from openclaw_client import (
    SKIP,
    AnswerOutcome,
    Answers,
    ApprovalRequested,
    ApprovalResolved,
    AsyncGatewayClient,
    GatewayError,
    QuestionAsked,
    QuestionClosed,
)

CLOSED: Final = 20
"""Cards that are over and still shown: a person wants to see what became of the last ones."""

Event = ApprovalRequested | ApprovalResolved | QuestionAsked | QuestionClosed
Tell = Callable[[str, dict[str, Any]], None]


class Answering(Exception):
    """An answer is on its way already."""


class Desk:
    """For one user, on one event loop. tell: publishes to the user's pages.

    What is pending is bounded by the client that hears of it.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._asks: dict[str, Ask] = {}
        self._owners: dict[str, AsyncGatewayClient] = {}
        self._answering: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def shown(self) -> list[dict[str, Any]]:
        """All cards, oldest first."""
        return [ask.shown() for ask in self._asks.values()]

    def watch(self, client: AsyncGatewayClient) -> None:
        """Hear what is asked over this client, beginning with what is pending, until it ends for good."""
        for stream in (client.approvals(), client.questions()):
            task = asyncio.create_task(self._listen(client, stream), name="webchat asks")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def answer(self, ident: str, body: Any) -> dict[str, Any]:
        """Bring a page's answer to the gateway; returns what became of it, and the card.

        Raises KeyError for what is no card of this user, BadAnswer, Answering, GatewayError.
        """
        ask = self._asks[ident]
        if ask.state != "pending":
            return {"status": "gone" if ask.state in GONE else "already", "ask": ask.shown()}
        if ident in self._answering:
            raise Answering
        given = decision_in(ask, body) if ask.kind == "approval" else answers_in(ask, body)
        self._answering.add(ident)
        try:
            outcome = await _bring(self._owners[ident], ask, given)
        except BaseException:
            self._answering.discard(ident)
            self._told(ident)  # it may be over all the same
            raise
        self._answering.discard(ident)
        self._settle(ask, outcome, skipped=given is SKIP)
        return {"status": outcome.status, "ask": ask.shown()}

    async def close(self) -> None:
        """Hear of nothing any more; what is pending stays so at the gateway."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Inside.

    async def _listen(self, client: AsyncGatewayClient, stream: Any) -> None:
        try:
            async with stream as events:
                await self._take_all(client, events)
        except GatewayError:
            # Said where the connection is shown. The next one brings what is still pending.
            self._forget(client)

    async def _take_all(self, client: AsyncGatewayClient, events: AsyncIterator[Event]) -> None:
        async for event in events:
            match event:
                case ApprovalRequested(run_id=run_id, approval=approval):
                    self._add(client, approval_ask(run_id or approval.run_id or "", approval))
                case QuestionAsked(run_id=run_id, question=question):
                    self._add(client, question_ask(run_id or question.run_id or "", question))
                case ApprovalResolved(approval=approval, status=status, decision=decision):
                    self._close(client, approval.id, status, decision)
                case QuestionClosed(question=question, status=status):
                    self._close(client, question.id, status, None)

    def _add(self, client: AsyncGatewayClient, ask: Ask) -> None:
        known = self._asks.get(ask.id)
        same = self._owners.get(ask.id) is client
        self._owners[ask.id] = client
        if known is not None and (known.state not in UNANSWERED or same):
            # Another connection of this user has told it already.
            return
        if known is not None:
            # A client that did not send the run cannot name it.
            ask.run_id = ask.run_id or known.run_id
            del self._asks[ask.id]
        self._asks[ask.id] = ask
        self._tell("ask", ask.shown())

    def _close(self, client: AsyncGatewayClient, ident: str, state: State, decision: str | None) -> None:
        ask = self._asks.get(ident)
        if ask is None or ask.state != "pending" or self._owners.get(ident) is not client:
            return
        ask.close(state, decision, here=False)
        self._prune()
        self._told(ident)

    def _settle(self, ask: Ask, outcome: AnswerOutcome, *, skipped: bool) -> None:
        """An answer has come to its end, before or behind what the events say of it."""
        here = outcome.status == "applied"
        if here or ask.state == "pending":
            ask.close(_state_of(ask, outcome, skipped=skipped), outcome.decision, here=here)
            self._prune()
        self._told(ask.id)

    def _told(self, ident: str) -> None:
        """Tell the pages, but not half of it: whose answer counts is known when the answer has come back."""
        ask = self._asks.get(ident)
        if ask is not None and ident not in self._answering:
            self._tell("ask", ask.shown())

    def _forget(self, client: AsyncGatewayClient) -> None:
        """A client is gone for good, and with it everybody who could bring an answer."""
        for ident in [ident for ident, owner in self._owners.items() if owner is client]:
            del self._owners[ident]
            if self._asks[ident].state == "pending":
                del self._asks[ident]
                self._tell("unasked", {"id": ident})

    def _prune(self) -> None:
        closed = [ident for ident, ask in self._asks.items() if ask.state != "pending" and ident not in self._answering]
        for ident in closed[:-CLOSED]:
            del self._asks[ident]
            self._owners.pop(ident, None)
            self._tell("unasked", {"id": ident})


async def _bring(client: AsyncGatewayClient, ask: Ask, given: Answers) -> AnswerOutcome:
    """An answer to the gateway; for an approval it is the decision."""
    if ask.kind == "question":
        return await client.answer(ask.id, given) if given is not SKIP else await client.skip(ask.id)
    if given == "deny":
        return await client.deny(ask.id)
    return await client.approve(ask.id, always=given == "allow-always")


def _state_of(ask: Ask, outcome: AnswerOutcome, *, skipped: bool) -> State:
    """How it ended, as far as an answer's outcome tells."""
    if outcome.status == "gone":
        return "gone"
    if ask.kind == "approval":
        return "denied" if outcome.decision == "deny" else "allowed"
    return "skipped" if skipped and outcome.status == "applied" else "answered"
