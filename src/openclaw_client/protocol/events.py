"""What the client core tells its owner, and what it asks it to write."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, final

import msgspec

from openclaw_client.wire.frames import ChatFrame, ErrorShape, Event
from openclaw_client.wire.handshake import Challenge, Hello


class Cause(Enum):
    """Why a connection ended. The first cause wins; what follows from it is not a cause."""

    PEER_CLOSED = "the gateway closed the connection"
    UNREADABLE = "the gateway sent what no WebSocket client may take"
    LOST = "the socket ended without a close frame"
    ASKED = "this side was told to close"
    REFUSED = "the gateway refused the connect request"
    CHALLENGE_TIMEOUT = "the gateway sent no challenge in time"
    HELLO_TIMEOUT = "the gateway did not answer the connect request in time"
    BAD_CHALLENGE = "the gateway's challenge cannot be used"
    BAD_HELLO = "the gateway's hello cannot be understood"
    DEAF = "the gateway does not read what is sent to it"
    SILENT = "nothing came from the gateway for two tick intervals"


@dataclass(frozen=True, slots=True)
class ConnectionEnd:
    """Why a connection ended. code and reason are those of the WebSocket close, error that of a refused connect."""

    cause: Cause
    code: int | None = None
    reason: str = ""
    error: ErrorShape | None = None


class Challenged(msgspec.Struct, frozen=True):
    """The owner signs and calls `send_connect`."""

    challenge: Challenge


class Welcomed(msgspec.Struct, frozen=True):
    hello: Hello


class Responded(msgspec.Struct, frozen=True):
    """A response to a request. tag is what the owner gave to `request`: that may well hold this response in the end."""

    tag: Any
    method: str
    payload: msgspec.Raw
    error: ErrorShape | None


class Expired(msgspec.Struct, frozen=True):
    """A request had no answer in time; a late one will be dropped. timeout is in seconds."""

    tag: Any
    method: str
    timeout: float


class Abandoned(msgspec.Struct, frozen=True):
    """The connection ended with this request unanswered."""

    tag: Any
    method: str
    end: ConnectionEnd


class Gap(msgspec.Struct, frozen=True):
    """Event frames are missing. certain is False on v3, whose counter also counts frames for others."""

    expected: int
    received: int
    certain: bool


class Ended(msgspec.Struct, frozen=True):
    """The connection is over; nothing follows."""

    end: ConnectionEnd


@final
class Close(msgspec.Struct, frozen=True):
    """In the outbox: close the socket with this code and reason after what stands before."""

    code: int
    reason: str


CoreEvent = Challenged | Welcomed | Responded | Expired | Abandoned | Gap | Ended | ChatFrame | Event
