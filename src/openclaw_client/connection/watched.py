"""What is told to `telemetry` about connections and requests: nothing where nobody wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from openclaw_client import telemetry
from openclaw_client.protocol.events import Abandoned, Cause, ConnectionEnd, Expired, Responded
from openclaw_client.wire.handshake import Hello

OWN_METHODS = frozenset(
    {
        "agent",
        "agent.wait",
        "chat.abort",
        "chat.history",
        "chat.inject",
        "chat.send",
        "sessions.messages.subscribe",
        "sessions.messages.unsubscribe",
    }
)
"""Methods that are told by name also where the gateway does not advertise them (chat.inject never is)."""


class ConnectAttempt:
    """One attempt to connect."""

    outcome = "cancelled"


@contextmanager
def attempt(*, reconnect: bool) -> Iterator[ConnectAttempt]:
    """Around one attempt, which writes down its outcome."""
    observers, seen = telemetry.current(), ConnectAttempt()
    watch = observers.connect(reconnect=reconnect) if observers is not None else None
    try:
        yield seen
    finally:
        if watch is not None:
            watch.end(seen.outcome)


def watch_end(ended: asyncio.Future[ConnectionEnd]) -> None:
    """Tell when a connection that is ready is over."""
    observers = telemetry.current()
    if observers is not None:

        def over(ended: asyncio.Future[ConnectionEnd]) -> None:
            cause = ended.result().cause.name.lower()
            observers.tell(lambda one: one.connection_ended(cause))

        ended.add_done_callback(over)


class WatchedDone:
    """Who gets the outcome of a request, and before that tells of it."""

    def __init__(self, done: Callable[[Responded | Expired | Abandoned], None], watch: telemetry.Watch) -> None:
        self.watch = watch
        self._done = done

    def __call__(self, outcome: Responded | Expired | Abandoned) -> None:
        self.watch.end(_name(outcome))
        self._done(outcome)


def watch_request(
    observers: telemetry.Observers,
    method: str,
    hello: Hello | None,
    done: Callable[[Responded | Expired | Abandoned], None],
) -> WatchedDone:
    """What takes the place of done where somebody wants to know of the request."""
    # A caller may make a method's name of anything, and labels hold nothing of a user's.
    known = method in OWN_METHODS or (hello is not None and method in hello.features.methods)
    return WatchedDone(done, observers.request(method if known else "other"))


def _name(outcome: Responded | Expired | Abandoned) -> str:
    if isinstance(outcome, Responded):
        return "ok" if outcome.error is None else "RequestFailed"
    if isinstance(outcome, Expired):
        return "RequestTimeout"
    return "ClientClosed" if outcome.end.cause is Cause.ASKED else "OutcomeUnknown"
