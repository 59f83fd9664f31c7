"""A run that `telemetry` is told about; made only where somebody wants to know."""

from __future__ import annotations

from openclaw_client import telemetry
from openclaw_client.chat.address import RunAddress
from openclaw_client.chat.arguments import ChatRequest
from openclaw_client.chat.consumer import RunConsumer
from openclaw_client.chat.context import RunContext
from openclaw_client.chat.driver import RunDriver
from openclaw_client.chat.recorded import RecordedDriver
from openclaw_client.errors import GatewayError
from openclaw_client.policy.timeouts import Timeouts
from openclaw_client.runs.events import ChatReply, RunEvent, TextAppended, TextReplaced


class TracedDriver(RunDriver):
    """Times the run from the call that begins it."""

    def __init__(
        self, context: RunContext, what: ChatRequest | RunAddress, consumer: RunConsumer, limits: Timeouts
    ) -> None:
        self._traced = _TracedConsumer(consumer)
        super().__init__(context, what, self._traced, limits)

    async def begin(self) -> None:
        observers = telemetry.current()
        if observers is None:
            return await super().begin()
        watch = self._traced.watch = observers.run()
        try:
            with watch.inside():
                await super().begin()
        except BaseException as error:
            watch.end(type(error).__name__ if isinstance(error, GatewayError) else "cancelled")
            raise

    def leave(self) -> None:
        super().leave()
        if self._traced.watch is not None:
            self._traced.watch.end("left")


class TracedRecordedDriver(TracedDriver, RecordedDriver):
    """One that is written down, too."""


class _TracedConsumer:
    def __init__(self, consumer: RunConsumer) -> None:
        self.watch: telemetry.Watch | None = None
        self._consumer = consumer

    def put(self, event: RunEvent) -> None:
        if self.watch is not None and isinstance(event, TextAppended | TextReplaced):
            self.watch.first_text()
        self._consumer.put(event)

    def end(self, reply: ChatReply | None, error: GatewayError | None) -> None:
        if self.watch is not None:
            self.watch.end(reply.state if reply is not None else type(error).__name__)
        self._consumer.end(reply, error)
