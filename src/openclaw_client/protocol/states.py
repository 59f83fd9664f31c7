"""Every transition of the client core, in this file and nowhere else.

An entry that is missing here is an event that cannot happen in that state, or that is ignored there.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class State(Enum):
    AWAITING_CHALLENGE = "awaiting challenge"
    AWAITING_HELLO = "awaiting hello"
    READY = "ready"
    CLOSING = "closing"
    CLOSED = "closed"


class Trigger(Enum):
    CHALLENGE = "a usable connect.challenge came"
    HELLO = "hello-ok came"
    CLOSE = "this side gives up or is told to close"
    GONE = "the socket is closed"


TRANSITIONS: Final[dict[tuple[State, Trigger], State]] = {
    (State.AWAITING_CHALLENGE, Trigger.CHALLENGE): State.AWAITING_HELLO,
    (State.AWAITING_CHALLENGE, Trigger.CLOSE): State.CLOSING,
    (State.AWAITING_CHALLENGE, Trigger.GONE): State.CLOSED,
    (State.AWAITING_HELLO, Trigger.HELLO): State.READY,
    (State.AWAITING_HELLO, Trigger.CLOSE): State.CLOSING,
    (State.AWAITING_HELLO, Trigger.GONE): State.CLOSED,
    (State.READY, Trigger.CLOSE): State.CLOSING,
    (State.READY, Trigger.GONE): State.CLOSED,
    (State.CLOSING, Trigger.GONE): State.CLOSED,
}
