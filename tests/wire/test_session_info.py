"""Rows of the list of sessions as releases spell them, and what their events tell."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from openclaw_client import SessionInfo
from openclaw_client.wire.session_info import (
    MAX_ROW_BYTES,
    MAX_TITLE,
    merged,
    session_change,
    session_info,
    session_rows,
    size_of_json,
    snapshot_of,
)

KEY = "agent:main:s"


def test_a_row() -> None:
    row = {
        "key": KEY,
        "sessionId": "one",
        "displayName": "A\ntitle\x1b",
        "label": "a label",
        "model": "m",
        "modelProvider": "p",
        "updatedAt": 1_500,
        "status": "done",
        "hasActiveRun": False,
        "totalTokens": 7,
        "contextTokens": 9,
    }
    info = session_info(row)
    assert info == SessionInfo(KEY, "one", "A title", "a label", "m", "p", 1.5, "done", False, 7, 9)
    assert info.raw == row
    assert pickle.loads(pickle.dumps(info)).raw == row


@pytest.mark.parametrize("wrong", [None, True, [], {}, ""])
def test_what_is_of_a_wrong_type_is_not_told(wrong: Any) -> None:
    names = ("sessionId", "displayName", "label", "model", "modelProvider", "updatedAt", "status", "totalTokens")
    info = session_info({"key": KEY, **dict.fromkeys(names, wrong)})
    assert info == SessionInfo(KEY)


@pytest.mark.parametrize(
    ("row", "title"),
    [({"label": "l", "derivedTitle": "d"}, "l"), ({"derivedTitle": "d"}, "d"), ({"label": "x" * 600}, "x" * MAX_TITLE)],
)
def test_titles(row: dict[str, Any], title: str) -> None:
    assert session_info({"key": KEY, **row}).title == title


@pytest.mark.parametrize(
    ("row", "active"),
    [
        ({}, None),
        ({"hasActiveRun": True}, True),
        ({"hasActiveRun": False, "status": "running"}, False),
        ({"status": "running"}, True),
        ({"status": "done"}, False),
        # 2026.7.35 behind the end of a run.
        ({"hasActiveRun": True, "status": "done", "activeRunIds": []}, False),
        ({"hasActiveRun": True, "status": "done", "activeRunIds": ["r"]}, True),
    ],
)
def test_whether_a_run_goes_on(row: dict[str, Any], active: bool | None) -> None:
    assert session_info({"key": KEY, **row}).active is active


def test_of_a_huge_row_the_fields_are_kept() -> None:
    info = session_info({"key": KEY, "label": "l", "more": "x" * MAX_ROW_BYTES})
    assert (info.label, info.raw) == ("l", {})


def test_what_is_left_out_is_unchanged_and_null_clears() -> None:
    known = {"key": KEY, "label": "l", "model": "m"}
    assert merged(known, {"label": None, "updatedAt": 2}) == {"key": KEY, "model": "m", "updatedAt": 2}
    # 2026.6.1 tells the status alone, 2026.9.6 of a session at rest the other word.
    assert merged({"hasActiveRun": False}, {"status": "running"}) == {"status": "running"}
    assert merged({"status": "running"}, {"hasActiveRun": False}) == {"hasActiveRun": False}


def test_changes() -> None:
    change = session_change(
        {"sessionKey": KEY, "phase": "end", "ts": 1, "runId": "r", "label": None, "session": {"key": KEY, "model": "m"}}
    )
    assert change is not None
    assert (change.key, change.fields) == (KEY, {"label": None, "key": KEY, "model": "m"})
    assert (change.whole, change.turns, change.deleted, change.session_id) == (True, True, False, None)
    flat = session_change({"sessionKey": KEY, "reason": "patch", "sessionId": "one", "label": "l"})
    assert flat is not None
    assert (flat.whole, flat.turns, flat.session_id, flat.fields["label"]) == (False, False, "one", "l")
    gone = session_change({"reason": "delete"})
    assert gone is not None
    assert (gone.key, gone.deleted) == (None, True)
    named = session_change({"session": {"key": KEY}})
    assert named is not None
    assert named.key == KEY
    assert session_change([]) is None


def test_pages() -> None:
    page = session_rows({"sessions": [{"key": KEY}, {"key": ""}, 3, {}], "hasMore": True})
    assert page is not None
    assert (page.rows, page.has_more) == (({"key": KEY},), True)
    assert session_rows({"sessions": {}}) is None
    assert session_rows(None) is None


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"snapshotAt": 3, "updatedAt": 2}, ("snapshotAt", 3.0)),
        ({"snapshotAt": "3", "updatedAt": 2}, ("updatedAt", 2.0)),
        ({"updatedAt": True}, None),
        ({"snapshotAt": 10**400, "updatedAt": 2}, ("updatedAt", 2.0)),
    ],
)
def test_when_a_row_was_taken(row: dict[str, Any], found: object) -> None:
    assert snapshot_of(row) == found


def test_what_is_too_long_or_too_deep_counts_as_not_told() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    row = session_info({"key": KEY, "label": "l", "updatedAt": 10**400, "more": deep})
    assert (row.label, row.updated_at, row.raw) == ("l", None, {})
    assert size_of_json({"more": deep}) > MAX_ROW_BYTES
