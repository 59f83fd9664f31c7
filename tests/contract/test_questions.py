"""Questions of the agent: who is asked, what an answer may be, and who hears it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from tests.contract.operators import QUESTIONS, SCOPES, Operator, Payload
from tests.contract.targets import Target
from tests.gateways.raw import RawClient
from tests.waiting import until

pytestmark = pytest.mark.release("2026.8.1", "2026.9.6")

QUARTER_OF_AN_HOUR = 900_000
"""Milliseconds in which a question can be answered, where the agent says nothing else."""

OPTIONS = [{"label": "Tea", "description": "hot"}, {"label": "Water"}]
DRINK = {"id": "drink", "header": "Drink", "question": "What do you drink?", "options": OPTIONS}
SIZES = {"id": "sizes", "header": "Sizes", "question": "Which?", "options": OPTIONS, "multiSelect": True}

OVER, WRONG = "QUESTION_ALREADY_TERMINAL", "QUESTION_INVALID_ANSWER"


@pytest.fixture
async def pair(target: Target) -> AsyncIterator[tuple[Operator, Operator]]:
    """The client whose agent asks, and one of another device; neither with a capability."""
    async with AsyncExitStack() as stack:
        clients = [Operator(target, QUESTIONS, caps=("tool-events",)) for _ in range(2)]
        asker, second = [await stack.enter_async_context(one) for one in clients]
        yield asker, second


@pytest.fixture
def reader(target: Target) -> Iterator[RawClient]:
    """Somebody who reads the frames: a client keeps what was answered out of the event."""
    with RawClient(url=target.url, token=target.token, scopes=QUESTIONS) as client:
        yield client


async def asked(asker: Operator, session: str, *items: Payload) -> tuple[str, Payload]:
    """Have the agent ask; the run's id and the question as it came."""
    run = await asker.send(session, f"stub:ask {json.dumps(items)}")
    await until(lambda: [one for one in asker.heard["question.requested"] if one["runId"] == run])
    return run, next(one for one in asker.heard["question.requested"] if one["runId"] == run)


def answer(ident: str, **answers: list[str]) -> Payload:
    return {"id": ident, "answers": {"answers": answers}}


async def told(who: Operator, ident: str) -> Payload:
    """Wait until this client heard that the question is over; what it heard."""
    await until(lambda: [one for one in who.heard["question.resolved"] if one["id"] == ident])
    return next(one for one in who.heard["question.resolved"] if one["id"] == ident)


async def test_everybody_with_the_scope_is_asked_and_hears_the_answer(
    target: Target, pair: tuple[Operator, Operator], reader: RawClient, session: str
) -> None:
    asker, second = pair
    async with Operator(target, SCOPES) as without:
        run, question = await asked(asker, session, DRINK)
        ident = question["id"]
        assert question["questions"] == [
            {
                "questionId": "drink",
                "isOther": True,
                **{name: DRINK[name] for name in ("header", "question", "options")},
            }
        ]
        assert (question["sessionKey"], question["status"]) == (f"agent:main:{session}", "pending")
        assert question["expiresAtMs"] - question["createdAtMs"] == QUARTER_OF_AN_HOUR
        listed = (await second.client.request("question.list", {}))["questions"]
        assert question in listed
        assert question in second.heard["question.requested"]
        outcome = await second.client.request("question.resolve", answer(ident, drink=["Tea"]))
        assert outcome == {"status": "answered", "answers": {"answers": {"drink": ["Tea"]}}}
        state, text = await asker.end(run)
        assert (state, text.splitlines()[0]) == ("final", "Drink: Tea")
        for who in pair:
            assert await told(who, ident) == {"id": ident, "status": "answered"}
        reader.request("question.list", {})
        assert {"id": ident, **outcome} in [one["payload"] for one in reader.events]
        assert await asker.refusal("question.resolve", answer(ident, drink=["Tea"])) == OVER
        assert await asker.refusal("question.resolve", {"id": ident, "cancel": True}) == OVER
        assert without.heard["question.requested"] == without.heard["question.resolved"] == []


async def test_an_answer_that_does_not_fit_leaves_the_question_open(
    pair: tuple[Operator, Operator], session: str
) -> None:
    asker, _ = pair
    run, question = await asked(asker, session, DRINK, SIZES)
    ident = question["id"]
    for wrong in (
        {"drink": ["Tea"]},
        {"drink": ["Tea", "Water"], "sizes": ["Tea"]},
        {"drink": ["Tea"], "sizes": ["Tea"], "other": ["Tea"]},
    ):
        assert await asker.refusal("question.resolve", answer(ident, **wrong)) == WRONG
    assert await asker.refusal("question.get", {"id": "ask_0"}) == "QUESTION_NOT_FOUND"
    assert await asker.refusal("question.resolve", {"id": "ask_0", "cancel": True}) == "QUESTION_NOT_FOUND"
    assert (await asker.client.request("question.get", {"id": ident}))["question"]["status"] == "pending"
    assert await asker.refusal("question.resolve", answer(ident, drink=["Coffee"], sizes=["Tea", "Water"])) == "ok"
    assert (await asker.end(run))[1].splitlines()[:2] == ["Drink: Coffee", "Sizes: Tea, Water"]


async def test_a_question_can_be_skipped(pair: tuple[Operator, Operator], session: str) -> None:
    asker, _ = pair
    run, question = await asked(asker, session, DRINK)
    assert await asker.client.request("question.resolve", {"id": question["id"], "cancel": True}) == {
        "status": "cancelled"
    }
    assert (await asker.end(run))[1].startswith("The question was cancelled")
    assert await told(asker, question["id"]) == {"id": question["id"], "status": "cancelled"}


async def test_an_aborted_run_takes_its_question_back(pair: tuple[Operator, Operator], session: str) -> None:
    asker, second = pair
    run, question = await asked(asker, session, DRINK)
    await asker.client.request("chat.abort", {"sessionKey": session, "runId": run})
    assert (await asker.end(run))[0] == "aborted"
    for who in pair:
        assert await told(who, question["id"]) == {"id": question["id"], "status": "cancelled"}
    assert await second.refusal("question.resolve", answer(question["id"], drink=["Tea"])) == OVER
