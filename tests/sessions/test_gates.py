"""The gates on an event loop: waits that are cancelled, fail or time out, questions, and how many sessions are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest

from openclaw_client.errors import ClientClosed
from openclaw_client.sessions import gates as gates_module
from openclaw_client.sessions.gate import LOOKS, STALE, Habits, Ticket
from openclaw_client.sessions.gates import SessionGates
from tests.moved_clock import run, turns

V3 = Habits(settling=0.05)
TELLS = Habits(tells=True)


def moved(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop whose clock moves when nothing is ready."""

    @wraps(test)
    def on_loop(*args: Any, **options: Any) -> None:
        run(test(*args, **options))

    return on_loop


def now() -> float:
    return asyncio.get_running_loop().time()


class Gateway:
    """What the gates ask. told: what is said of each session; None where nothing is."""

    def __init__(self, habits: Habits | None = V3) -> None:
        self.told: dict[str, bool | None] = {}
        self.asked: list[tuple[str, float]] = []
        self.open: dict[str, list[str]] = {}
        self.silent = False
        self.late = asyncio.Event()
        self.gates = SessionGates(self._ask, lambda session: self.open.get(session, ()))
        if habits is not None:
            self.gates.connected(habits)

    async def _ask(self, session: str) -> bool | None:
        self.asked.append((session, now()))
        if self.silent:
            await self.late.wait()
        await asyncio.sleep(0)
        return self.told.get(session)

    def send(self, session: str = "main") -> Sending:
        return Sending(self.gates, session)


class Sending:
    """A message: waits for its turn, and is under way until `over`."""

    def __init__(self, gates: SessionGates, session: str) -> None:
        self._gates, self._session = gates, session
        self.ticket = Ticket(now())
        self.task = asyncio.ensure_future(gates.enter(session, self.ticket))

    @property
    def sent(self) -> bool:
        return self.task.done() and not self.task.cancelled() and self.task.exception() is None

    def over(self) -> None:
        self._gates.leave(self._session, self.ticket)


@moved
async def test_one_message_after_another_and_sessions_beside_each_other() -> None:
    gateway = Gateway()
    first, second, other = gateway.send(), gateway.send(), gateway.send("other")
    await turns(3)
    assert (first.sent, second.sent, other.sent) == (True, False, True)
    assert gateway.gates.waiting
    began = now()
    first.over()
    await second.task
    assert not gateway.gates.waiting
    assert now() - began == pytest.approx(V3.settling)
    assert gateway.gates.attentive == 0


@moved
async def test_whether_anybody_is_in_the_way() -> None:
    gateway = Gateway()
    assert gateway.gates.is_free("main")
    gateway.open["main"] = ["somebody's"]
    assert not gateway.gates.is_free("main")
    assert gateway.gates.is_free("other")
    gateway.open.clear()
    sending = gateway.send()
    assert gateway.gates.is_free("main"), "nobody has arrived yet"
    await turns(3)
    assert not gateway.gates.is_free("main")
    sending.over()
    assert gateway.gates.is_free("main")


@moved
async def test_who_is_cancelled_while_waiting_gives_the_place_up() -> None:
    gateway = Gateway()
    first, second, third = gateway.send(), gateway.send(), gateway.send()
    await turns(3)
    second.task.cancel()
    await turns(3)
    first.over()
    await third.task
    assert second.task.cancelled()
    assert gateway.gates.attentive == 0


@moved
async def test_who_is_cancelled_in_the_very_turn_of_the_admission_lets_the_next_one_pass() -> None:
    gateway = Gateway(Habits())
    first, second, third = gateway.send(), gateway.send(), gateway.send()
    await turns(3)
    # Admitted, and cancelled before it wakes up.
    first.over()
    second.task.cancel()
    await third.task
    assert second.task.cancelled()
    # And the other way round.
    fourth, fifth = gateway.send(), gateway.send()
    await turns(3)
    fourth.task.cancel()
    third.over()
    await fifth.task


@moved
async def test_whose_time_is_over_while_waiting() -> None:
    gateway = Gateway()
    first, ticket = gateway.send(), Ticket(now())
    await turns(3)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await gateway.gates.enter("main", ticket)
    first.over()
    await gateway.send().task


