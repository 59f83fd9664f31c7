"""Metrics and traces: what the clients of this process do, told to whoever wants to count it.

Knows when something begins and how it ended; refuses to know users, sessions, URLs, texts and secrets, so that no label
can hold them. `telemetry.prometheus` and `telemetry.otel` are ready adapters. Unused it costs one look per connect,
request and run, and nothing per frame.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from time import monotonic
from typing import TypeVar

__all__ = ["Activity", "Instrumentation", "instrument"]

MAX_TRACEPARENT = 128
"""Characters; a gateway refuses a frame with more."""

logger = logging.getLogger("openclaw_client.telemetry")

_T = TypeVar("_T")


class Activity:
    """A connect, a request or a run under way. Override what you want; the base does nothing.

    traceparent: a W3C trace context for this request, sent to gateways that take one.
    """

    traceparent: str | None = None

    def inside(self) -> AbstractContextManager[object]:
        """Entered in the task that does the work: what begins in there is part of this."""
        return nullcontext()

    def first_text(self, seconds: float) -> None:
        """The first text of a run came, so many seconds after it began."""

    def end(self, outcome: str, seconds: float) -> None:
        """It is over; called once.

        outcome: "ok" (connect, request), "final", "aborted" or "left" (run: the reader went away), "cancelled", or the
        name of the error class that the caller gets.
        """


class Instrumentation:
    """What is told. Override what you want; the base does nothing.

    Called on the client's event loop, `slow_consumer` on any thread: must not block. What it raises is logged. The
    context variables are the caller's, except in a reconnect.
    """

    def connect(self, *, reconnect: bool) -> Activity:
        """One attempt to connect begins."""
        return Activity()

    def request(self, method: str) -> Activity:
        """A request is sent. method: "other" for one that neither the gateway nor this package names."""
        return Activity()

    def run(self) -> Activity:
        """A chat run begins, perhaps with a wait for its turn."""
        return Activity()

    def connection_ended(self, cause: str) -> None:
        """A connection that was ready is over: "asked", "peer_closed", "lost" or "silent"."""

    def gap(self, *, certain: bool) -> None:
        """Events were lost. certain: False on wire v3, whose counter also counts events for others."""

    def slow_consumer(self, kind: str) -> None:
        """Something of the caller's does not keep up: "handler", "loop", "events" or "run"."""

    def proactive_message(self) -> None:
        """A message came that no call asked for."""


def instrument(instrumentation: Instrumentation) -> Callable[[], None]:
    """Tell it about all clients of this process, from now on; returns a function that ends that. For any thread."""
    global _current
    with _lock:
        _current = Observers((*(_current.observers if _current is not None else ()), instrumentation))

    def remove() -> None:
        global _current
        with _lock:
            left = [one for one in (_current.observers if _current is not None else ()) if one is not instrumentation]
            _current = Observers(tuple(left)) if left else None

    return remove


def current() -> Observers | None:
    """Whom to tell; None where nobody wants to know. Not for users."""
    return _current


class Watch:
    """One activity for all who are told: times it, ends it once, and lets nobody's error out."""

    def __init__(self, activities: list[Activity]) -> None:
        self._activities = activities
        self._began = monotonic()
        self._texted = self._ended = False

    @property
    def traceparent(self) -> str | None:
        found = next((one.traceparent for one in self._activities if one.traceparent), None)
        return found if found is not None and len(found) <= MAX_TRACEPARENT else None

    @contextmanager
    def inside(self) -> Iterator[None]:
        with ExitStack() as stack:
            for activity in self._activities:
                _guarded(lambda one=activity: stack.enter_context(one.inside()))  # type: ignore[misc]
            yield

    def first_text(self) -> None:
        if not self._texted:
            self._texted = True
            seconds = monotonic() - self._began
            for activity in self._activities:
                _guarded(lambda one=activity: one.first_text(seconds))  # type: ignore[misc]

    def end(self, outcome: str) -> None:
        if not self._ended:
            self._ended = True
            seconds = monotonic() - self._began
            for activity in self._activities:
                _guarded(lambda one=activity: one.end(outcome, seconds))  # type: ignore[misc]


class Observers:
    """Everybody who is told. Not for users."""

    def __init__(self, observers: tuple[Instrumentation, ...]) -> None:
        self.observers = observers

    def connect(self, *, reconnect: bool) -> Watch:
        return self._begin(lambda one: one.connect(reconnect=reconnect))

    def request(self, method: str) -> Watch:
        return self._begin(lambda one: one.request(method))

    def run(self) -> Watch:
        return self._begin(lambda one: one.run())

    def tell(self, what: Callable[[Instrumentation], None]) -> None:
        for one in self.observers:
            _guarded(lambda one=one: what(one))  # type: ignore[misc]

    def _begin(self, begin: Callable[[Instrumentation], Activity]) -> Watch:
        begun = (_guarded(lambda one=one: begin(one)) for one in self.observers)  # type: ignore[misc]
        return Watch([activity for activity in begun if activity is not None])


def _guarded(call: Callable[[], _T]) -> _T | None:
    try:
        return call()
    except Exception:
        logger.exception("an instrumentation raised")
        return None


_current: Observers | None = None
_lock = threading.Lock()
"""For changes of `_current` only: whoever tells looks at it once."""
