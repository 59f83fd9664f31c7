"""What waits for the file: in order, bounded, and nobody is forgotten in the line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from openclaw_client.journal import backlog
from openclaw_client.journal.backlog import Job, Notes, Settled, WriteQueue
from openclaw_client.journal.protocol import RunChange
from tests.journal.values import START, place


def work(_db: Any) -> None:
    """Nothing."""


async def put(line: WriteQueue, size: int = 1) -> Job:
    job = await line.room(size)
    job.work = work
    line.put(job)
    return job


async def turns() -> None:
    """Let every task come as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


def taken(line: WriteQueue) -> list[Any]:
    return line.take(0.0)


async def test_calls_and_notes_keep_their_order() -> None:
    line = WriteQueue()
    first = await put(line)
    line.note("u", RunChange("a"), START)
    line.note("u", place(), START)
    second = await put(line)
    line.note("u", RunChange("a"), START)
    items = taken(line)
    assert [items[0], items[2]] == [first, second]
    assert [len(items[1].changes), len(items[3].changes)] == [2, 1]
    assert not line.has_any()


async def test_beyond_the_bound_a_call_waits_for_room_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST_QUEUED", 2)
    line = WriteQueue()
    jobs = [await put(line), await put(line)]
    waiting = [asyncio.ensure_future(put(line)) for _ in range(3)]
    await turns()
    assert [task.done() for task in waiting] == [False] * 3
    assert taken(line) == jobs
    await turns()
    assert [task.done() for task in waiting] == [False] * 3, "they are being written"
    line.done(jobs[:1])
    await turns()
    assert [task.done() for task in waiting] == [True, False, False]
    line.done(jobs[1:])
    await turns()
    assert [task.done() for task in waiting] == [True, True, False]
    line.done(taken(line))
    assert taken(line) == []
    await turns()
    assert taken(line) == [waiting[2].result()]


async def test_the_bound_in_bytes_lets_one_that_is_larger_through_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MAX_QUEUED", 100)
    line = WriteQueue()
    job = await put(line, 1000)
    small = asyncio.ensure_future(put(line, 1))
    await turns()
    assert not small.done()
    line.done([job])
    await turns()
    assert small.done()
    large = asyncio.ensure_future(put(line, 1000))
    fits = asyncio.ensure_future(put(line, 1))
    await turns()
    assert [large.done(), fits.done()] == [False, False], "nobody overtakes"
    line.done([small.result()])
    await turns()
    assert [large.done(), fits.done()] == [True, False]
    line.done([large.result()])
    await turns()
    assert fits.done()


@pytest.mark.parametrize("granted", [False, True])
async def test_who_leaves_the_line_gives_up_its_room(monkeypatch: pytest.MonkeyPatch, granted: bool) -> None:
    monkeypatch.setattr(backlog, "MOST_QUEUED", 1)
    line = WriteQueue()
    job = await put(line)
    leaves, stays = (asyncio.ensure_future(put(line)) for _ in range(2))
    await turns()
    if granted:
        line.done([job])
    leaves.cancel()
    await turns()
    assert leaves.cancelled()
    assert stays.done() is granted
    line.done([job])
    await turns()
    assert stays.done()
    line.done([stays.result()])
    assert (await put(line)).reserved


async def test_room_that_was_given_to_a_loop_that_has_ended_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST_QUEUED", 1)
    line = WriteQueue()
    job = await put(line)

    def elsewhere() -> None:
        loop = asyncio.new_event_loop()
        waits = loop.create_task(put(line))
        loop.run_until_complete(turns())
        loop.close()
        # Never resumed; collecting it is no cancellation.
        waits._log_destroy_pending = False  # type: ignore[attr-defined]

    await asyncio.to_thread(elsewhere)
    line.done([job])
    assert (await asyncio.wait_for(put(line), 10)).reserved


async def test_a_long_line_is_written_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST_JOINED", 2)
    line = WriteQueue()
    jobs = [await put(line) for _ in range(5)]
    assert [taken(line), line.take(None), line.take(None)] == [jobs[:2], jobs[2:4], jobs[4:]]


async def test_what_closes_the_file_ends_a_piece() -> None:
    line = WriteQueue()
    first, end, behind = await put(line), Job(None), Job(work)
    line.put(end)
    line.put(behind)
    assert taken(line) == [first, end]
    assert line.has_jobs()
    assert line.take(None) == [behind]
    assert not line.has_jobs()


def test_notes_that_come_back_are_before_all_others() -> None:
    line = WriteQueue()
    first, second = Notes(), Notes()
    line.note("u", place("later"), START)
    line.put_back([first, second])
    assert taken(line)[:2] == [first, second]


def test_notes_of_one_run_are_one() -> None:
    notes = Notes()
    notes.add("u", RunChange("a", acknowledged=True), 1.0)
    notes.add("v", RunChange("a"), 1.0)
    notes.add("u", RunChange("a", end="final", text="four"), 2.0)
    notes.add("u", RunChange("a", end="final", text="three"), 3.0)
    assert notes.changes["run", "u", "a"] == (RunChange("a", acknowledged=True, end="final", text="three"), 3.0)
    assert len(notes.changes) == 2
    assert notes.characters == len("three")
    notes.add("u", RunChange("a", taken=True), 4.0)
    notes.add("u", RunChange("a", end="lost"), 5.0)
    change, at = notes.changes["run", "u", "a"]
    assert (change, at) == (RunChange("a", True, end="final", text="three", taken=True), 4.0)


def test_the_first_end_of_a_message_counts() -> None:
    notes = Notes()
    for verdict, at in (("later", 1.0), ("later", 2.0), ("done", 3.0), ("dead", 4.0), ("later", 5.0)):
        notes.add("u", Settled("1", verdict), at)  # type: ignore[arg-type]
    assert list(notes.changes.values()) == [(Settled("1", "later"), 2.0), (Settled("1", "done"), 3.0)]


def test_the_latest_place_stands_last() -> None:
    notes = Notes()
    for session, since in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        notes.add("u", place(session, since), START)
    assert [note for note, _ in notes.changes.values()] == [place("b", 2.0), place("a", 3.0)]


def test_too_many_notes_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MOST_NOTES", 2)
    line = WriteQueue()
    assert [line.note("u", place(name), START) for name in "abcd"] == [True, True, False, False]
    items = taken(line)
    assert not line.note("u", place("d"), START), "they are being written"
    line.done(items)
    assert line.note("u", place("d"), START)


def test_too_long_replies_are_left_out_of_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "MAX_NOTED", 10)
    line = WriteQueue()
    full = RunChange("b", acknowledged=True, answered_run="r", session_id="s", end="final", text="x" * 8, taken=True)
    line.note("u", RunChange("a", end="final", text="x" * 8), START)
    line.note("u", full, START)
    line.note("u", RunChange("c", end="final", text="xx"), START)
    items = taken(line)
    kept = {note.run_id: note for note, _ in items[0].changes.values()}
    assert {name: note.text for name, note in kept.items()} == {"a": "x" * 8, "b": None, "c": "xx"}
    assert kept["b"] == RunChange(
        "b", acknowledged=True, answered_run="r", session_id="s", end="final", text=None, taken=True
    )
    line.done(items)
    line.note("u", full, START)
    assert taken(line)[0].changes["run", "u", "b"] == (full, START)
