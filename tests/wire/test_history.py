"""Pages of chat.history as four releases make them, and pages in which anything is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.wire.history import (
    HistoryMessage,
    HistoryPage,
    InFlightRun,
    InputReceipt,
    PendingInput,
    history_page,
)
from tests.wire.test_frames import values

USER_9_6 = {
    "role": "user",
    "content": "Hi",
    "__openclaw": {"id": "m1", "seq": 1, "idempotencyKey": "run-1:user"},
}
ASSISTANT_9_6 = {
    "role": "assistant",
    "content": [{"type": "text", "text": "Hello"}, {"type": "image", "artifactId": "a"}],
    "stopReason": "end_turn",
    "__openclaw": {"id": "m2", "seq": 2, "runId": "run-1"},
}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (USER_9_6, ("user", "Hi", "m1", "run-1", None, None)),
        (ASSISTANT_9_6, ("assistant", "Hello", "m2", "run-1", None, "end_turn")),
        ({"role": "assistant", "content": []}, ("assistant", "", None, None, None, None)),
        ({"role": "assistant", "errorMessage": "boom", "text": "t"}, ("assistant", "t", None, None, "boom", None)),
        ({"messageId": "m3", "runId": "r"}, ("", "", "m3", "r", None, None)),
        ({"idempotencyKey": "r:user"}, ("", "", None, "r", None, None)),
        ({"idempotencyKey": "key-alone"}, ("", "", None, "key-alone", None, None)),
        ({"idempotencyKey": "k", "__openclaw": {"runId": "r"}}, ("", "", None, "r", None, None)),
        (
            {"role": 5, "content": 5, "runId": 5, "__openclaw": 5, "errorMessage": "", "stopReason": []},
            ("", "", None, None, None, None),
        ),
        ({"__openclaw": {"id": 5, "runId": ""}, "messageId": ""}, ("", "", None, None, None, None)),
    ],
)
def test_what_the_releases_spell_differently(row: dict[str, Any], expected: tuple[object, ...]) -> None:
    message = HistoryMessage(row)
    assert (
        message.role,
        message.text,
        message.id,
        message.run_id,
        message.error_message,
        message.stop_reason,
    ) == expected
    assert message == row


def test_a_whole_page() -> None:
    result = {
        "sessionKey": "agent:main:main",
        "sessionId": "s",
        "messages": [USER_9_6, ASSISTANT_9_6],
        "sessionInfo": {"activeRunIds": ["run-2"], "hasActiveRun": True},
        "inFlightRun": {"runId": "run-2", "text": "so far"},
        "hasMore": True,
        "nextOffset": 2,
    }
    page = history_page(result)
    assert page == HistoryPage(
        messages=[HistoryMessage(USER_9_6), HistoryMessage(ASSISTANT_9_6)],
        in_flight_run=InFlightRun("run-2", "so far"),
        active_run_ids=("run-2",),
        has_active_run=True,
        session_key="agent:main:main",
        session_id="s",
        has_more=True,
        next_offset=2,
        raw=result,
    )
    assert "so far" in repr(page)
    assert "raw" not in repr(page)


@pytest.mark.parametrize("result", [None, 5, [], {}, {"messages": None}, {"messages": {}}])
def test_a_page_without_messages_is_empty(result: object) -> None:
    page = history_page(result)
    assert (page.messages, page.in_flight_run, page.active_run_ids, page.has_more) == ([], None, None, None)


@pytest.mark.parametrize(
    ("info", "active"),
    [
        (None, None),
        ({}, None),
        ({"activeRunIds": None}, None),
        ({"activeRunIds": []}, ()),
        ({"activeRunIds": ["a", 5, "b"]}, ("a", "b")),
    ],
)
def test_unknown_active_runs_are_not_no_active_runs(info: object, active: object) -> None:
    assert history_page({"sessionInfo": info}).active_run_ids == active


@pytest.mark.parametrize(
    ("info", "busy"),
    [
        (None, None),
        ({}, None),
        ({"hasActiveRun": "yes"}, None),
        ({"hasActiveRun": True}, True),
        ({"hasActiveRun": False}, False),
    ],
)
def test_whether_anything_is_active(info: object, busy: bool | None) -> None:
    assert history_page({"sessionInfo": info}).has_active_run is busy


@pytest.mark.parametrize(("told", "timestamp"), [(5, 5), (5.5, 5.5), (True, None), ("5", None), (None, None)])
def test_the_time_of_a_message_is_a_number_or_unknown(told: object, timestamp: float | None) -> None:
    assert HistoryMessage({"timestamp": told}).timestamp == timestamp
    assert HistoryMessage().timestamp is None


@pytest.mark.parametrize(
    ("flight", "expected"),
    [
        (None, None),
        ("r", None),
        ({}, None),
        ({"runId": ""}, None),
        ({"runId": 5, "text": "t"}, None),
        ({"runId": "r"}, InFlightRun("r", "")),
        ({"runId": "r", "text": 5}, InFlightRun("r", "")),
        ({"runId": "r", "text": "t"}, InFlightRun("r", "t")),
    ],
)
def test_a_run_in_flight_needs_an_id_and_may_have_no_text(flight: object, expected: InFlightRun | None) -> None:
    assert history_page({"inFlightRun": flight}).in_flight_run == expected


PAGE_KEYS = ["messages", "sessionInfo", "inFlightRun", "sessionKey", "sessionId", "hasMore", "nextOffset"]
ROW_KEYS = [
    "role",
    "content",
    "text",
    "__openclaw",
    "messageId",
    "runId",
    "idempotencyKey",
    "errorMessage",
    "stopReason",
]


@given(
    page=st.dictionaries(st.sampled_from(PAGE_KEYS), values),
    rows=st.lists(st.dictionaries(st.sampled_from(ROW_KEYS), values) | values, max_size=4),
)
def test_any_page_can_be_read(page: dict[str, Any], rows: list[Any]) -> None:
    history_page(page)
    read = history_page({**page, "messages": rows})
    assert [dict(message) for message in read.messages] == [row for row in rows if isinstance(row, dict)]
    for message in read.messages:
        assert isinstance(message.text, str)
        assert isinstance(message.role, str)
        for told in (message.id, message.run_id, message.error_message, message.stop_reason):
            assert told is None or isinstance(told, str)


@pytest.mark.parametrize(
    ("pending", "entries"),
    [
        (None, ()),
        ({}, ()),
        ({"items": None}, ()),
        (
            {"items": [{"runId": "a"}, {"runId": 5}, {"runId": ""}, {}, "b", {"runId": "c", "state": 5}], "total": 6},
            (PendingInput("a", "queued"), PendingInput("c", "queued")),
        ),
        (
            {
                "items": [
                    {"id": "i1", "acceptedAt": 5, "state": "queued", "message": {"role": "user"}, "runId": "a"},
                    {"id": "i2", "acceptedAt": 6, "state": "cancelled", "message": {"role": "user"}, "runId": "b"},
                    {"id": "i3", "acceptedAt": 7, "state": "interrupted", "message": {"role": "user"}, "runId": "c"},
                    {"id": "i4", "acceptedAt": 8, "state": "queued", "message": {"role": "user"}},
                ],
                "total": 4,
                "nextBefore": 3,
            },
            (PendingInput("a", "queued"), PendingInput("b", "cancelled"), PendingInput("c", "interrupted")),
        ),
    ],
)
def test_which_messages_have_no_row_yet(pending: object, entries: tuple[PendingInput, ...]) -> None:
    page = history_page({"pendingInputs": pending})
    assert page.pending == entries
    assert page.pending_run_ids == tuple(entry.run_id for entry in entries)


@pytest.mark.parametrize(
    ("told", "receipts"),
    [
        (None, ()),
        ({}, ()),
        (
            [
                {"runId": "a", "state": "pending"},
                {"runId": "b", "state": "consumed", "consumedByEventId": "m7"},
                {"runId": "c", "state": "consumed", "consumedByEventId": 7},
                {"runId": 5, "state": "pending"},
                {"runId": "d"},
                "e",
            ],
            (InputReceipt("a", "pending"), InputReceipt("b", "consumed", "m7"), InputReceipt("c", "consumed")),
        ),
    ],
)
def test_what_became_of_messages_that_were_asked_about(told: object, receipts: tuple[InputReceipt, ...]) -> None:
    assert history_page({"inputReceipts": told}).receipts == receipts


@pytest.mark.parametrize(
    ("row", "is_collected"),
    [
        ({"role": "user", "idempotencyKey": "followup-collect:s:0123"}, True),
        ({"role": "user", "__openclaw": {"idempotencyKey": "followup-collect:s:0123"}}, True),
        ({"role": "user", "idempotencyKey": "my-followup-collect:s"}, False),
        (USER_9_6, False),
        ({}, False),
    ],
)
def test_which_row_holds_several_messages(row: dict[str, Any], is_collected: bool) -> None:
    assert HistoryMessage(row).is_collected is is_collected


def test_which_model_wrote_a_row_and_what_that_took() -> None:
    usage = {"input": 12, "output": 3, "totalTokens": 15, "cost": {"total": 0.1}}
    row = HistoryMessage({**ASSISTANT_9_6, "provider": "mock", "model": "mock-1", "usage": usage})
    assert (row.model, row.provider, row.usage) == ("mock-1", "mock", usage)
    assert row.content == tuple(ASSISTANT_9_6["content"])
    injected = HistoryMessage({"provider": "openclaw", "model": "gateway-injected", "usage": 5})
    assert (injected.model, injected.provider, injected.usage) == (None, None, None)


@pytest.mark.parametrize(
    ("content", "blocks"),
    [
        (
            [{"type": "image", "data": "aa"}, "Hi", 5, None],
            ({"type": "image", "data": "aa"}, {"type": "text", "text": "Hi"}),
        ),
        ({"type": "text", "text": "Hi"}, ({"type": "text", "text": "Hi"},)),
        ("Hi", ({"type": "text", "text": "Hi"},)),
        ([], ()),
        (None, ()),
        (5, ()),
    ],
)
def test_the_blocks_of_a_row(content: object, blocks: tuple[dict[str, Any], ...]) -> None:
    assert HistoryMessage({"content": content}).content == blocks


def test_which_run_took_a_message_up() -> None:
    steered = {"role": "user", "__openclaw": {"steerTargetRunId": "first", "idempotencyKey": "second:user"}}
    assert (HistoryMessage(steered).merged_into, HistoryMessage(steered).run_id) == ("first", "second")
    assert HistoryMessage(USER_9_6).merged_into is None


@pytest.mark.parametrize(
    ("row", "is_the_gateways"),
    [
        ({"provider": "openclaw", "model": "gateway-injected"}, True),
        ({"provider": "openclaw", "model": "another"}, False),
        ({"provider": "stub", "model": "gateway-injected"}, False),
        ({}, False),
    ],
)
def test_what_the_gateway_wrote_itself(row: dict[str, str], is_the_gateways: bool) -> None:
    assert HistoryMessage(row).is_the_gateways is is_the_gateways


@pytest.mark.parametrize(
    ("content", "is_cut", "known"),
    [
        ("whole", False, "whole"),
        ("part\n...(truncated)...", True, "part"),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b\n...(truncated)..."}], True, "ab"),
        ([{"type": "text", "text": "a\n...(truncated)..."}, {"type": "text", "text": "b"}], True, "a"),
        ([{"type": "text", "text": "[chat.history omitted: message too large]"}], True, ""),
        ([{"type": "thinking", "text": "x\n...(truncated)..."}, {"type": "text", "text": "b"}], False, "b"),
        (
            [{"type": "text", "text": "a"}, {"type": "toolCall"}, {"type": "text", "text": "b\n...(truncated)..."}],
            True,
            "a\n\nb",
        ),
        ({"type": "output_text", "text": "part\n...(truncated)..."}, True, "part"),
        (None, False, ""),
    ],
)
def test_what_the_gateway_cuts(content: Any, is_cut: bool, known: str) -> None:
    row = HistoryMessage({"role": "assistant", "content": content})
    assert (row.is_cut, row.uncut) == (is_cut, known)
