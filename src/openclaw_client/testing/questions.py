"""Questions that an agent asks people: the table, the answers that fit, and what is told of them.

A gateway has no wall here: whoever has the scope sees every question and every answer. Refuses to know runs.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from openclaw_client.errors import UsageError
from openclaw_client.testing.callers import Caller, Herald, MethodError, Params
from openclaw_client.testing.schema import Items, Text, complaint

_ANSWERS: Final = Items(Items(Text()))

QuestionStatus = Literal["pending", "answered", "cancelled", "expired"]
AnswerMap = dict[str, list[str]]
"""The answers to each item, by its `questionId`."""

QUESTION_SCOPE: Final = "operator.questions"
QUESTION_SECONDS: Final = 900.0
"""After how long a question expires; the gateways' own default."""
ITEMS: Final = 3
"""Items of one question, and as on the real gateways."""
KEPT: Final = 1_000
"""Questions that are remembered, answered ones included: a test has a handful. Real gateways forget them after 15 s."""
STORED: Final = "stored"
"""What stands for a secret once it is given: real gateways keep the secret itself for no event and no agent."""


@dataclass(slots=True, eq=False)
class QuestionRequest:
    """One request, of one or more items. Times in milliseconds since 1970.

    items: as the event shows them. decided: the answers, or None where there are none.
    """

    id: str
    items: list[dict[str, Any]]
    agent_id: str
    session_key: str
    run_id: str
    created_at: int
    expires_at: int
    decided: asyncio.Future[AnswerMap | None] = field(repr=False)
    status: QuestionStatus = "pending"
    answers: AnswerMap | None = field(default=None, repr=False)
    resolved_by: str | None = None
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def shown(self) -> dict[str, Any]:
        """As its event and the list show it."""
        record: dict[str, Any] = {
            "id": self.id,
            "questions": self.items,
            "agentId": self.agent_id,
            "sessionKey": self.session_key,
            "runId": self.run_id,
            "createdAtMs": self.created_at,
            "expiresAtMs": self.expires_at,
            "status": self.status,
        }
        if self.answers is not None:
            record["answers"] = {"answers": self.answers}
        return record if self.resolved_by is None else {**record, "resolvedBy": self.resolved_by}

    def result(self) -> dict[str, Any]:
        """How it ended."""
        ended: dict[str, Any] = {"status": self.status}
        return ended if self.answers is None else {**ended, "answers": {"answers": self.answers}}


class Questions:
    """The questions of one gateway; lives as long as its process would."""

    def __init__(self, herald: Herald, seconds: float) -> None:
        self._herald = herald
        self._seconds = seconds
        self._table: dict[str, QuestionRequest] = {}
        self._stopped = False

    @property
    def pending(self) -> list[QuestionRequest]:
        """What waits for an answer, oldest first."""
        return [one for one in self._table.values() if one.status == "pending"]

    def add(
        self, items: list[dict[str, Any]], agent_id: str, session_key: str, run_id: str, seconds: float | None
    ) -> QuestionRequest:
        """Ask everybody who has the scope."""
        loop = asyncio.get_running_loop()
        seconds = self._seconds if seconds is None else seconds
        now = self._herald.now_ms()
        ends = now + round(seconds * 1000)
        ident = f"ask_{uuid.uuid4().hex}"
        question = QuestionRequest(ident, items, agent_id, session_key, run_id, now, ends, loop.create_future())
        question.timer = loop.call_later(seconds, self._end, question, "expired")
        self._table[ident] = question
        if len(self._table) > KEPT:
            del self._table[next(iter(self._table))]
        self._herald.to_scope(QUESTION_SCOPE, "question.requested", question.shown())
        return question

    def answer(self, ident: str, answers: Mapping[str, Sequence[str]]) -> QuestionRequest:
        """Answer one. Raises MethodError where that may not be."""
        question = self._waiting(ident)
        question.answers = _canonical(question.items, answers)
        self._end(question, "answered")
        return question

    def cancel(self, ident: str) -> QuestionRequest:
        """Say that nobody answers. Raises MethodError where that may not be."""
        question = self._waiting(ident)
        self._end(question, "cancelled")
        return question

    def close(self, question: QuestionRequest) -> None:
        """The run that asked is over."""
        if question.status == "pending" and not self._stopped:
            question.resolved_by = "requester-inactive"
            self._end(question, "cancelled")

    def stop(self) -> None:
        """Forget everything, without a word: what a process that ends does."""
        self._stopped = True
        for question in self.pending:
            if question.timer is not None:
                question.timer.cancel()

    def get(self, ident: str) -> QuestionRequest:
        """A question, answered or not. Raises MethodError where there is none."""
        found = self._table.get(ident)
        if found is None:
            raise _refusal(ident, "was not found", "NOT_FOUND")
        return found

    def _waiting(self, ident: str) -> QuestionRequest:
        question = self.get(ident)
        if question.status != "pending":
            raise _refusal(ident, f"is already {question.status}", "ALREADY_TERMINAL")
        return question

    def _end(self, question: QuestionRequest, status: QuestionStatus) -> None:
        question.status = status
        if question.timer is not None:
            question.timer.cancel()
        if not question.decided.done():
            question.decided.set_result(question.answers)
        payload = {"id": question.id, **question.result()}
        self._herald.to_scope(QUESTION_SCOPE, "question.resolved", payload)


