"""Which sessions the payload of an event names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.sessions.named import MAX_VALUES, NamedSessions, named_sessions

CHILD = "agent:main:subagent:1"
FIELDS = ["sessionKey", "targetSessionKey", "sessionKeys", "session_key", "target_session_key", "spawnedBy"]


@pytest.mark.parametrize(
    ("payload", "about", "children"),
    [
        ({}, set(), set()),
        ({"sessionKey": ""}, {""}, set()),
        ({"sessionKey": "main", "targetSessionKey": "Web:Bob"}, {"main", "Web:Bob"}, set()),
        ({"request": {"sessionKey": "a"}, "session": {"key": "b"}}, {"a", "b"}, set()),
        ({"request": {"key": "a"}, "other": {"key": "b"}}, {"a"}, set()),
        ({"session": "a", "sessions": ["b", {"key": "c"}]}, {"a", "b", "c"}, set()),
        ({"ancestorSessions": [{"key": "a", "title": "t"}]}, {"a"}, set()),
        ({"sessions": {"recent": [{"key": "a"}], "path": "/p", "count": 1}}, {"a"}, set()),
        ({"to": "agent:main:a", "AGENT:x:y": 1, "words": "agent: main"}, {"agent:main:a", "AGENT:x:y"}, set()),
        ({"to": "agent:main:" + 600 * "a"}, set(), set()),
        ({"childSessions": [CHILD, {"key": "c"}], "childSessionKey": "d"}, set(), {CHILD, "c", "d"}),
        ({"data": {"args": {"sessionKey": "a"}}, "message": {"content": "agent:main:a"}}, set(), set()),
        ({"data": {"sessionKey": "a"}, "message": {"sessionKey": "b"}}, {"a", "b"}, set()),
        ([{"sessionKey": "a"}, 5, None, True], {"a"}, set()),
        ({"sessionKey": 5, "sessionId": "b"}, set(), set()),
    ],
)
def test_what_is_named(payload: Any, about: set[str], children: set[str]) -> None:
    named = named_sessions(payload)
    assert (set(named.about), set(named.children), named.complete) == (about, children, True)


@pytest.mark.parametrize(
    "payload",
    [
        list(range(MAX_VALUES + 1)),
        {str(number): 1 for number in range(MAX_VALUES + 1)},
        {str(number): 1 for number in range(MAX_VALUES)},
        [[5] * MAX_VALUES] * MAX_VALUES,
    ],
)
def test_what_is_too_long_to_be_looked_through(payload: Any) -> None:
    assert named_sessions(payload) == NamedSessions((), complete=False)


def test_however_deep() -> None:
    payload: Any = {"targetSessionKey": "a"}
    for _ in range(900):
        payload = {"next": [payload]}
    assert named_sessions(payload).about == ("a",)


_json = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(before=_json, after=_json, field=st.sampled_from(FIELDS), listed=st.booleans(), deep=st.booleans())
def test_a_field_of_a_session_is_found_wherever_it_stands(
    before: Any, after: Any, field: str, listed: bool, deep: bool
) -> None:
    holder: Any = {"before": before, field: ["theirs"] if listed else "theirs", "after": after}
    named = named_sessions({"first": before, "in": [{"x": holder}] if deep else holder})
    assert "theirs" in named.about
    assert named.complete
