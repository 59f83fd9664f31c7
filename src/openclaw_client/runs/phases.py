"""The life of a run as one table: its phases, what moves it from one to the next, what it asks for and how it ends.

Knows names and the table. Refuses to know what an event looks like, or when anything happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from openclaw_client.errors import GatewayError
from openclaw_client.runs.events import ChatReply, RunErrored


class Phase(Enum):
    """How far a run is."""

    UNSENT = "unsent"
    SENT = "sent"
    """The message is on its way; nothing shows yet that the gateway took it."""
    TAKEN = "taken"
    OVER = "over"
    """The gateway said that the run of this key is over; its answer is looked for."""
    DEFERRED = "deferred"
    """The run ended without words; the message is answered elsewhere, or had no answer."""
    ENDED = "ended"


class Step(Enum):
    """What moves a run from phase to phase."""

    WRITTEN = "written"
    SHOWN = "shown"
    """An event, the response or the history shows that the gateway took the message."""
    ENDED_BEFORE = "ended before"
    NO_WORDS = "no words"
    FOUND = "found"
    """The run that answers is known and goes on, or the run itself speaks again."""
    OUTCOME = "outcome"


_S, _P = Step, Phase
TRANSITIONS: Final[dict[tuple[Phase, Step], Phase]] = {
    (_P.UNSENT, _S.WRITTEN): _P.SENT,
    (_P.UNSENT, _S.OUTCOME): _P.ENDED,
    (_P.SENT, _S.WRITTEN): _P.SENT,
    (_P.SENT, _S.SHOWN): _P.TAKEN,
    (_P.SENT, _S.ENDED_BEFORE): _P.OVER,
    (_P.SENT, _S.OUTCOME): _P.ENDED,
    (_P.TAKEN, _S.WRITTEN): _P.TAKEN,
    (_P.TAKEN, _S.SHOWN): _P.TAKEN,
    (_P.TAKEN, _S.ENDED_BEFORE): _P.OVER,
    (_P.TAKEN, _S.NO_WORDS): _P.DEFERRED,
    (_P.TAKEN, _S.FOUND): _P.TAKEN,
    (_P.TAKEN, _S.OUTCOME): _P.ENDED,
    (_P.OVER, _S.WRITTEN): _P.OVER,
    (_P.OVER, _S.SHOWN): _P.OVER,
    (_P.OVER, _S.ENDED_BEFORE): _P.OVER,
    (_P.OVER, _S.NO_WORDS): _P.DEFERRED,
    (_P.OVER, _S.OUTCOME): _P.ENDED,
    (_P.DEFERRED, _S.SHOWN): _P.DEFERRED,
    (_P.DEFERRED, _S.ENDED_BEFORE): _P.DEFERRED,
    (_P.DEFERRED, _S.NO_WORDS): _P.DEFERRED,
    (_P.DEFERRED, _S.FOUND): _P.TAKEN,
    (_P.DEFERRED, _S.OUTCOME): _P.ENDED,
}
"""What is not here is a fault of this package, and a KeyError."""


class Contact(Enum):
    """How the run is heard of."""

    HEARD = "heard"
    """Its events come over this connection."""
    TOLD = "told"
    """No event of it has come over this connection: its end may have been missed."""
    AWAY = "away"


class Inquiry(Enum):
    """The question about a run; one at a time."""

    NONE = "none"
    READING = "reading"
    PAUSING = "pausing"
    """The page did not tell; the next one is asked for in a moment."""
    RESTING = "resting"
    """The page told. A gateway that loses events loses many: one question for all of them."""


# What a run asks of whoever drives it.


@dataclass(frozen=True, slots=True)
class Send:
    """Send the message once more, with the same key."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Read the history; the answer carries this number."""

    number: int


@dataclass(frozen=True, slots=True)
class Follow:
    """The events of this run belong to the message, too."""

    run_id: str


@dataclass(frozen=True, slots=True)
class Tell:
    """A time limit of the caller passed: tell, and go on unheard."""

    limit: str
    seconds: float


# How a run ends.


@dataclass(frozen=True, slots=True)
class Refused:
    """The gateway did not take the message, or nothing was sent; the error says which."""

    error: GatewayError


@dataclass(frozen=True, slots=True)
class OutOfReach:
    """How the run ended cannot be found out. forgotten: its gateway process is gone, and the key with it."""

    what: str
    cause: GatewayError | None = None
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Whether the message ran cannot be found out."""

    cause: GatewayError | None = None


@dataclass(frozen=True, slots=True)
class NotFound:
    """No gateway in reach knows a run of this id."""


Outcome: TypeAlias = ChatReply | RunErrored | Refused | OutOfReach | Unknown | NotFound


@dataclass(frozen=True, slots=True)
class End:
    """The one outcome; nothing comes after it."""

    outcome: Outcome


Action: TypeAlias = Send | Ask | Follow | Tell | End
