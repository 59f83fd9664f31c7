"""Messages of a session that wait until it is known whether one of them answers a message of one's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from openclaw_client.chat.held import HELD_FOR, MAX_EXPECTED, MAX_HELD, MAX_HELD_BYTES, HeldMessages
from openclaw_client.runs.proactive import ProactiveMessage
from tests.moved_clock import run, turns


def moved(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop whose clock moves when nothing is ready."""

    @wraps(test)
    def on_loop(*args: Any, **options: Any) -> None:
        run(test(*args, **options))

    return on_loop


def now() -> float:
    return asyncio.get_running_loop().time()


class Room:
    """The held messages of one session, and what came of them."""

    def __init__(self, holders: int = 1) -> None:
        self.out: list[str] = []
        self.at: list[float] = []
        self.swallowed: list[str] = []
        self.closed = 0
        self.held = HeldMessages(self._hand_out, self.swallowed.append, self._close)
        self.held.holders = holders

    def say(self, *texts: str) -> None:
        for text in texts:
            self.held.add(ProactiveMessage(text, text, "agent:main:main", f"run of {text}", "run"))

    def _hand_out(self, message: ProactiveMessage) -> None:
        self.out.append(message.text)
        self.at.append(now())

    def _close(self) -> None:
        self.closed += 1


@moved
async def test_without_a_holder_nothing_is_held() -> None:
    room = Room(holders=0)
    room.say("one", "two")
    assert room.out == ["one", "two"]


@moved
async def test_the_answer_is_swallowed_by_its_run_and_the_others_come_in_order() -> None:
    room = Room()
    room.say("one", "ours", "two", "ours again")
    assert room.out == []
    room.held.release("run of ours", "ours")
    assert room.out == ["one", "two", "ours again"]
    # The run is told, so that what comes late of it is nobody's message.
    assert room.swallowed == ["run of ours"]
    assert room.closed == 1


@moved
async def test_the_answer_is_swallowed_by_its_words_where_rows_name_no_run() -> None:
    room = Room()
    room.say("one", "ours", "two", "ours")
    # Once: the second one is somebody's.
    room.held.release(None, "  ours\n")
    assert room.out == ["one", "two", "ours"]
    assert (room.swallowed, room.closed) == ([], 1)


@pytest.mark.parametrize("text", [None, ""])
@moved
async def test_an_end_without_an_answer_swallows_nothing(text: str | None) -> None:
    room = Room()
    room.say("one", "two")
    room.held.release(None, text)
    assert (room.out, room.swallowed, room.closed) == (["one", "two"], [], 1)


@moved
async def test_an_answer_of_a_run_that_was_not_heard_yet_leaves_the_others_alone() -> None:
    room = Room()
    room.say("one")
    room.held.release("run of ours", "ours")
    # Known by its run from now on: the router drops it.
    assert (room.out, room.swallowed, room.closed) == (["one"], ["run of ours"], 1)


@moved
async def test_an_answer_that_is_in_the_history_before_it_is_heard_is_expected() -> None:
    room = Room()
    room.held.release(None, "ours")
    assert room.closed == 0
    room.say("one", "ours", "ours")
    assert room.out == ["one", "ours"]
    # Until its time is over.
    await asyncio.sleep(HELD_FOR + 0.01)
    assert room.closed == 1


@moved
async def test_an_answer_is_not_expected_for_ever() -> None:
    room = Room()
    room.held.release(None, "ours")
    await asyncio.sleep(HELD_FOR)
    room.say("ours")
    assert (room.out, room.closed) == (["ours"], 1)


@moved
async def test_an_expected_answer_is_swallowed_while_another_message_waits_for_its_own() -> None:
    room = Room(holders=2)
    room.held.release(None, "ours")
    room.say("one", "ours")
    assert room.out == []
    room.held.release(None, "theirs")
    assert room.out == ["one"]
    room.say("theirs")
    assert room.out == ["one"]


