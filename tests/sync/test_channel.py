"""From the loop's thread to a reader who is slower, or faster in the worst of moments."""

from __future__ import annotations

import asyncio

import pytest

from openclaw_client.runs import stream
from openclaw_client.runs.events import TextAppended, ToolFinished
from openclaw_client.runs.stream import BUFFER_EVENTS
from openclaw_client.sync import channel as sync_channel
from openclaw_client.sync.channel import RunChannel


def channel(loop: asyncio.AbstractEventLoop) -> RunChannel:
    return RunChannel(loop, lambda *_: None, lambda *_: None)


def event(number: int) -> TextAppended:
    return TextAppended("run", f"{number} ")


async def test_what_overflows_comes_behind_what_was_there() -> None:
    made = channel(asyncio.get_running_loop())
    for number in range(BUFFER_EVENTS + 3):
        made.put(event(number))
    made.close()
    read = [await asyncio.to_thread(made.get) for _ in range(2)]
    read += await asyncio.to_thread(lambda: list(iter(made.get, None)))
    assert read == [event(number) for number in range(BUFFER_EVENTS + 3)]
    assert await asyncio.to_thread(made.get) is None


async def test_a_reader_who_empties_the_queue_in_the_moment_in_which_it_overflows_gets_the_rest() -> None:
    made = channel(asyncio.get_running_loop())
    for number in range(BUFFER_EVENTS):
        made.put(event(number))
    counted = made._queued

    def full_and_then_read() -> int:
        # The reader's thread runs between the look at the queue and what is done about it.
        made._queued = counted
        seen = counted()
        for _ in range(seen):
            made.get()
        return seen

    made._queued = full_and_then_read
    made.put(event(BUFFER_EVENTS))
    assert made._queue.get_nowait() == event(BUFFER_EVENTS)


async def test_long_results_that_nobody_reads_are_bounded_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (stream, sync_channel):
        monkeypatch.setattr(module, "MAX_BUFFER_BYTES", 1000)
    told: list[tuple[int, int]] = []
    made = RunChannel(asyncio.get_running_loop(), lambda *_: None, lambda *what: told.append(what))
    results = [ToolFinished("run", str(number), "lookup", "x" * 300) for number in range(20)]
    for result in results:
        made.put(result)
    made.put(event(1))
    made.close()
    # As much in the queue as waits behind it.
    assert told == [(6, 1)]
    read = await asyncio.to_thread(lambda: list(iter(made.get, None)))
    assert read == [*results[:6], event(1)]


async def test_long_results_that_are_read_are_never_put_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_channel, "MAX_BUFFER_BYTES", 1000)
    made = channel(asyncio.get_running_loop())
    for number in range(20):
        made.put(ToolFinished("run", str(number), "lookup", "x" * 900))
        assert made.get() == ToolFinished("run", str(number), "lookup", "x" * 900)
    assert not made._overflowing
