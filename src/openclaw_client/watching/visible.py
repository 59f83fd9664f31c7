"""Which rows of the list a client may see, and what of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openclaw_client.sessions.filter import SessionFilter
from openclaw_client.sessions.named import named_sessions


class VisibleRows:
    """Of one client: the rows of its own sessions, without what names anybody else's."""

    __slots__ = ("_sessions",)

    def __init__(self, sessions: SessionFilter) -> None:
        self._sessions = sessions

    def __call__(self, key: str, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What of a row is shown; None for a session of somebody else's."""
        if not self._sessions.restricted:
            return row
        if not self._sessions.accepts(key):
            return None
        return {name: value for name, value in row.items() if self._is_own(name, value)}

    def _is_own(self, name: str, value: Any) -> bool:
        if not isinstance(value, str | list | dict):
            return True
        named = named_sessions({name: value})
        return named.complete and all(map(self._sessions.accepts, named.about))
