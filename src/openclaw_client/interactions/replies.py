"""What a person answers, on its way to the gateway: checked, given once more where that harms nothing, and settled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from openclaw_client.errors import GatewayError, OutcomeUnknown, UsageError
from openclaw_client.interactions.calls import InteractionCalls
from openclaw_client.interactions.events import id_of, outcome_of
from openclaw_client.logs import GuardedLogger
from openclaw_client.runs.answering import SKIP, AnswerOutcome, check_answers, check_decision, check_grant_days
from openclaw_client.runs.interactions import Interaction, InteractionEnd, InteractionTable, Kind, Pending
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question

logger = GuardedLogger("openclaw_client.interactions")

_GONE = AnswerOutcome("gone")


class Replies:
    """close(id, ended): one is over. settled(kind): returns when what is pending at the gateway is known."""

    __slots__ = ("_calls", "_close", "_sessions", "_settled", "_table")

    def __init__(
        self,
        table: InteractionTable,
        calls: InteractionCalls,
        sessions: SessionFilter,
        close: Callable[[str, InteractionEnd], None],
        settled: Callable[[Kind], Awaitable[None]],
    ) -> None:
        self._table = table
        self._calls = calls
        self._sessions = sessions
        self._close = close
        self._settled = settled

    async def decide(self, target: Approval | str, decision: str, days: int | None) -> AnswerOutcome:
        """Decide on an approval."""
        ident = id_of(target, Approval)
        await self._find(ident, "approvals")
        entry, known = self._table.get(ident), self._known(target)
        approval = known if isinstance(known, Approval) else None
        check_decision(decision, approval)
        days = check_grant_days(days, decision)
        if (over := self._over(ident)) is not None:
            return over
        kind = approval.kind if approval is not None else "exec"
        # What a gateway does not like in the exact way, it takes for a no.
        exact = entry is not None and approval is not None and approval.states_decisions and days is None
        call = partial(self._calls.decide, ident, kind, decision, days, exact=exact)
        outcome = await self._give(entry, call, decision)
        counts = outcome.decision or decision
        if outcome.status == "applied":
            if counts != decision:
                logger.error("%s was given as the answer to %s, and the gateway made it %s", decision, ident, counts)
            self._end(ident, InteractionEnd("denied" if counts == "deny" else "allowed", counts))
        return self._told(ident, outcome)

    async def answer(self, target: Question | str, answers: object) -> AnswerOutcome:
        """Answer a question."""
        ident = id_of(target, Question)
        await self._find(ident, "questions")
        entry, known = self._table.get(ident), self._known(target)
        question = known if isinstance(known, Question) else None
        checked = None if answers is SKIP else check_answers(answers, question)
        if (over := self._over(ident)) is not None:
            return over
        outcome = await self._give(entry, partial(self._calls.answer, ident, checked))
        if outcome.status == "applied":
            self._end(ident, InteractionEnd("skipped" if checked is None else "answered"))
        return self._told(ident, outcome)

    async def _find(self, ident: str, kind: Kind) -> None:
        """See that what is meant is known, where it can be. Raises UsageError for what is no such thing."""
        if not self._table.knows(ident) and self._sessions.restricted:
            # A list that is on its way may have it.
            await self._settled(kind)
        entry = self._table.get(ident)
        if entry is not None and entry.kind != kind:
            raise UsageError(
                message=f"{ident} is one of the {entry.kind}; nothing was sent",
                remedy="Use approve and deny for approvals, answer and skip for questions",
            )
        # Gateways take the beginning of an id for the whole.
        if entry is None and any(one.item.id.startswith(ident) for one in self._table.pending()):
            raise UsageError(message=f"{ident!r} is only the beginning of an id", remedy="Pass the whole id")

    async def _give(
        self, entry: Pending | None, call: Callable[[], Awaitable[AnswerOutcome]], decision: str | None = None
    ) -> AnswerOutcome:
        """Give an answer, and again where its connection was lost before it was known to count: that harms nothing."""
        if entry is not None:
            entry.answering += 1
        try:
            return await call()
        except OutcomeUnknown as unknown:
            try:
                outcome = await call()
            except GatewayError as error:
                raise unknown from error
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

    def _told(self, ident: str, outcome: AnswerOutcome) -> AnswerOutcome:
        """The outcome, with what was heard of the end meanwhile."""
        ended = self._table.ended(ident)
        if ended is not None and outcome.decision is None and outcome.status != "applied":
            # 2026.4.15 forgets what was answered; its event says it.
            return outcome_of(ended)
        if outcome.status == "gone":
            self._end(ident, InteractionEnd("gone"))
        elif outcome.status == "already":
            # Its event may be on its way, and may have been lost.
            status = {None: "gone", "deny": "denied"}.get(outcome.decision, "allowed")
            self._end(ident, InteractionEnd(status, outcome.decision))
        return outcome

    def _end(self, ident: str, ended: InteractionEnd) -> None:
        """One that is known here is over. An id that nobody heard of may be asked yet."""
        if self._table.get(ident) is not None:
            self._close(ident, ended)