@moved
async def test_everybody_who_waits_fails_and_what_is_under_way_does_not() -> None:
    gateway = Gateway()
    sendings = [gateway.send() for _ in range(5_000)]
    await turns(3)
    gateway.gates.fail(ClientClosed(message="disconnect() was called"))
    gateway.gates.fail(ClientClosed(message="the first one counts"))
    # The end of the one that is under way comes in the same turn: the whole line is passed over at once.
    sendings[0].over()
    results = await asyncio.gather(*(sending.task for sending in sendings), return_exceptions=True)
    assert results[0] is None
    assert {str(result) for result in results[1:]} == {"disconnect() was called."}
    # Each has an error of its own.
    assert len({id(result) for result in results}) == len(results)
    await gateway.send().task


@moved
async def test_a_session_is_asked_about_once_for_all_who_wait() -> None:
    gateway = Gateway(TELLS)
    gateway.told["main"] = True
    sendings = [gateway.send() for _ in range(10)]
    began = now()
    await asyncio.sleep(0.2)
    assert [at - began for _, at in gateway.asked] == pytest.approx([0, LOOKS[0], LOOKS[0] + LOOKS[1]])
    gateway.told["main"] = False
    await sendings[0].task
    assert [sending.sent for sending in sendings] == [True] + 9 * [False]


@moved
async def test_an_end_that_is_heard_is_asked_about_without_a_pause() -> None:
    gateway = Gateway(TELLS)
    gateway.told["main"] = True
    sending = gateway.send()
    await asyncio.sleep(10.5)
    gateway.told["main"] = False
    began = now()
    gateway.gates.other_ended("main", "foreign", now())
    await sending.task
    assert now() == began
    assert gateway.asked[-1] == ("main", began)


@moved
async def test_a_question_without_an_answer_is_waited_for_a_minute() -> None:
    gateway = Gateway(TELLS)
    gateway.silent = True
    began = now()
    await gateway.send().task
    assert now() - began == pytest.approx(STALE)


@moved
async def test_a_run_of_somebody_else_s_that_was_heard_before_the_session_was_used() -> None:
    gateway = Gateway()
    gateway.open["main"] = ["foreign"]
    sending = gateway.send()
    await asyncio.sleep(30)
    assert (sending.sent, sending.ticket.others) == (False, True)
    gateway.gates.other_ended("main", "foreign", now())
    await sending.task


@moved
async def test_who_comes_later_makes_nobody_wait_longer() -> None:
    gateway = Gateway()
    gateway.open["main"] = ["foreign"]
    began = now()
    first = gateway.send()
    later: list[Sending] = []
    for seconds in range(10, 100, 10):
        asyncio.get_running_loop().call_later(seconds, lambda: later.append(gateway.send()))
    await first.task
    assert len(later) >= 5
    assert now() - began == pytest.approx(STALE)


@moved
async def test_what_is_heard_of_sessions() -> None:
    gateway = Gateway()
    # Nobody sends in that one.
    gateway.gates.other_began("another", "foreign", now())
    gateway.gates.other_ended("another", "foreign", now())
    gateway.gates.leave("another", Ticket(now()))
    first = gateway.send("another")
    await first.task
    # Now somebody does.
    gateway.gates.other_began("another", "foreign", now())
    first.over()
    behind = gateway.send("another")
    await asyncio.sleep(30)
    assert not behind.sent
    gateway.gates.other_ended("another", "foreign", now())
    ended = now()
    await behind.task
    assert now() == pytest.approx(ended + V3.settling)


@moved
async def test_another_connection_asks_anew() -> None:
    gateway = Gateway(TELLS)
    gateway.silent = True
    sending = gateway.send()
    await asyncio.sleep(1)
    gateway.silent, gateway.told["main"] = False, False
    gateway.gates.connected(TELLS)
    began = now()
    await sending.task
    assert now() == began
    assert len(gateway.asked) == 2


