"""Whose turn it is on the fast path."""

from __future__ import annotations

import asyncio
from typing import Any

from openclaw_client.connection.fast_path import MAX_RUNS, FastPath, Take
from tests.connection.served import Place, supervisor
from tests.moved_clock import run
from tests.wire.frames import delta


def frame(number: int) -> bytes:
    return delta("text", run=f"{number:08}-2222-4333-8444-555555555555")


def taking(number: int, taken: list[int]) -> Take:
    def take(data: bytes, _expected: int, _now: float) -> bool:
        if data != frame(number):
            return False
        taken.append(number)
        return True

    return take


def offered(runs: int) -> tuple[FastPath, list[int]]:
    fast_path, taken = FastPath(), list[int]()
    for number in range(runs):
        fast_path.enable(frame(number), taking(number, taken))
    return fast_path, taken


def send(fast_path: FastPath, number: int) -> bool:
    take, data = fast_path.take, frame(number)
    return take is not None and (take(data, 1, 0.0) or fast_path.other(data, 1, 0.0))


def test_the_run_whose_delta_came_last_is_asked_first_and_then_the_one_whose_it_is() -> None:
    fast_path, taken = offered(3)
    assert all(send(fast_path, number) for number in (2, 0, 0, 1, 2))
    assert taken == [2, 0, 0, 1, 2]


def test_a_stranger_goes_the_long_way() -> None:
    fast_path, taken = offered(2)
    assert not send(fast_path, 5)
    assert send(fast_path, 1)
    assert taken == [1]


def test_what_is_refused_is_not_asked_twice() -> None:
    asked: list[bytes] = []

    def refuse(data: bytes, _expected: int, _now: float) -> bool:
        asked.append(data)
        return False

    fast_path = FastPath()
    fast_path.enable(frame(1), refuse)
    assert not send(fast_path, 1)
    assert asked == [frame(1)]


def test_closed_there_is_no_short_way_until_one_is_offered() -> None:
    fast_path, taken = offered(2)
    fast_path.disable()
    assert not send(fast_path, 0)
    fast_path.enable(frame(1), taking(1, taken))
    assert send(fast_path, 1)
    assert not send(fast_path, 0)


def test_a_bounded_number_of_runs_has_one() -> None:
    fast_path, taken = offered(MAX_RUNS + 1)
    assert not send(fast_path, 0)
    assert send(fast_path, MAX_RUNS)
    assert taken == [MAX_RUNS]


def test_what_takes_the_short_way_is_counted_and_is_a_sign_of_life() -> None:
    async def main() -> None:
        made, log = supervisor(Place())
        await made.connect()
        connection, expected = made.connection, list[int]()
        assert connection is not None
        connection.on_message(b'{"type":"event","event":"tick","seq":4}')
        log.fast_path.enable(frame(1), lambda _data, number, _now: not expected.append(number))
        await asyncio.sleep(5)
        assert connection.last_frame_age == 5
        assert connection.try_fast_path(frame(1))
        assert connection.try_fast_path(frame(1))
        assert connection.last_frame_age == 0
        assert expected == [5, 6]
        # The next in the usual way has the number behind theirs.
        log.fast_path.disable()
        connection.on_message(b'{"type":"event","event":"tick","seq":7}')
        assert log.gaps == []
        connection.on_message(b'{"type":"event","event":"tick","seq":9}')
        assert [(gap.expected, gap.received) for gap in log.gaps] == [(8, 9)]
        await made.disconnect()

    run(main())


def test_a_connection_that_is_ending_takes_nothing_more() -> None:
    async def main() -> None:
        made, log = supervisor(Place())
        await made.connect()
        connection, taken = made.connection, list[bytes]()
        assert connection is not None
        log.fast_path.enable(frame(1), lambda data, _number, _now: not taken.append(data))
        connection.close()
        assert connection.try_fast_path(frame(1))
        assert taken == []
        await made.disconnect()

    run(main())


class Closed(dict[bytes, Any]):
    """The fast paths of a connection, which another thread closes just after one was looked up."""

    fast_path: FastPath

    def get(self, key: bytes, default: Any = None) -> Any:
        found = super().get(key, default)
        self.fast_path.disable()
        return found


def test_what_is_closed_while_it_is_looked_up_stays_closed() -> None:
    fast_path, taken = offered(2)
    fast_path._runs = closed = Closed(fast_path._runs)
    closed.fast_path = fast_path
    assert not fast_path.other(frame(0), 1, 0.0)
    assert (fast_path.take, taken) == (None, [])
