"""Which sessions an event names: whoever is handed the event is told of all of them.

Gateways have more than twenty fields for a session's key, and new ones with every release. They are therefore known by
how they end, and a canonical key by how it begins, wherever it stands. Knows no payload of a certain event.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from openclaw_client.wire.limits import MAX_SESSION_KEY

MAX_VALUES = 10_000
"""Values of an event that are looked at. The list of all sessions that a busy gateway sends has some hundreds of rows
of twenty values; what is longer counts as an event that cannot be judged."""

_FIELD = re.compile(r"(session_?keys?|^(child_?)?sessions?|^spawned_?by)$", re.IGNORECASE)
"""`sessionKey`, `targetSessionKey`, `requesterSessionKeys`, `session_key`, …: whose texts are keys in any spelling."""
_ROWS = re.compile(r"(sessions?|^recent|^request)$", re.IGNORECASE)
"""`session`, `sessions`, `ancestorSessions`, and the `recent` of a health event: objects whose `key` is a session's."""
_CHILD = re.compile(r"child", re.IGNORECASE)
"""Fields that name the sub-agents of a session: theirs are sessions of whoever has the parent."""
_CANONICAL = re.compile(r"agent:[^\s:]+:\S+", re.IGNORECASE)
_CONTENT = frozenset({"content", "text", "args", "arguments", "result", "partialResult", "input", "output"})
"""What was said in a session, where words about another one are no news of it."""


class NamedSessions(NamedTuple):
    """about: the keys, as they are spelled. children: those of sub-agents. complete: whether all was looked at."""

    about: tuple[str, ...]
    children: tuple[str, ...] = ()
    complete: bool = True


def named_sessions(payload: Any) -> NamedSessions:
    """The sessions that the payload of an event names."""
    about: list[str] = []
    children: list[str] = []
    waiting: list[tuple[str, Any]] = [("", payload)]
    looked_at = 0
    while waiting:
        name, value = waiting.pop()
        looked_at += 1
        if looked_at > MAX_VALUES:
            return NamedSessions(tuple(about), tuple(children), complete=False)
        if isinstance(value, str):
            if _FIELD.search(name) or (len(value) <= MAX_SESSION_KEY and _CANONICAL.fullmatch(value)):
                (children if _CHILD.search(name) else about).append(value)
        elif isinstance(value, list):
            # A list's items are what its name says. One too many is enough to see that there are too many.
            waiting += [(name, item) for item in value[: MAX_VALUES + 1]]
        elif isinstance(value, dict):
            if len(value) > MAX_VALUES:
                return NamedSessions(tuple(about), tuple(children), complete=False)
            about += [key for key in value if _CANONICAL.fullmatch(key)]
            waiting += [(_meant(name, key), item) for key, item in value.items() if key not in _CONTENT]
    return NamedSessions(tuple(about), tuple(children))


def _meant(parent: str, name: str) -> str:
    """The name of a field, told apart where it is only `key` and the object's name says of what."""
    if name != "key" or not _ROWS.search(parent):
        return name
    return "childSessionKey" if _CHILD.search(parent) else "sessionKey"
