"""How long the client waits for what."""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_client.errors import UsageError


@dataclass(frozen=True, slots=True)
class Timeouts:
    """All in seconds.

    connect: for connect() as a whole, and for each reconnect. request: for the response to a request, and for waiting
    until a lost connection is back. idle, total: for a run, None = no limit, because a healthy run can be silent for
    minutes; when one passes, the run goes on at the gateway.
    """

    connect: float = 10.0
    request: float | None = 30.0
    idle: float | None = None
    total: float | None = None

    def __post_init__(self) -> None:
        for name in ("connect", "request", "idle", "total"):
            value = getattr(self, name)
            unlimited = value is None and name != "connect"
            if not (unlimited or _is_limit(value)):
                raise UsageError(
                    message=f"Timeouts({name}={value!r}) is no time limit",
                    remedy="Give a number of seconds above zero",
                )


def check_time_limit(value: object) -> None:
    """Raise UsageError for a `timeout=` of a call that is no number of seconds above zero."""
    if not _is_limit(value):
        raise UsageError(
            message=f"timeout={value!r} is no time limit; nothing was sent",
            remedy="Give a number of seconds above zero, or None for no limit",
        )


def _is_limit(value: object) -> bool:
    # A time that is no number compares with nothing.
    return isinstance(value, int | float) and value > 0
