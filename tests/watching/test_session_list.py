"""The list of sessions out of pages and events, in whatever order they come."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openclaw_client import SessionsChanged
from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.watching import session_list
from openclaw_client.watching.session_list import SessionList
from openclaw_client.watching.visible import VisibleRows
from openclaw_client.wire.session_info import SessionChange, SessionPage, session_change

Row = dict[str, Any]


def key(name: str) -> str:
    return f"agent:main:{name}"


def row(name: str, at: int = 1, ident: str | None = None, **more: Any) -> Row:
    return {"key": key(name), "sessionId": ident or name, "updatedAt": at, **more}


def event(**payload: Any) -> SessionChange:
    change = session_change(payload)
    assert change is not None
    return change


def told(name: str, at: int = 1, ident: str | None = None, **more: Any) -> SessionChange:
    """An event with a row of its own."""
    return event(sessionKey=key(name), session=row(name, at, ident, **more))


def deleted(name: str, ident: str | None = None) -> SessionChange:
    return event(sessionKey=key(name), reason="delete", **({} if ident is None else {"sessionId": ident}))


def page(*rows: Row, more: bool = False) -> SessionPage:
    return SessionPage(rows, more)


def a_list(*rows: Row, limit: int = 10, more: bool = False, sessions: list[str] | None = None) -> SessionList:
    """One that was read, and whose reader knows it."""
    made = SessionList(limit, VisibleRows(SessionFilter(sessions)))
    made.reading()
    made.read(page(*rows, more=more))
    made.take_changed()
    return made


def names(one: SessionList) -> list[str]:
    return [info.key.rpartition(":")[2] for info in one.sessions]


def changed(one: SessionList) -> set[str]:
    taken = one.take_changed()
    return set() if taken is None else {name.rpartition(":")[2] for name in taken.changed}


def test_the_latest_comes_first() -> None:
    one = a_list(row("a", 1), row("b", 3), row("c", 2))
    assert names(one) == ["b", "c", "a"]
    one.apply(told("a", 4))
    assert names(one) == ["a", "b", "c"]
    assert changed(one) == {"a"}
    assert one.take_changed() is None


def test_what_says_nothing_new_is_not_told() -> None:
    one = a_list(row("a", 1, snapshotAt=1))
    one.apply(told("a", 1, snapshotAt=2))
    assert one.take_changed() is None


def test_a_page_tells_the_difference() -> None:
    one = a_list(row("a"), row("b"), row("c"))
    one.reading()
    one.read(page(row("a"), row("b", label="new"), row("d")))
    assert changed(one) == {"b", "c", "d"}


def test_a_delete_means_the_conversation_that_it_names() -> None:
    one = a_list(row("a", ident="new"))
    one.apply(deleted("a", "old"))
    assert names(one) == ["a"]
    assert one.needs_reading
    one.apply(deleted("a", "new"))
    assert names(one) == []
    assert changed(one) == {"a"}


def test_a_delete_without_a_name_means_the_one_that_is_known() -> None:
    one = a_list(row("a", ident="old"))
    one.apply(deleted("a"))
    assert names(one) == []
    assert not one.needs_reading
    # Late news of it bring nothing back, another conversation does.
    one.apply(told("a", 2, "old"))
    assert names(one) == []
    one.apply(told("a", 2, "new"))
    assert names(one) == ["a"]


def test_a_delete_of_what_is_not_known_changes_nothing() -> None:
    one = a_list(row("a"))
    one.apply(deleted("b"))
    assert not one.needs_reading
    assert one.take_changed() is None


def test_a_deleted_session_makes_room_for_an_older_one() -> None:
    one = a_list(row("a"), more=True)
    one.apply(deleted("a", "a"))
    assert one.needs_reading


def test_an_event_without_a_session_is_looked_into() -> None:
    one = a_list(row("a"))
    one.apply(event(reason="delete"))
    assert one.needs_reading


def test_late_news_are_none() -> None:
    one = a_list(row("a", 5, label="new"))
    one.apply(told("a", 4, label="old"))
    assert one.sessions[0].label == "new"
    # When the row was taken counts, where the gateway says that.
    one = a_list(row("a", 5, snapshotAt=10, label="new"))
    one.apply(event(sessionKey=key("a"), phase="end", session=row("a", 6, snapshotAt=9, label="old")))
    assert one.sessions[0].label == "new"
    one.apply(told("a", 4, snapshotAt=11, label="newest"))
    assert one.sessions[0].label == "newest"


def test_the_end_of_a_run_is_news_whenever_it_is_dated() -> None:
    one = a_list(row("a", 5, status="running"))
    one.apply(event(sessionKey=key("a"), phase="end", session=row("a", 4, status="done")))
    assert one.sessions[0].status == "done"


def test_another_conversation_begins_without_what_the_earlier_one_had() -> None:
    one = a_list(row("a", label="l"))
    one.apply(told("a", 2, "new"))
    assert (one.sessions[0].label, one.sessions[0].session_id) == (None, "new")


def test_what_an_old_release_clears_is_looked_into() -> None:
    one = a_list(row("a", label="l"))
    one.apply(event(sessionKey=key("a"), reason="patch", sessionId="a", updatedAt=2, label="m"))
    assert not one.needs_reading
    one.apply(event(sessionKey=key("a"), reason="patch", sessionId="a", updatedAt=3))
    assert one.needs_reading


def test_what_is_no_session_of_the_list_is_passed_over() -> None:
    one = a_list()
    one.apply(event(sessionKey="temp:slug-generator", phase="message"))
    assert names(one) == []


def test_events_that_come_while_the_list_is_read() -> None:
    one = a_list(row("a"), row("b"))
    one.reading()
    one.apply(told("a", 5, label="new"))
    one.apply(deleted("b"))
    one.apply(told("c", 5))
    one.read(page(row("a", 2), row("b")))
    assert names(one) == ["a", "c"]
    assert one.sessions[0].label == "new"
    assert not one.needs_reading


def test_a_delete_that_comes_while_the_first_list_is_read() -> None:
    one = SessionList(10, VisibleRows(SessionFilter()))
    one.reading()
    one.apply(deleted("a"))
    one.read(page(row("a")))
    assert one.needs_reading


def test_a_status_that_was_stored_is_in_doubt_until_a_turn_is_told() -> None:
    one = a_list(row("a", status="running"), row("b", status="done"), row("c", status="running", hasActiveRun=True))
    assert one.doubtful == {key("a")}
    one.apply(event(sessionKey=key("a"), session=row("a", 2, label="x")))
    assert one.doubtful == {key("a")}
    one.apply(event(sessionKey=key("a"), phase="end", session=row("a", 3, status="done")))
    assert one.doubtful == frozenset()


def test_too_much_that_comes_while_the_list_is_read() -> None:
    one = a_list()
    one.reading()
    for number in range(session_list.MAX_MEANWHILE + 1):
        one.apply(told("a", number + 1))
    one.read(page(row("a")))
    assert one.needs_reading


def test_a_list_that_could_not_be_read() -> None:
    one = a_list(row("a"))
    one.reading()
    one.apply(told("b", 2))
    one.read_failed()
    assert one.needs_reading
    assert names(one) == ["b", "a"]


def test_no_more_than_the_limit() -> None:
    one = a_list(row("a", 1), row("b", 2), limit=2)
    one.apply(told("c", 3))
    assert names(one) == ["c", "b"]
    assert changed(one) == {"a", "c"}
    one.apply(deleted("c", "c"))
    assert one.needs_reading


def test_so_many_deletes_are_remembered() -> None:
    one = a_list(row("a"))
    one.apply(deleted("a", "a"))
    for number in range(session_list.MAX_DELETED):
        one.apply(deleted("x", f"x{number}"))
    one.apply(told("a", 2, "a"))
    assert names(one) == ["a"]


def test_nobody_elses_rows() -> None:
    one = a_list(row("mine", spawnedBy=key("theirs"), label="l"), row("theirs"), sessions=["mine"])
    assert names(one) == ["mine"]
    assert key("theirs") not in str(one.sessions[0].raw)
    one.apply(told("theirs", 2))
    one.apply(told("mine", 2, ancestorSessions=[{"key": key("theirs")}], parts=[{"n": 1}]))
    assert names(one) == ["mine"]
    assert key("theirs") not in str(one.sessions[0].raw)
    assert one.sessions[0].raw["parts"] == [{"n": 1}]


def test_two_changes_are_one_for_a_reader_that_is_late() -> None:
    first, second = SessionsChanged((), ("a", "b")), SessionsChanged((), ("b", "c"))
    assert second.after(first).changed == ("a", "b", "c")


NAMES = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.just("make"), NAMES),
    st.tuples(st.just("label"), NAMES),
    st.tuples(st.just("delete"), NAMES),
    st.tuples(st.just("late"), NAMES),
    st.tuples(st.just("read"), NAMES),
)


@given(st.lists(STEPS, max_size=30), st.booleans())
def test_the_list_is_what_the_gateway_has(steps: list[tuple[str, str]], names_conversation: bool) -> None:
    """Events in order, with late copies of earlier ones and readings in between, whose answers come late."""
    truth: dict[str, Row] = {}
    one, clock, old = a_list(), 0, list[SessionChange]()
    answer: SessionPage | None = None
    for step, name in steps:
        clock += 1
        if step == "read":
            if answer is not None:
                one.read(answer)
            one.reading()
            answer = page(*(dict(one) for one in truth.values()))
            continue
        if step == "late":
            for change in old:
                one.apply(change)
            continue
        if step == "delete":
            gone = truth.pop(name, None)
            if gone is None:
                continue
            one.apply(deleted(name, gone["sessionId"] if names_conversation else None))
            continue
        if step == "label" and name not in truth:
            continue
        known = truth.get(name, {})
        truth[name] = {**row(name, clock, known.get("sessionId", f"{name}{clock}")), "snapshotAt": clock}
        truth[name]["label"] = f"l{clock}" if step == "label" else known.get("label")
        change = event(sessionKey=key(name), session=truth[name])
        old.append(change)
        one.apply(change)
    if answer is not None:
        one.read(answer)
    if one.needs_reading:
        one.reading()
        one.read(page(*truth.values()))
    assert {info.key: (info.session_id, info.label) for info in one.sessions} == {
        key(name): (known["sessionId"], known.get("label")) for name, known in truth.items()
    }