class QuestionMethods:
    """question.list, question.get and question.resolve."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def handlers(self) -> dict[str, Callable[[Caller, Params], Any]]:
        """By name, whether or not the release has it."""
        return {"question.list": self._list, "question.get": self._get, "question.resolve": self._resolve}

    def _list(self, _caller: Caller, _params: Params) -> Params:
        return {"questions": [one.shown() for one in self._questions.pending]}

    def _get(self, _caller: Caller, params: Params) -> Params:
        return {"question": self._questions.get(params["id"]).shown()}

    def _resolve(self, _caller: Caller, params: Params) -> Params:
        if params.get("cancel") is True and "answers" not in params:
            return self._questions.cancel(params["id"]).result()
        if "cancel" in params or "answers" not in params:
            missing = [f"must have required property '{name}'" for name in ("answers", "cancel") if name not in params]
            wrong = "; ".join([*missing, "must match a schema in anyOf"])
            raise MethodError(f"invalid question.resolve params: {wrong}")
        answers = params["answers"]["answers"]
        wrong = complaint(_ANSWERS, list(answers.values()), verbose=False)
        if wrong:
            raise MethodError(f"invalid question.resolve params: {wrong}")
        return self._questions.answer(params["id"], answers).result()


def items_of(questions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What an agent asks, as the event shows it. Raises UsageError for what no gateway would ask."""
    if not 1 <= len(questions) <= ITEMS:
        raise UsageError(message=f"a question has 1 to {ITEMS} items, not {len(questions)}")
    items = [_item(one, number) for number, one in enumerate(questions, 1)]
    names = [item["questionId"] for item in items]
    if len(set(names)) < len(names):
        raise UsageError(message=f"two items of a question have the same questionId: {', '.join(names)}")
    return items


def _item(asked: Mapping[str, Any], number: int) -> dict[str, Any]:
    options = [{"label": one} if isinstance(one, str) else dict(one) for one in asked.get("options", ())]
    secret = bool(asked.get("isSecret"))
    if len(options) == 1 or (secret and options):
        raise UsageError(message="an item has two to four options, or none, and a secret one has none")
    item = {**asked, "questionId": str(asked.get("questionId", f"q{number}")), "options": options}
    item = {"header": item["questionId"], "question": item["questionId"], **item}
    return item if secret else {"isOther": True, **item}


def _canonical(items: Sequence[Mapping[str, Any]], answers: Mapping[str, Sequence[str]]) -> AnswerMap:
    known = {item["questionId"] for item in items}
    strange = next((name for name in answers if name not in known), None)
    if strange is not None:
        raise _refusal(strange, "is not part of this request", "INVALID_ANSWER")
    return {item["questionId"]: _fitting(item, answers.get(item["questionId"], ())) for item in items}


def _fitting(item: Mapping[str, Any], values: Sequence[str]) -> list[str]:
    """The answers to one item, spelled as its options are."""
    labels = {option["label"].strip(): option["label"] for option in item["options"]}
    texts = [labels.get(value.strip(), value.strip()) for value in values]
    wrong = ""
    if not texts:
        wrong = "requires an answer"
    elif "" in texts:
        wrong = "contains an empty answer"
    elif len(texts) > 1 and not item.get("multiSelect"):
        wrong = "does not allow multiple answers"
    elif labels and not item.get("isOther") and any(text not in labels.values() for text in texts):
        wrong = "contains an unknown option"
    if wrong:
        raise _refusal(item["questionId"], wrong, "INVALID_ANSWER")
    return [STORED] if item.get("isSecret") else texts


def _refusal(ident: str, why: str, reason: str) -> MethodError:
    return MethodError(f"question '{ident}' {why}", details={"reason": f"QUESTION_{reason}"})