@moved
async def test_without_a_connection_nobody_waits_for_others() -> None:
    """Whoever is let pass learns from the connection that there is none."""
    gateway = Gateway(TELLS)
    gateway.silent = True
    asking = gateway.send()
    gateway.gates.other_began("main", "foreign", now())
    await asyncio.sleep(1)
    began = now()
    gateway.gates.stop()
    await asking.task
    gateway.open["other"] = ["foreign"]
    later = gateway.send("other")
    await later.task
    assert (now(), len(gateway.asked)) == (began, 1)
    # For this client's own, still.
    behind = gateway.send("other")
    await asyncio.sleep(100)
    assert not behind.sent
    later.over()
    await behind.task
    # Until there is one.
    gateway.silent = False
    gateway.gates.connected(TELLS)
    behind.over()
    await gateway.send("other").task
    assert len(gateway.asked) == 2


@moved
async def test_before_the_first_connection_a_message_waits_for_its_turn_alone() -> None:
    gateway = Gateway(None)
    gateway.open["main"] = ["foreign"]
    first, second = gateway.send(), gateway.send()
    await turns(3)
    assert (first.sent, second.sent) == (True, False)
    first.over()
    await second.task


# How many sessions are kept.


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(gates_module, "MAX_GATES", 8)
    return 8


@moved
async def test_of_sessions_at_rest_the_longest_unused_is_forgotten(few: int) -> None:
    gateway = Gateway(Habits(tells=True))
    gateway.told = {str(number): False for number in range(100)}
    for number in range(few):
        sending = gateway.send(str(number))
        await sending.task
        sending.over()
    gateway.asked.clear()
    again = gateway.send("0")
    await again.task
    again.over()
    for key in ("new", "1", "0"):
        sending = gateway.send(key)
        gateway.told[key] = False
        await sending.task
        sending.over()
    # What is known of a session is not asked again.
    assert [session for session, _ in gateway.asked] == ["new", "1"]
    assert len(gateway.gates._gates) == few


@moved
async def test_sessions_in_use_are_kept_and_no_others(few: int) -> None:
    gateway = Gateway()
    sendings = [gateway.send(str(number)) for number in range(10 * few)]
    seconds = [gateway.send(str(number)) for number in range(10 * few)]
    await turns(3)
    assert all(sending.sent for sending in sendings)
    # Nobody was let pass for want of room.
    assert not any(sending.sent for sending in seconds)
    for sending in sendings:
        sending.over()
    await asyncio.gather(*(sending.task for sending in seconds))
    assert len(gateway.gates._gates) == 10 * few
    for sending in seconds:
        sending.over()
    assert len(gateway.gates._gates) == few
    assert not gateway.gates._timers


@moved
async def test_an_answer_for_a_session_that_was_forgotten_meanwhile(few: int) -> None:
    gateway = Gateway(TELLS)
    gateway.silent = True
    gone = gateway.send("main")
    await turns(3)
    gone.task.cancel()
    await turns(3)
    # Forgotten, with the question under way; and used again.
    for number in range(few):
        await turns(1)
        one = gateway.send(str(number))
        await turns(1)
        one.task.cancel()
        await turns(3)
    assert "main" not in gateway.gates._gates
    gateway.silent, gateway.told["main"] = False, True
    sending = gateway.send("main")
    await asyncio.sleep(0.01)
    gateway.late.set()
    await turns(3)
    gateway.told["main"] = False
    began = now()
    await sending.task
    assert now() - began < LOOKS[0]


@moved
async def test_the_end_of_the_connection_with_very_many_sessions_in_use(few: int) -> None:
    gateway = Gateway(TELLS)
    gateway.silent = True
    sendings = [gateway.send(str(number % (5 * few))) for number in range(10 * few)]
    await turns(3)
    closed = ClientClosed(message="disconnect() was called")
    gateway.gates.fail(closed)
    gateway.gates.stop()
    results = await asyncio.gather(*(sending.task for sending in sendings), return_exceptions=True)
    assert {type(result) for result in results} == {ClientClosed}
    assert len(gateway.gates._gates) == few
    for number in range(10 * few):
        sending = gateway.send(str(number))
        await sending.task
        sending.over()
    assert len(gateway.gates._gates) == few
    await turns(3)
    assert (gateway.gates._timers, gateway.gates._questions) == ({}, set())
