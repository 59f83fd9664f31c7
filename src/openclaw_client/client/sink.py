"""Who reads a run: a caller of either face, or nobody any more."""

from __future__ import annotations

from typing import Protocol

from openclaw_client.errors import GatewayError
from openclaw_client.runs.events import ChatReply, RunEvent


class RunSink(Protocol):
    """Who reads the run. On the loop's thread; must not block and must not raise."""

    def put(self, event: RunEvent) -> None: ...

    def end(self, reply: ChatReply | None, error: GatewayError | None) -> None:
        """The last call; exactly one of the two is set."""


class _Nobody:
    """Reads a run that its caller has left."""

    def put(self, event: RunEvent) -> None: ...

    def end(self, reply: ChatReply | None, error: GatewayError | None) -> None: ...


NOBODY = _Nobody()
