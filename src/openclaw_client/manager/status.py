"""What a manager tells about itself: plain values, safe to log and to pickle where the users are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Phase = Literal["open", "draining", "closed"]


@dataclass(frozen=True, slots=True)
class ManagerCounters:
    """What happened since the manager was made; numbers only grow.

    opened: connections made for users. failed: attempts that ended with an error (of credentials() or of the connect).
    reused: calls that found their user's connection. idle_closed: closed after idle_timeout. evicted: closed to make
    room. replaced: closed because the credentials changed. fatal: given up by the gateway's word. refused: calls turned
    away with ManagerError. spared: calls that were answered with the remembered refusal, without a connect. messages:
    proactive messages handed out. handler_errors: handlers that raised.
    """

    opened: int = 0
    failed: int = 0
    reused: int = 0
    idle_closed: int = 0
    evicted: int = 0
    replaced: int = 0
    fatal: int = 0
    refused: int = 0
    spared: int = 0
    messages: int = 0
    handler_errors: int = 0


@dataclass(frozen=True, slots=True)
class UserConnection:
    """One user's connection. state: a `ConnectionState` by its value, or "opening" or "closing".

    idle_seconds: since the user's last use or message; inf where there was none. busy: a run or a request is under way.
    held: `hold()` blocks that are open.
    """

    user: Any
    state: str
    idle_seconds: float
    busy: bool
    held: int


@dataclass(frozen=True, slots=True)
class ManagerStatus:
    """phase: "open", "draining" or "closed". max_connections and idle_timeout (seconds, None for never): the limits.

    connected: connections that can be used now; users has all, connected or not.
    """

    phase: Phase
    max_connections: int
    idle_timeout: float | None
    connected: int
    busy: int
    users: tuple[UserConnection, ...]
    counters: ManagerCounters
