"""How long the client waits for what."""

from __future__ import annotations

from dataclasses import dataclass

from openclaw_client.errors import UsageError


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long the client waits, in seconds; None for no limit.

    A healthy run can be silent for minutes, so that `idle` and `total` have no limit of their own. When one of them
    passes, the run goes on at the gateway (`RunTimeout`).

    Attributes:
        connect: For connect() as a whole, and for each reconnect. Never None.
        request: For the response to a request, and for waiting until a lost connection is back.
        idle: For a run, from the last that was heard of it.
        total: For a run, from the call: the wait for its turn and the connection included.
        away: For a run whose connection is lost, until there is one again. Then it ends with `RunLost`, or with
            `OutcomeUnknown` where nothing showed that the message was taken; both carry `sent_run`.
    """

    connect: float = 10.0
    request: float | None = 30.0
    idle: float | None = None
    total: float | None = None
    away: float | None = 600.0

    def __post_init__(self) -> None:
        for name in ("connect", "request", "idle", "total", "away"):
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
