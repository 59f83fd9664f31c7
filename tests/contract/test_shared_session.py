"""What is promised to everybody who shares a session: every message gets its own answer, whatever else goes on there.

No reply is finished and empty where the model said something. Nothing runs twice, nothing is handed out twice, nobody
gets another's words, and an error is true.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from openclaw_client import ChatReply
from openclaw_client.errors import GatewayError, RunFailed, RunLost
from tests.contract.rooms import (
    Guest,
    begun,
    check_outcome,
    check_own_words,
    check_true_error,
    echo,
    heard_by,
    switch,
)
from tests.contract.targets import Target
from tests.faces import Face
from tests.gateways.model import slow_text
from tests.waiting import until

IN_A_ROW = 12
IN_TURN = 14
PIECES = 40
PACE = {True: 75, False: 20}
"""Milliseconds between two pieces, of a real gateway and of the embedded one: the run goes on for three seconds there,
and for one here, where nobody is slow."""

SLOW_TEXT = slow_text(PIECES)

MODES = ("steer", "followup", "collect", "interrupt")

AT_ONCE = 3
ROUNDS = 3

SILENT_WITHIN = 5.0
"""Seconds that a silent answer may take longer than one with words: newer gateways ask the model a second time."""


async def test_messages_in_a_row_get_each_its_own_answer(face: Face, target: Target, session: str) -> None:
    async with Guest(face, target, session) as guest:
        for number in range(IN_A_ROW):
            message, answer = echo(f"row {number:02} {session}")
            reply = await guest.say(message)
            assert (reply.state, reply.text) == ("final", answer), number
            assert target.asked(message) == 1
    assert guest.heard == []


async def test_two_clients_in_turn_get_each_their_own_answers(face: Face, target: Target, session: str) -> None:
    one, other = Guest(face, target, session), Guest(face, target, session)
    said: dict[int, list[str]] = {0: [], 1: []}
    async with one, other:
        for number in range(IN_TURN):
            message, answer = echo(f"turn {number:02} {session}")
            reply = await (one, other)[number % 2].say(message)
            assert (reply.state, reply.text) == ("final", answer), number
            assert target.asked(message) == 1
            said[number % 2].append(answer)
        await heard_by(one, IN_TURN // 2)
        await heard_by(other, IN_TURN // 2)
    # Each hears what the other was answered, once, in order, and nothing of its own.
    assert one.texts() == said[1]
    assert other.texts() == said[0]


@pytest.mark.parametrize("when_busy", ["wait", "send"])
async def test_a_message_that_meets_another_clients_run(
    face: Face, target: Target, session: str, when_busy: str
) -> None:
    await meet(face, target, session, None, when_busy=when_busy)


@pytest.mark.parametrize("mode", MODES)
async def test_a_message_that_meets_another_clients_run_in_a_queue_mode(
    target: Target, session: str, mode: str
) -> None:
    await meet(Face("async"), target, session, mode, when_busy="send")


@pytest.mark.parametrize("mode", MODES)
async def test_the_mode_of_one_message(target: Target, session: str, mode: str) -> None:
    """Newer releases take it with the message."""
    if "queueMode" not in target.profile.send_keys:
        return
    await meet(Face("async"), target, session, None, when_busy="send", parameter=mode)


async def meet(
    face: Face, target: Target, session: str, mode: str | None, *, when_busy: str, parameter: str | None = None
) -> None:
    """One client's long run, and another's message in the middle of it."""
    first, (second, answer) = f"stub:slow {PIECES} {PACE[target.real]} {session}", echo(f"the second {session}")
    params = {} if parameter is None else {"queueMode": parameter}
    async with Guest(face, target, session) as one, Guest(face, target, session) as other:
        await one.say("stub:echo before")
        if mode is not None:
            await switch(one, mode)
        async with one.client.chat_stream(session_key=session, message=first) as theirs:
            assert (await begun(theirs)).startswith("piece-1")
            mine = await other.outcome(second, when_busy=when_busy, **params)
            try:
                reply: ChatReply | GatewayError = await theirs.result()
            except (RunFailed, RunLost) as error:
                reply = error
        if "interrupt" in (mode, parameter):
            await check_interrupted(target, other, reply, second, answer, mine)
        else:
            check_first(target, reply, answer)
            await check_outcome(target, other, second, answer, mine)
        assert target.asked(first) == 1
        # The session is none the worse for it.
        message, after = echo(f"after {session}")
        assert (await one.say(message)).text == after
        await until(lambda: after in other.texts())
    for guest in (one, other):
        guest.check_heard_once()
    assert answer not in other.texts()
    assert SLOW_TEXT not in one.texts()


def check_first(target: Target, reply: ChatReply | GatewayError, answer: str) -> None:
    """The run that was met: whole, with the second answer where it took that message up, or failed by the gateway."""
    if isinstance(reply, GatewayError):
        # 2026.7.35 breaks a run into which a message is steered, and says so.
        assert isinstance(reply, RunFailed)
        assert target.profile.steering == "breaks"
        return
    assert reply.state == "final"
    whole = {SLOW_TEXT, *(f"{SLOW_TEXT}{joint}{answer}" for joint in ("", "\n\n"))}
    if target.profile.after_tool == "anew":
        # 2026.2.17 keeps the last of several answers; what it said before is in the history alone.
        whole.add(answer)
    assert reply.text in whole


async def check_interrupted(
    target: Target,
    guest: Guest,
    reply: ChatReply | GatewayError,
    second: str,
    answer: str,
    mine: ChatReply | GatewayError,
) -> None:
    """The first makes way for the second, and is never a finished reply unless it is whole."""
    if isinstance(reply, ChatReply) and reply.state == "final":
        assert reply.text == SLOW_TEXT, reply
    elif isinstance(reply, ChatReply):
        assert reply.state == "aborted"
        assert SLOW_TEXT.startswith(reply.text)
        assert reply.text != SLOW_TEXT
    refused = target.profile.interrupts.endswith("-and-refused") and not target.asked(second)
    if refused and isinstance(mine, ChatReply):
        # The gateway itself says that the message came too soon.
        assert (mine.state, mine.merged_into) == ("final", None)
        assert "try again" in mine.text
    else:
        await check_outcome(target, guest, second, answer, mine)


async def test_a_message_that_meets_a_run_that_fails(target: Target, session: str) -> None:
    face = Face("async")
    failing, (second, answer) = f"stub:latefail 400 1500 {session}", echo(f"the second {session}")
    async with Guest(face, target, session) as one, Guest(face, target, session) as other:
        await one.say("stub:echo before")
        theirs = asyncio.ensure_future(one.outcome(failing))
        await until(lambda: target.asked(failing))
        mine = await other.outcome(second, when_busy="send")
        reply = await theirs
        # Steered into the run that fails, it is answered there or nowhere.
        assert isinstance(reply, RunFailed | RunLost) or (isinstance(reply, ChatReply) and answer in reply.text), reply
        await check_outcome(target, other, second, answer, mine)
    for guest in (one, other):
        guest.check_heard_once()
    assert answer not in other.texts()


async def test_several_clients_at_once_in_a_new_session(target: Target, session: str) -> None:
    face = Face("async")
    async with AsyncExitStack() as stack:
        guests = [await stack.enter_async_context(Guest(face, target, session)) for _ in range(AT_ONCE)]
        for number in range(ROUNDS):
            spoken = [echo(f"round {number} guest {guest} {session}") for guest in range(AT_ONCE)]
            outcomes = await asyncio.gather(
                *(guest.outcome(message) for guest, (message, _) in zip(guests, spoken, strict=True))
            )
            for guest, (message, answer), outcome in zip(guests, spoken, outcomes, strict=True):
                if isinstance(outcome, ChatReply):
                    check_own_words(target, message, answer, outcome)
                else:
                    # A session that several begin in one moment may be made twice, and lose its first message.
                    assert number == 0
                    await check_true_error(target, guest, message, answer, outcome)
    for guest in guests:
        guest.check_heard_once()


@pytest.mark.parametrize("silence", ["stub:say NO_REPLY", "stub:empty"])
async def test_a_silent_answer_ends_soon(face: Face, target: Target, session: str, silence: str) -> None:
    async with Guest(face, target, session) as guest:
        await guest.say("stub:echo first")
        began = time.monotonic()
        await guest.say("stub:echo with words")
        with_words = time.monotonic() - began
        outcome = await guest.outcome(silence)
        assert time.monotonic() - began - 2 * with_words < SILENT_WITHIN
        if isinstance(outcome, ChatReply):
            # 2026.2.17 may show the beginning of the word that stands for silence.
            assert outcome.text in ("", "NO")
        else:
            # A busy 2026.5.12 may leave the run's beginning out: nothing tells its silence from an answer elsewhere.
            unheard = target.real and target.release == "2026.5.12" and isinstance(outcome, RunLost)
            assert isinstance(outcome, RunFailed) or unheard
        message, answer = echo(f"after {session}")
        assert (await guest.say(message)).text == answer
    assert guest.heard == []
