"""A connect that is interrupted at every single turn of the loop: nothing is left behind, and the next one works."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from openclaw_client.connection.supervisor import ConnectionState, Supervisor
from openclaw_client.errors import ClientClosed, GatewayError
from tests.connection.served import Place, supervisor
from tests.moved_clock import run, turns

TURNS = 40
"""More than a connect takes; the first test finds out how many those are, and the others stop there."""


async def turns_of_a_connect() -> int:
    """After how many turns of the loop a connect is complete."""
    made, _ = supervisor(Place())
    task = asyncio.create_task(made.connect())
    for count in range(TURNS):
        if task.done():
            await made.disconnect()
            return count
        await turns(1)
    raise AssertionError("a connect takes more turns than this test looks at")


async def nothing_is_left(place: Place, made: Supervisor) -> None:
    # The closing of an in-memory end is told in the turn after.
    await turns(2)
    assert place.open_ends == []
    assert made.state is ConnectionState.DISCONNECTED
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def works_again(made: Supervisor) -> None:
    connection = await made.connect()
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    connection.request("health", None, 1.0, answer.set_result)
    assert getattr(await answer, "error", "no answer") is None
    await made.disconnect()


def test_a_connect_takes_few_turns_and_is_interrupted_at_all_of_them() -> None:
    assert 5 < run(turns_of_a_connect()) < TURNS


@pytest.mark.parametrize("after", range(TURNS))
def test_cancelled_connect_leaves_nothing_behind(after: int) -> None:
    async def main() -> None:
        place = Place()
        made, _ = supervisor(place)
        task = asyncio.create_task(made.connect())
        await turns(after)
        if not task.cancel():
            assert made.state is ConnectionState.CONNECTED
            await made.disconnect()
        else:
            with pytest.raises(asyncio.CancelledError):
                await task
            if made.state is ConnectionState.CONNECTED:
                # It was ready in the very turn in which the caller left; the client is connected, and says so.
                await made.disconnect()
        await nothing_is_left(place, made)
        await works_again(made)
        await nothing_is_left(place, made)

    run(main())


@pytest.mark.parametrize("after", range(TURNS))
def test_one_of_two_callers_leaves_and_the_other_is_connected(after: int) -> None:
    async def main() -> None:
        place = Place()
        made, _ = supervisor(place)
        leaving, staying = asyncio.create_task(made.connect()), asyncio.create_task(made.connect())
        await turns(after)
        leaving.cancel()
        assert (await staying) is made.connection
        assert len(place.served) == 1
        await asyncio.wait((leaving,))
        await made.disconnect()
        await nothing_is_left(place, made)

    run(main())


@pytest.mark.parametrize("later", range(4))
@pytest.mark.parametrize("after", range(1, TURNS))
def test_a_caller_who_comes_while_the_last_one_leaves_is_connected(after: int, later: int) -> None:
    async def main() -> None:
        place = Place()
        made, log = supervisor(place)
        leaving = asyncio.create_task(made.connect())
        await turns(after)
        leaving.cancel()
        await turns(later)
        coming = asyncio.create_task(made.connect())
        await asyncio.wait((leaving, coming))
        assert coming.result() is made.connection
        # Whoever looks sees an attempt under way before a connection.
        assert all(
            change.old is not ConnectionState.DISCONNECTED or change.new is ConnectionState.CONNECTING
            for change in log.changes
        )
        await made.disconnect()
        await nothing_is_left(place, made)

    run(main())


@pytest.mark.parametrize("after", range(TURNS))
def test_disconnect_at_any_turn_ends_the_callers_with_client_closed(after: int) -> None:
    async def main() -> None:
        place = Place()
        made, _ = supervisor(place)
        task = asyncio.create_task(made.connect())
        await turns(after)
        if not task.done():
            # Before its first turn the task has not asked yet, and connects after the disconnect.
            await (turns(1) if after == 0 else turns(0))
            was_ready = made.state is ConnectionState.CONNECTED
            await made.disconnect()
            await asyncio.wait((task,))
            # Where it was ready already, and only its caller did not have a turn yet, the call succeeded.
            assert isinstance(task.exception(), ClientClosed) != was_ready
        else:
            await made.disconnect()
        await nothing_is_left(place, made)
        await works_again(made)

    run(main())


def cut(place: Place) -> None:
    place.served[-1].cut()


def close_1012(place: Place) -> None:
    place.served[-1].close(1012, "service restart")


@pytest.mark.parametrize("how", [cut, close_1012])
@pytest.mark.parametrize("after", range(TURNS))
def test_a_socket_that_dies_at_any_turn_is_an_error_or_a_reconnect(after: int, how: Callable[[Place], None]) -> None:
    async def main() -> None:
        place = Place()
        made, log = supervisor(place)
        task = asyncio.create_task(made.connect())
        await turns(after)
        if place.served:
            how(place)
        await asyncio.wait((task,))
        if task.exception() is not None:
            assert isinstance(task.exception(), GatewayError)
            assert made.state is ConnectionState.DISCONNECTED
            await works_again(made)
        else:
            if place.served[0].closed is not None:
                await made.ready(60.0)
                assert log.states[:4] == ["connecting", "connected", "reconnecting", "connected"]
            await made.disconnect()
        await nothing_is_left(place, made)

    run(main())
