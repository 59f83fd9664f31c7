"""A run that `telemetry` is told about; made only where somebody wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openclaw_client import telemetry
from openclaw_client.client.chat import ChatRequest
from openclaw_client.client.driver import RunDriver
from openclaw_client.client.sink import RunSink
from openclaw_client.errors import GatewayError
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.runs.events import ChatReply, RunEvent, TextAppended, TextReplaced

if TYPE_CHECKING:
    from openclaw_client.client.engine import Engine


class WatchedDriver(RunDriver):
    """Times the run from the call that begins it."""

    def __init__(self, engine: Engine, request: ChatRequest, sink: RunSink, timeouts: Timeouts) -> None:
        self._watched = _WatchedSink(sink)
        super().__init__(engine, request, self._watched, timeouts)

    async def begin(self) -> None:
        observers = telemetry.current()
        if observers is None:
            return await super().begin()
        watch = self._watched.watch = observers.run()
        try:
            with watch.inside():
                await super().begin()
        except BaseException as error:
            watch.end(type(error).__name__ if isinstance(error, GatewayError) else "cancelled")
            raise

    def leave(self) -> None:
        super().leave()
        if self._watched.watch is not None:
            self._watched.watch.end("left")


class _WatchedSink:
    def __init__(self, sink: RunSink) -> None:
        self.watch: telemetry.Watch | None = None
        self._sink = sink

    def put(self, event: RunEvent) -> None:
        if self.watch is not None and isinstance(event, TextAppended | TextReplaced):
            self.watch.first_text()
        self._sink.put(event)

    def end(self, reply: ChatReply | None, error: GatewayError | None) -> None:
        if self.watch is not None:
            self.watch.end(reply.state if reply is not None else type(error).__name__)
        self._sink.end(reply, error)