@moved
async def test_an_expected_answer_that_never_came_is_given_up_beside_a_holder() -> None:
    room = Room(holders=2)
    room.held.release(None, "ours")
    await asyncio.sleep(HELD_FOR + 1)
    # Somebody says the same words now.
    room.say("ours")
    assert room.out == []
    room.held.release()
    await turns(2)
    assert (room.out, room.closed) == (["ours"], 1)


@moved
async def test_expected_answers_are_bounded() -> None:
    room = Room(holders=MAX_EXPECTED + 1)
    for number in range(MAX_EXPECTED + 1):
        room.held.release(None, f"ours {number}")
    room.say(*(f"ours {number}" for number in range(MAX_EXPECTED + 1)))
    # Of the first it is forgotten.
    assert room.out == ["ours 0"]


@moved
async def test_of_several_holders_the_last_lets_the_rest_out() -> None:
    room = Room(holders=3)
    room.say("one", "first", "two", "second", "three")
    room.held.release("run of second", "second")
    assert room.out == []
    room.held.release(None, "first")
    assert room.out == []
    room.held.release()
    assert room.out == ["one", "two", "three"]
    assert room.closed == 1


@moved
async def test_each_message_waits_for_ten_seconds_and_no_longer() -> None:
    room = Room()
    began = now()
    room.say("one")
    await asyncio.sleep(4)
    room.say("two")
    await asyncio.sleep(HELD_FOR + 1)
    assert room.out == ["one", "two"]
    assert [at - began for at in room.at] == pytest.approx([HELD_FOR, 4 + HELD_FOR])
    # What comes now is held, too: nothing is known yet.
    room.say("ours")
    room.held.release("run of ours", "ours")
    assert (room.out, room.closed) == (["one", "two"], 1)


@moved
async def test_of_many_messages_the_oldest_goes_out() -> None:
    room = Room()
    room.say(*(str(number) for number in range(MAX_HELD + 2)))
    assert room.out == ["0", "1"]
    room.held.release()
    assert room.out == [str(number) for number in range(MAX_HELD + 2)]


@moved
async def test_of_much_text_the_oldest_goes_out() -> None:
    room = Room()
    half = MAX_HELD_BYTES // 2
    room.say("a" * half, "b" * half)
    assert room.out == []
    room.say("c")
    assert [text[0] for text in room.out] == ["a"]
    # What went out is counted no more, whichever way it went.
    room.say("d" * (half - 1))
    assert [text[0] for text in room.out] == ["a"]
    room.held.holders += 1
    room.held.release("run of c", "c")
    room.say("e")
    assert [text[0] for text in room.out] == ["a"]
    room.say("f")
    assert [text[0] for text in room.out] == ["a", "b"]
    # One that is larger than all together may be takes everything before it along, in order.
    room.say("g" * (MAX_HELD_BYTES + 1))
    assert [text[0] for text in room.out] == ["a", "b", "d", "e", "f", "g"]


def test_the_timer_ends_with_what_it_is_for() -> None:
    async def main() -> None:
        room = Room()
        room.say("one")
        room.held.release()
        # A timer that is left over would move the clock of this loop.
        await asyncio.get_running_loop().create_future()

    with pytest.raises(AssertionError, match="nothing will ever happen"):
        run(main())


@moved
async def test_an_image_counts_with_all_that_it_holds() -> None:
    room = Room()
    room.say("a")
    text = {"type": "text", "text": "x" * MAX_HELD_BYTES}
    room.held.add(ProactiveMessage("t", "t", "main", "run of t", "run", content=(text,)))
    assert room.out == []
    for kind in ("image", ["no", "kind"]):
        image = {"type": kind, "source": {"data": "x" * MAX_HELD_BYTES}}
        room.held.add(ProactiveMessage("i", "", "main", "run of i", "run", content=(image,)))
    assert room.out == ["a", "t", "", ""]
