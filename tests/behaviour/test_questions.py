"""Questions of agents, on both faces: who is asked, what may be answered, and who never hears of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from openclaw_client import (
    SKIP,
    AnswerOutcome,
    MemoryIdentityStore,
    Question,
    QuestionAsked,
    QuestionClosed,
    QuestionOption,
)
from openclaw_client.errors import UsageError
from openclaw_client.identity.device import DeviceIdentity
from openclaw_client.testing import Agent, BlockingEmbeddedGateway, Turn
from tests.waiting import until

Make = Callable[..., Any]
Start = Callable[..., BlockingEmbeddedGateway]

DRINK = {"questionId": "drink", "header": "Drink", "question": "What do you drink?", "options": ["Tea", "Water"]}
SIZE = {"questionId": "size", "header": "Size", "question": "How much?", "options": ["A cup", "A pot"]}

pytestmark = pytest.mark.parametrize("release", ["2026.8.1", "2026.9.6"])


def asks(*questions: dict[str, Any], **options: Any) -> Agent:
    """An agent that asks and answers with what it was told."""

    async def agent(turn: Turn) -> AsyncIterator[str]:
        yield f"It was: {await turn.ask_question(list(questions or (DRINK,)), **options)}"

    return agent


async def test_a_handler_answers_and_the_same_run_goes_on(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    asked: list[Question] = []

    def reply(question: Question) -> str:
        asked.append(question)
        return "Tea"

    client = make(gateway, on_question=reply)
    async with client, client.chat_stream(session_key="s", message="well?") as run:
        events = [event async for event in run if event.type.startswith("question")]
        assert (await run.result()).text == "It was: {'drink': ['Tea']}"
    [question] = asked
    assert events == [QuestionAsked(run.run_id, question), QuestionClosed(run.run_id, question, "answered")]
    assert (question.header, question.text, question.run_id) == ("Drink", "What do you drink?", run.run_id)
    assert question.options == (QuestionOption("Tea"), QuestionOption("Water"))


async def test_it_is_answered_from_the_events_of_the_run(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(DRINK, SIZE), release=release)
    client = make(gateway, answers=["questions"])
    async with client:
        run = client.chat_stream(session_key="s", message="well?")
        async with run:
            async for event in run:
                if isinstance(event, QuestionAsked):
                    assert (run.activity.kind, run.activity.detail) == ("awaiting_answer", "Drink")
                    assert client.pending_questions == (event.question,)
                    with pytest.raises(UsageError, match="2 things are asked"):
                        await client.answer(event.question, "Tea")
                    with pytest.raises(UsageError, match="no answer to size"):
                        await client.answer(event.question, {"drink": "Tea"})
                    with pytest.raises(UsageError, match="no item colour"):
                        await client.answer(event.question, {"drink": "Tea", "colour": "red"})
                    with pytest.raises(UsageError, match="takes one answer"):
                        await client.answer(event.question, {"drink": ["Tea", "Water"], "size": "A pot"})
                    given = {"drink": "Milk", "size": ["A pot"]}
                    assert await client.answer(event.question.id, given) == AnswerOutcome("applied")
                    assert await client.skip(event.question) == AnswerOutcome("already")
            assert (await run.result()).text == "It was: {'drink': ['Milk'], 'size': ['A pot']}"
    assert gateway.seen.requests["question.resolve"] == 1


async def test_one_that_is_skipped_is_no_answer(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    async with make(gateway, on_question=lambda question: SKIP) as client:
        stream = client.questions()
        assert (await client.chat_send(session_key="s", message="well?")).text == "It was: None"
        asked, closed = await anext(stream), await anext(stream)
        assert isinstance(asked, QuestionAsked)
        assert closed.status in ("skipped", "cancelled")


async def test_losing_the_race_is_an_answer(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    async with make(gateway, answers=["questions"]) as first, make(gateway, answers=["questions"]) as second:
        sent = asyncio.ensure_future(first.chat_send(session_key="s", message="well?"))
        await until(lambda: first.pending_questions and second.pending_questions)
        [question] = second.pending_questions
        outcomes = await asyncio.gather(first.answer(question, "Tea"), second.answer(question, "Water"))
        assert sorted(outcome.status for outcome in outcomes) == ["already", "applied"]
        counts = "Tea" if outcomes[0].status == "applied" else "Water"
        assert (await sent).text == f"It was: {{'drink': ['{counts}']}}"


async def test_what_was_asked_while_away_is_made_up_for(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    async with make(gateway, answers=["questions"]) as client:
        run = client.chat_stream(session_key="s", message="well?")
        async with run:
            await until(lambda: client.pending_questions)
            before = client.pending_questions
            gateway.faults.disconnect()
            await until(lambda: gateway.seen.opened == 2 and client.connected)
            assert client.pending_questions == before
            assert (await client.answer(before[0], "Water")).status == "applied"
            assert (await run.result()).text == "It was: {'drink': ['Water']}"


async def test_one_that_was_asked_before_is_in_the_list(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    async with make(gateway, answers=["questions"]) as client:
        sent = asyncio.ensure_future(client.chat_send(session_key="s", message="well?"))
        await until(lambda: client.pending_questions)
        async with make(gateway, answers=["questions"]) as other:
            await until(lambda: other.pending_questions == client.pending_questions)
            assert (await other.answer(other.pending_questions[0].id, "Tea")).status == "applied"
        assert (await sent).text == "It was: {'drink': ['Tea']}"


async def test_nobody_else_is_shown_a_question_or_its_answer(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    heard: list[Any] = []
    mine = make(gateway, answers=["questions"], sessions=["mine"])
    theirs = make(gateway, answers=["questions"], sessions=["theirs"])
    for name in ("question.requested", "question.resolved"):
        theirs.on(name, heard.append)
        mine.on(name, heard.append)
    # Handlers of one client run in order, and later than what its calls return.
    behind: list[Any] = []
    theirs.on("chat", behind.append)
    async with mine, theirs:
        sent = asyncio.ensure_future(mine.chat_send(session_key="mine", message="well?"))
        await until(lambda: mine.pending_questions)
        [question] = mine.pending_questions
        assert await theirs.answer(question, "Water") == AnswerOutcome("gone")
        assert await theirs.skip(question.id) == AnswerOutcome("gone")
        assert gateway.seen.requests.get("question.resolve", 0) == 0
        assert (await mine.answer(question, "Tea")).status == "applied"
        assert (await sent).text == "It was: {'drink': ['Tea']}"
        # Behind everything that the other one could have heard.
        await theirs.chat_send(session_key="theirs", message="/status")
        assert theirs.pending_questions == ()
        await until(lambda: behind and len(heard) >= 2)
    assert [event.name for event in heard] == ["question.requested", "question.resolved"]
    assert "answers" not in heard[1].payload


async def test_no_answer_stands_in_a_log_or_an_event(
    make: Make, start_gateway: Start, release: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "tausendschoen-4711"
    gateway = start_gateway(asks({**DRINK, "options": [], "isSecret": True}), release=release)
    caplog.set_level(logging.DEBUG, logger="openclaw_client")
    client, events = make(gateway, answers=["questions"]), []
    async with client:
        stream = client.events("question.resolved")
        run = client.chat_stream(session_key="s", message="well?")
        async with run:
            async for event in run:
                if isinstance(event, QuestionAsked):
                    assert event.question.secret
                    await client.answer(event.question, secret)
                if event.type.startswith("question"):
                    events.append(event)
        assert secret not in repr([*events, (await anext(stream)).payload])
    assert secret not in caplog.text


async def test_only_who_answers_asks_for_the_scope(make: Make, start_gateway: Start, release: str) -> None:
    gateway = start_gateway(asks(), release=release)
    async with make(gateway) as client:
        assert "operator.questions" not in client.granted_scopes
    async with make(gateway, answers=["questions"]) as client:
        assert "operator.questions" in client.granted_scopes
        assert client.missing_scopes("question.resolve") == ()
    with pytest.raises(UsageError, match=r"operator\.questions"):
        make(gateway, on_question=print, scopes=["read", "write"])


async def test_a_device_that_was_approved_for_less_keeps_its_chat(
    make: Make, start_gateway: Start, release: str, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway(release=release, auto_approve=False)
    device = MemoryIdentityStore(DeviceIdentity.generate())
    first = make(gateway, identity=device)
    pairing = asyncio.ensure_future(first.pair())
    await until(lambda: gateway.pending)
    gateway.approve()
    await pairing
    await first.disconnect()
    client = make(gateway, identity=device, on_question=lambda question: "Tea")
    async with client:
        assert (await client.chat_send(session_key="s", message="hi")).text.endswith("hi")
        assert "operator.questions" not in client.granted_scopes
        [request] = gateway.pending
        assert f"openclaw devices approve {request.id}" in caplog.text
        assert caplog.text.count("connects without") == 1
        gateway.approve()
    async with client:
        assert "operator.questions" not in client.granted_scopes
        await client.disconnect()
        client.retry_now()
        await client.connect()
        assert "operator.questions" in client.granted_scopes


async def test_a_device_with_nothing_but_its_token_keeps_its_chat_too(
    make: Make, start_gateway: Start, release: str, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = start_gateway(release=release)
    device = MemoryIdentityStore(DeviceIdentity.generate())
    async with make(gateway, identity=device):
        pass
    async with make(gateway, identity=device, token=None, on_question=lambda question: "Tea") as client:
        assert (await client.chat_send(session_key="s", message="hi")).text.endswith("hi")
        assert "operator.questions" not in client.granted_scopes
    assert "connect once with the shared token" in caplog.text
