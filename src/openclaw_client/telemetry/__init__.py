"""Metrics and traces: what the clients of this process do, told to whoever wants to count it.

Knows when something begins and how it ended; refuses to know users, sessions, URLs, texts and secrets, so that no label
can hold them. `telemetry.prometheus` and `telemetry.otel` are ready adapters. Unused it costs one look per connect,
request and run, and nothing per frame.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import monotonic
from typing import TypeVar

from openclaw_client.logs import GuardedLogger, ends_more_than_a_callback

__all__ = ["Activity", "Instrumentation", "Span", "instrument"]

MAX_TRACEPARENT = 128
"""Characters; a gateway refuses a frame with more."""

logger = GuardedLogger("openclaw_client.telemetry")

_T = TypeVar("_T")


class Span:
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


Activity = Span
"""The other name of `Span`, for those who import it."""


class Instrumentation:
    """What is told. Override what you want; the base does nothing.

    Called on the client's event loop, `slow_consumer` on any thread: must not block. What it raises is logged. The
    context variables are the caller's, except in a reconnect.
    """

    def connect(self, *, reconnect: bool) -> Span:
        """One attempt to connect begins."""
        return Span()

    def request(self, method: str) -> Span:
        """A request is sent. method: "other" for one that neither the gateway nor this package names."""
        return Span()

    def run(self) -> Span:
        """A chat run begins, perhaps with a wait for its turn."""
        return Span()

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
    """Sends one span to all instrumentations, ends it once, and logs what they raise."""

    def __init__(self, spans: list[Span]) -> None:
        self._spans = spans
        self._began = monotonic()
        self._texted = self._ended = False

    @property
    def traceparent(self) -> str | None:
        told = (_guarded(lambda one=span: one.traceparent) for span in self._spans)  # type: ignore[misc]
        found = next((one for one in told if one), None)
        return found if isinstance(found, str) and len(found) <= MAX_TRACEPARENT else None

    @contextmanager
    def inside(self) -> Iterator[None]:
        begun = (_guarded(lambda one=span: _entered(one.inside())) for span in self._spans)  # type: ignore[misc]
        entered = [one for one in begun if one is not None]
        try:
            yield
        finally:
            why = sys.exc_info()
            for inside in reversed(entered):
                # What it returns could take an error of the work away.
                _guarded(lambda one=inside: one.__exit__(*why))  # type: ignore[misc]

    def first_text(self) -> None:
        if not self._texted:
            self._texted = True
            seconds = monotonic() - self._began
            for span in self._spans:
                _guarded(lambda one=span: one.first_text(seconds))  # type: ignore[misc]

    def end(self, outcome: str) -> None:
        if not self._ended:
            self._ended = True
            seconds = monotonic() - self._began
            for span in self._spans:
                _guarded(lambda one=span: one.end(outcome, seconds))  # type: ignore[misc]


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

    def _begin(self, begin: Callable[[Instrumentation], Span]) -> Watch:
        begun = (_guarded(lambda one=one: begin(one)) for one in self.observers)  # type: ignore[misc]
        return Watch([span for span in begun if span is not None])


def _entered(inside: AbstractContextManager[object]) -> AbstractContextManager[object]:
    inside.__enter__()
    return inside


def _guarded(call: Callable[[], _T]) -> _T | None:
    try:
        return call()
    except BaseException as error:
        if ends_more_than_a_callback(error):
            raise
        logger.exception("an instrumentation raised")
        return None


_current: Observers | None = None
_lock = threading.Lock()
"""For changes of `_current` only: whoever tells looks at it once."""
