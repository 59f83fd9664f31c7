"""Each row of a session once, in order, out of events and pages."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.watching import transcript
from openclaw_client.watching.transcript import ToldRows, identity, sequence_of
from openclaw_client.wire.history import HistoryMessage, HistoryPage


def row(seq: int, at: int | None = None, **more: Any) -> HistoryMessage:
    meta = {"id": f"id-{seq}", "seq": seq}
    return HistoryMessage(
        {"role": "user", "content": f"row {seq}", "timestamp": seq if at is None else at, "__openclaw": meta, **more}
    )


def page(*rows: HistoryMessage, more: bool | None = None) -> HistoryPage:
    return HistoryPage(list(rows), has_more=more)


def begun(*rows: HistoryMessage, history: int = 0) -> ToldRows:
    made = ToldRows()
    made.begin(page(*rows), history, [])
    return made


def test_what_stands_there_is_from_before_but_for_what_was_heard() -> None:
    one = ToldRows()
    assert one.begin(page(row(1), row(2), row(3)), 1, [row(3)]) == [row(2)]
    assert one.take([row(2), row(3)]) == [row(3)]
    assert begun(row(1)).begin(page(row(1)), 0, []) == []


def test_what_is_missing_stands_behind_what_is_known() -> None:
    one = begun(row(2), row(3))
    one.take([row(5)])
    assert one.missing(page(row(1), row(2), row(3), row(4), row(5), row(6))) == [row(4), row(6)]


def test_a_session_that_was_begun_anew() -> None:
    one = begun(row(1), row(2, at=50))
    new = HistoryMessage({"role": "user", "content": "new", "timestamp": 60})
    undated = HistoryMessage({"role": "user", "content": "undated"})
    old = HistoryMessage({"role": "user", "content": "old", "timestamp": 40})
    assert one.missing(page(old, new, undated)) == [new, undated]


def test_a_row_without_a_date_moves_nothing() -> None:
    one = begun(row(1, at=50))
    one.take([HistoryMessage({"role": "user", "content": "undated"})])
    assert one.missing(page(HistoryMessage({"role": "user", "content": "old", "timestamp": 40}))) == []


def test_pages_that_reach_what_is_known() -> None:
    one = begun(row(2))
    assert one.reached_by(page(row(1), row(2)))
    assert one.reached_by(page(row(3), more=False))
    assert not one.reached_by(page(row(3), more=True))


def test_gaps() -> None:
    one = begun()
    assert one.is_gap(row(2))
    one.take([row(1)])
    assert not one.is_gap(row(2))
    assert one.is_gap(row(3))
    assert not one.is_gap(HistoryMessage({"role": "user"}))
    # Begun anew, the numbers begin anew.
    one.take([row(7)])
    assert not one.is_gap(row(1))
    assert not ToldRows().is_gap(row(9))


def test_rows_without_an_id_are_known_by_what_they_say_and_when() -> None:
    first = HistoryMessage({"role": "user", "content": "same", "timestamp": 1})
    later = HistoryMessage({"role": "user", "content": "same", "timestamp": 2})
    assert identity(first) == identity(HistoryMessage(first)) != identity(later)
    assert sequence_of(first) is None
    assert sequence_of(row(0)) is None


def test_so_many_rows_are_remembered() -> None:
    one = begun()
    one.take([row(seq) for seq in range(1, transcript.MAX_KNOWN + 2)])
    assert one.take([row(1)]) == [row(1)]
    assert one.take([row(transcript.MAX_KNOWN)]) == []


@given(st.lists(st.sampled_from(["heard", "unheard", "read"]), max_size=40), st.integers(0, 3))
def test_each_row_once_and_in_order(steps: list[str], before: int) -> None:
    """Rows of which some are told by an event; those behind a gap wait until the history was read."""
    there = [row(seq) for seq in range(1, before + 1)]
    one, told, held = begun(*there), list[HistoryMessage](), list[HistoryMessage]()

    def read() -> None:
        told.extend(one.take(one.missing(page(*there))))
        told.extend(one.take(held))
        held.clear()

    for step in steps:
        if step == "read":
            read()
            continue
        there.append(row(len(there) + 1))
        if step == "heard" and (held or one.is_gap(there[-1])):
            held.append(there[-1])
        elif step == "heard":
            told.extend(one.take([there[-1]]))
    read()
    assert told == there[before:]
