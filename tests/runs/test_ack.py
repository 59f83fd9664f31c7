"""What the answer to a message means; rows observed on four releases."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from openclaw_client.runs.ack import Ack, EndedBefore, Running, Stopped, read_ack
from tests.wire.test_frames import values


@pytest.mark.parametrize(
    ("payload", "ack"),
    [
        ({"runId": "k", "status": "started"}, Running("k", "started")),
        ({"runId": "k", "status": "started", "messageSeq": 4, "interruptedActiveRun": True}, Running("k", "started")),
        ({"runId": "k", "status": "in_flight"}, Running("k", "in_flight")),
        # 2026.6.1: the same text was under way already, under another key.
        ({"runId": "other", "status": "in_flight"}, Running("other", "in_flight")),
        ({"runId": "k", "status": "ok"}, EndedBefore("k", "ok")),
        ({"runId": "k", "status": "timeout", "summary": "aborted"}, EndedBefore("k", "timeout", "aborted")),
        ({"runId": "k", "status": "error", "summary": 5}, EndedBefore("k", "error")),
        # The method `agent`: taken; over; over where the model said nothing (2026.9.6), or stopped (2026.8.1).
        ({"runId": "k", "status": "accepted", "acceptedAt": 1}, Running("k", "accepted")),
        ({"runId": "k", "status": "ok", "summary": "completed", "result": {}}, EndedBefore("k", "ok", "completed")),
        (
            {
                "status": "error",
                "summary": "failed",
                "result": {"payloads": [5, {"text": "said"}, {"text": "no answer", "isError": True}]},
            },
            EndedBefore("k", "error", "no answer"),
        ),
        ({"status": "error", "summary": "failed", "result": {"payloads": 5}}, EndedBefore("k", "error", "failed")),
        ({"status": "error", "summary": "failed", "stopReason": "aborted"}, EndedBefore("k", "timeout", "failed")),
        # A stop word.
        ({"ok": True, "aborted": True, "runIds": ["a", 5, "b"]}, Stopped(("a", "b"))),
        ({"ok": True, "aborted": False, "runIds": []}, Stopped(())),
        ({"aborted": True}, Stopped(())),
        ({"runIds": "a"}, Stopped(())),
        # What is not understood is a run that goes on: its events decide.
        ({"status": "brand_new"}, Running("k", "brand_new")),
        ({"runId": "", "status": 5}, Running("k", "started")),
        ({"runId": 5, "status": ["ok"]}, Running("k", "started")),
        ({}, Running("k", "started")),
        (None, Running("k", "started")),
        ([], Running("k", "started")),
    ],
)
def test_the_meaning_of_an_answer(payload: object, ack: Ack) -> None:
    assert read_ack(payload, "k") == ack


@given(payload=values)
def test_any_answer_has_a_meaning(payload: Any) -> None:
    assert isinstance(read_ack(payload, "k"), Running | EndedBefore | Stopped)
