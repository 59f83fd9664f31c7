"""Messages that nobody here asked for: whole, once, and never one of this client's own runs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.runs.proactive import MAX_FINISHED, MAX_OPEN, BoundedSet, ProactiveAssembler, ProactiveMessage
from openclaw_client.wire.chat import ChatPayload


def chat(run_id: str, state: str, message: str | None = None, key: str = "agent:main:main", **rest: Any) -> ChatPayload:
    return ChatPayload(run_id=run_id, session_key=key, state=state, message=message, **rest)


def test_a_message_is_handed_out_when_it_is_whole_and_once() -> None:
    assembler = ProactiveAssembler()
    assert assembler.receive(chat("r", "status")) is None
    assert assembler.receive(chat("r", "delta", "Hel")) is None
    final = chat("r", "final", "Hello", stop_reason="end_turn")
    assert assembler.receive(final) == ProactiveMessage("r", "Hello", "agent:main:main", "r", "run", "end_turn")
    assert assembler.receive(final) is None
    assert assembler.receive(chat("r", "delta", "Hello")) is None


def test_a_final_without_a_message_hands_out_what_was_streamed() -> None:
    assembler = ProactiveAssembler()
    assembler.receive(chat("r", "delta", "Hello"))
    message = assembler.receive(chat("r", "final"))
    assert message is not None
    assert message.text == "Hello"


@pytest.mark.parametrize("state", ["aborted", "error"])
def test_a_run_that_did_not_end_well_is_no_message_and_stays_over(state: str) -> None:
    assembler = ProactiveAssembler()
    assembler.receive(chat("r", "delta", "Hel"))
    assert assembler.receive(chat("r", state, "Hello")) is None
    assert assembler.receive(chat("r", "final", "Hello")) is None


@pytest.mark.parametrize("payload", [chat("", "final", "Hello"), chat("r", "final"), chat("r", "final", "")])
def test_nothing_said_is_no_message(payload: ChatPayload) -> None:
    assert ProactiveAssembler().receive(payload) is None


@pytest.mark.parametrize(
    ("payload", "kind", "ident"),
    [
        (chat("inject-7", "final", "x", seq=0), "injected", "7"),
        (chat("r", "final", "x", spawned_by="agent:main:main"), "subagent", "r"),
        (chat("beat", "final", "x"), "heartbeat", "beat"),
        (chat("r", "final", "x", key="agent:main:cron:job"), "cron", "r"),
        (chat("r", "final", "x"), "run", "r"),
    ],
)
def test_kinds(payload: ChatPayload, kind: str, ident: str) -> None:
    assembler = ProactiveAssembler()
    assembler.heartbeat("beat")
    message = assembler.receive(payload)
    assert message is not None
    assert (message.kind, message.id, message.run_id) == (kind, ident, payload.run_id)


def test_a_run_of_ones_own_is_no_message_however_late() -> None:
    assembler = ProactiveAssembler()
    assembler.finished("own")
    for number in range(MAX_FINISHED - 1):
        assembler.finished(f"other-{number}")
    assert assembler.receive(chat("own", "final", "late")) is None
    assembler.finished("one too many")
    assert assembler.receive(chat("own", "final", "later still")) is not None


def test_a_reopened_run_is_heard_again() -> None:
    assembler = ProactiveAssembler()
    assembler.finished("own")
    assembler.reopened("own")
    assembler.reopened("never was")
    assert assembler.receive(chat("own", "final", "anew")) is not None


def test_runs_under_way_are_bounded_and_one_given_up_still_counts_by_its_final() -> None:
    assembler = ProactiveAssembler()
    for number in range(MAX_OPEN + 1):
        assembler.receive(chat(str(number), "delta", f"text {number}"))
    second, first = assembler.receive(chat("1", "final")), assembler.receive(chat("0", "final"))
    # The oldest was forgotten with its text; its neighbour was not.
    assert first is None
    assert second is not None
    assembler.receive(chat("late", "delta", "x"))
    whole = assembler.receive(chat("late", "final", "whole"))
    assert whole is not None
    assert whole.text == "whole"


@given(limit=st.integers(1, 5), items=st.lists(st.sampled_from("abcdefgh"), max_size=30))
def test_a_bounded_set_holds_the_last_distinct_ones(limit: int, items: list[str]) -> None:
    held = BoundedSet(limit)
    for item in items:
        held.add(item)
    latest = list(dict.fromkeys(reversed(items)))[:limit]
    assert {item for item in "abcdefgh" if item in held} == set(latest)
    assert len(held) == len(latest)
