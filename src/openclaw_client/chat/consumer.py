"""Who reads a run: a caller of either face, or nobody any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from openclaw_client.errors import GatewayError
from openclaw_client.runs.events import ChatReply, RunEvent


class RunConsumer(Protocol):
    """Who reads the run. On the loop's thread; must not block and must not raise."""

    def put(self, event: RunEvent) -> None: ...

    def end(self, reply: ChatReply | None, error: GatewayError | None) -> None:
        """The last call; exactly one of the two is set."""


class Unheard:
    """Waits for a run whose events nobody reads: they may be large, and would be kept until its end."""

    def __init__(self, end: Callable[[ChatReply | None, GatewayError | None], None]) -> None:
        self._end = end

    def put(self, event: RunEvent) -> None: ...

    def end(self, reply: ChatReply | None, error: GatewayError | None) -> None:
        self._end(reply, error)


class _NullConsumer:
    """Reads a run that its caller has left."""

    def put(self, event: RunEvent) -> None: ...

    def end(self, reply: ChatReply | None, error: GatewayError | None) -> None: ...


NULL_CONSUMER = _NullConsumer()
