"""One call of a tool, as the function sees it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, final

from openclaw_client.errors.peer_text import one_line


def _no_clock() -> float:
    return 0.0


@final
class ToolCall:
    """Handed to a function that has a parameter annotated with it; the model sees nothing of that parameter.

    Attributes:
        tool: The tool's name.
        arguments: What the model gave, as it came.
        session_key: The session in which the model called; None where the gateway does not say.
        user: Whose call it is: what the host's `user_of` made of the session key; None without one.
        call_id: The id of this call alone. It is no key for anything that outlives the call.

    Args:
        deadline: Until when the call may take, by `clock`. Without it there is no end.
        clock: The time in seconds, as `time.monotonic` gives it.
    """

    __slots__ = ("_cancelled", "_clock", "_deadline", "arguments", "call_id", "session_key", "tool", "user")

    def __init__(
        self,
        *,
        tool: str,
        arguments: Mapping[str, Any],
        session_key: str | None = None,
        user: Any = None,
        call_id: str = "",
        deadline: float = math.inf,
        clock: Callable[[], float] = _no_clock,
    ) -> None:
        self.tool = tool
        self.arguments: Mapping[str, Any] = MappingProxyType(dict(arguments))
        self.session_key = session_key
        self.user = user
        self.call_id = call_id
        self._deadline = deadline
        self._clock = clock
        self._cancelled = False

    @property
    def seconds_left(self) -> float:
        """How long the model still waits; 0 where it no longer does, infinite where nothing ends it."""
        return max(0.0, self._deadline - self._clock())

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the result any more: the run was aborted, the connection lost, or time is over.

        May be read in any thread: a function that takes long looks at it now and then.
        """
        return self._cancelled

    def _cancel(self) -> None:
        self._cancelled = True

    def __repr__(self) -> str:
        # Arguments, users and session keys are people's own.
        return f"<ToolCall {self.tool} {one_line(self.call_id)}{' cancelled' if self._cancelled else ''}>"
