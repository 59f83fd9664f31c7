"""What a connection hands out: frames to a sink, the outcomes of requests, and how it ended before it began."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypedDict

from openclaw_client.connection.fast_path import FastPath
from openclaw_client.protocol.events import Abandoned, ConnectionEnd, Expired, Gap, Responded
from openclaw_client.wire.frames import ChatFrame, Event

Outcome = Responded | Expired | Abandoned
Done = Callable[[Outcome], None]


class FrameSink(Protocol):
    """Who gets what a ready connection receives. On the loop's thread; must not block and must not raise.

    now: when the frame was received, by the loop's clock. Reading a clock costs as much as two calls; one will do.
    """

    fast_path: FastPath

    def on_frame(self, frame: ChatFrame | Event, now: float, /) -> None: ...

    def on_gap(self, gap: Gap) -> None: ...


class ErrorContext(TypedDict):
    """What a connection adds to an error: fields of `GatewayError`."""

    connection_id: str | None
    gateway_version: str | None
    last_frame_age: float | None


class HandshakeRefused(Exception):
    """The handshake ended without hello."""

    def __init__(self, end: ConnectionEnd, *, answered: bool) -> None:
        super().__init__(end.cause.value)
        self.end = end
        self.answered = answered
