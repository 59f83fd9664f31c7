"""The table of what agents wait for: each once, nothing back from its end, and never too many."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs import interactions
from openclaw_client.runs.interactions import MAX_CLOSED, MAX_PENDING, InteractionEnd, InteractionTable, kind_of
from openclaw_client.wire.approvals import Approval
from openclaw_client.wire.questions import Question, QuestionItem

DENIED = InteractionEnd("denied", "deny")


def approval(ident: str, **fields: Any) -> Approval:
    return Approval(ident, command="ls", raw={"id": ident}, **fields)


def question(ident: str, **fields: Any) -> Question:
    return Question(ident, (QuestionItem("q", "", "?"),), raw={"id": ident}, **fields)


def test_each_is_told_once_and_nothing_comes_back() -> None:
    table = InteractionTable()
    entry = table.add(approval("a"), "r", named=True)
    assert entry is not None
    assert (entry.kind, entry.run_id, entry.over_at) == ("approvals", "r", inf)
    assert table.add(approval("a"), "r", named=True) is None
    assert table.end("a", DENIED) is entry
    assert table.end("a", InteractionEnd("allowed", "allow-once")) is None
    assert table.ended("a") == DENIED
    assert table.get("a") is None
    assert table.add(approval("a"), "r", named=True) is None
    assert table.pending() == ()


def test_an_end_that_overtakes_the_list_counts() -> None:
    table = InteractionTable()
    table.list_begun()
    assert table.end("a", DENIED) is None
    assert table.add(approval("a"), None, named=False) is None
    # It was never shown here.
    assert not table.knows("a")
    for number in range(MAX_CLOSED):
        table.end(f"other-{number}", DENIED)
    assert table.add(approval("a"), None, named=False) is not None
    table.list_ended()


def test_of_others_ends_nothing_is_remembered_but_while_a_list_is_read() -> None:
    table = InteractionTable()
    table.end("a", DENIED)
    assert table.add(approval("a"), None, named=False) is not None
    for _ in range(2):
        table.list_begun()
    table.end("b", DENIED)
    table.list_ended()
    assert table.add(approval("b"), None, named=False) is None
    table.list_ended()
    assert table.add(approval("b"), None, named=False) is not None


def test_what_is_over_stays_known_when_the_connection_is_gone() -> None:
    table = InteractionTable()
    table.add(approval("a"), None, named=False)
    table.add(approval("b"), None, named=False)
    table.end("a", DENIED)
    table.clear()
    assert (table.pending(), table.ended("a")) == ((), DENIED)
    assert table.add(approval("b"), None, named=False) is not None
    assert table._bytes == len('{"id":"b"}')


def test_by_kind_by_run_and_by_what_a_list_has() -> None:
    table = InteractionTable()
    first = table.add(approval("a"), "r", named=True)
    second = table.add(question("q"), "s", named=True)
    assert first is not None
    assert second is not None
    assert table.pending() == (first, second)
    assert (table.pending("approvals"), table.pending("questions")) == ((first,), (second,))
    assert table.of_runs(["r", "t"]) == (first,)
    before = table.pending()
    third = table.add(approval("b"), None, named=False)
    assert third is not None
    assert table.unlisted(before, {"q"}) == (first,)
    table.end("a", DENIED)
    assert table.unlisted(before, {"q"}) == ()
    assert kind_of(second.item) == "questions"


def test_what_expires() -> None:
    table = InteractionTable()
    assert table.next_end == inf
    late = table.add(approval("a"), None, named=False, over_at=20.0)
    soon = table.add(question("q"), None, named=False, over_at=10.0)
    assert table.next_end == 10.0
    assert table.over(9.9) == ()
    assert table.over(10.0) == (soon,)
    assert table.over(30.0) == (late, soon)


def test_never_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    table = InteractionTable()
    for number in range(MAX_PENDING + 3):
        table.add(approval(f"{number}"), None, named=False)
    assert (len(table.pending()), table.refused) == (MAX_PENDING, 3)
    table.end("0", DENIED)
    assert table.add(approval("again"), None, named=False) is not None
    monkeypatch.setattr(interactions, "MAX_PENDING_BYTES", 50)
    table = InteractionTable()
    assert table.add(Approval("a", command="x", raw={"x": "y" * 30}), None, named=False) is not None
    assert table.add(Approval("b", command="x", raw={"x": "y" * 30}), None, named=False) is None
    table.end("a", DENIED)
    assert table.add(Approval("b", command="x", raw={"x": "y" * 30}), None, named=False) is not None


STEPS = st.lists(st.tuples(st.sampled_from(["add", "end"]), st.sampled_from("abcdef")), max_size=60)


@given(STEPS)
def test_whatever_comes_in_whatever_order(steps: list[tuple[str, str]]) -> None:
    table, over, shown = InteractionTable(), set[str](), dict[str, int]()
    table.list_begun()
    for step, ident in steps:
        if step == "add":
            if table.add(approval(ident), None, named=False) is not None:
                shown[ident] = shown.get(ident, 0) + 1
                assert ident not in over
        else:
            table.end(ident, DENIED)
            over.add(ident)
        assert not {entry.item.id for entry in table.pending()} & over
        assert table._bytes == sum(entry.size for entry in table.pending())
    assert set(shown.values()) <= {1}
