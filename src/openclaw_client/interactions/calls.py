"""Approvals and questions as requests to the gateway: which method each release has, and what its answers mean.

Losing the race to somebody else is no error here: every gateway says in its own words that an answer came too late.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from openclaw_client.errors import MethodUnavailable, RequestFailed
from openclaw_client.logs import GuardedLogger
from openclaw_client.requests.requests import DEFAULT_LIMIT, Requests
from openclaw_client.runs.answering import AnswerOutcome
from openclaw_client.runs.interactions import Interaction, InteractionEnd, Kind
from openclaw_client.wire.approvals import FAMILIES, LISTS, Approval, approvals_from, recorded_end
from openclaw_client.wire.questions import question_end_from, questions_from

logger = GuardedLogger("openclaw_client.interactions")

QUESTION_LIST: Final = "question.list"

_GONE: Final = ("APPROVAL_NOT_FOUND", "QUESTION_NOT_FOUND")
_ALREADY: Final = ("APPROVAL_ALREADY_RESOLVED", "QUESTION_ALREADY_TERMINAL")
_GONE_WORDS: Final = ("unknown approval id", "unknown or expired approval id", "approval expired or not found")
_ALREADY_WORDS: Final = ("already resolved",)
"""For releases without `details.reason` (2026.2.17)."""


class InteractionCalls:
    """Of one client. Everything raises what `request` raises, but for an answer that came too late."""

    __slots__ = ("_requests",)

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def pending(self, kind: Kind) -> list[Interaction] | None:
        """What is pending at the gateway; None where this release cannot tell."""
        lists = [name for name in (LISTS if kind == "approvals" else (QUESTION_LIST,)) if self._named(name)]
        if not lists:
            return None
        found: list[Interaction] = []
        refused: RequestFailed | None = None
        for name in lists:
            try:
                payload = await self._call(name, {})
            except RequestFailed as error:
                # The others are read all the same.
                refused = error
            else:
                found += questions_from(payload) if name == QUESTION_LIST else approvals_from(payload, LISTS[name])
        if refused is not None and len(lists) == 1:
            raise refused
        return found

    async def look_up(self, item: Interaction) -> InteractionEnd | None:
        """How one ended that is not listed any more; None where it is pending all the same."""
        if isinstance(item, Approval):
            return await self._recorded(item.id)
        if not self._named("question.get"):
            return InteractionEnd("gone")
        try:
            payload = await self._call("question.get", {"id": item.id})
        except RequestFailed as error:
            return _lost(error)
        record = payload.get("question", payload) if isinstance(payload, Mapping) else None
        closing = question_end_from(record) if isinstance(record, Mapping) else None
        pending = isinstance(record, Mapping) and record.get("status") == "pending"
        return None if pending else InteractionEnd("gone" if closing is None else closing.status)

    async def decide(self, ident: str, kind: str, decision: str, days: int | None, *, exact: bool) -> AnswerOutcome:
        """Decide on an approval. exact: whether kind and decision are such as the gateway has asked for them.

        `approval.resolve` takes a wrong kind, and whatever else it does not know, for a no; `exec.approval.resolve`
        refuses it. Both observed on 2026.8.1 and 2026.9.6.
        """
        params = {"id": ident, "decision": decision} | ({} if days is None else {"grantExpiresInDays": days})
        try:
            if exact and self._named("approval.resolve"):
                payload = await self._call("approval.resolve", {**params, "kind": kind})
                return _recorded(ident, payload, decision)
            family = next((name for name, sort in FAMILIES.items() if sort == kind), "exec")
            await self._call(f"{family}.approval.resolve", params)
        except RequestFailed as error:
            outcome = _too_late(error)
            recorded = await self._recorded(ident) if outcome.status == "already" else None
            return outcome if recorded is None else AnswerOutcome("already", recorded.decision)
        return AnswerOutcome("applied", decision)

    async def answer(self, ident: str, answers: dict[str, list[str]] | None) -> AnswerOutcome:
        """Answer a question; None leaves it without an answer."""
        given: dict[str, Any] = {"cancel": True} if answers is None else {"answers": {"answers": answers}}
        try:
            await self._call("question.resolve", {"id": ident, **given})
        except RequestFailed as error:
            return _too_late(error)
        return AnswerOutcome("applied")

    async def _recorded(self, ident: str) -> InteractionEnd | None:
        """How an approval ended; None while it is pending."""
        if not self._named("approval.get"):
            return InteractionEnd("gone")
        try:
            verdict = recorded_end(ident, await self._call("approval.get", {"id": ident}))
        except RequestFailed as error:
            return _lost(error)
        return None if verdict is None else InteractionEnd(verdict.status, verdict.decision)

    def _named(self, method: str) -> bool:
        hello = self._requests.facts.hello
        return hello is not None and method in hello.features.methods

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        return await self._requests.call(method, params, DEFAULT_LIMIT, None, False)


def _recorded(ident: str, payload: Any, decision: str) -> AnswerOutcome:
    """What `approval.resolve` tells: whether this decision was applied, and which one counts."""
    verdict = recorded_end(ident, payload)
    counts = decision if verdict is None or verdict.decision is None else verdict.decision
    if isinstance(payload, Mapping) and payload.get("applied") is False:
        if verdict is not None and verdict.status in ("expired", "cancelled", "gone"):
            return AnswerOutcome("gone")
        return AnswerOutcome("already", counts)
    return AnswerOutcome("applied", counts)


def _too_late(error: RequestFailed) -> AnswerOutcome:
    """What a refusal means. Raises it where it is about something else."""
    if isinstance(error, MethodUnavailable):
        raise error
    details = error.details if isinstance(error.details, Mapping) else {}
    names = {error.code, details.get("reason"), details.get("code")}
    words = error.message.lower()
    if "already expired" in words or "already cancelled" in words:
        # A question that nobody answered is said to be over as one that somebody answered is.
        return AnswerOutcome("gone")
    if names.intersection(_ALREADY) or any(one in words for one in _ALREADY_WORDS):
        return AnswerOutcome("already")
    if names.intersection(_GONE) or any(one in words for one in _GONE_WORDS):
        return AnswerOutcome("gone")
    raise error


def _lost(error: RequestFailed) -> InteractionEnd | None:
    """What a refused look means: that the gateway has it no more, or nothing."""
    try:
        return InteractionEnd("gone") if _too_late(error).status == "gone" else None
    except RequestFailed:
        return None
