"""Spans and metrics of this process's clients for OpenTelemetry (extra `otel`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import context, metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram, MeterProvider, UpDownCounter
from opentelemetry.trace import SpanKind, StatusCode, TracerProvider

from openclaw_client.telemetry import Instrumentation, Span
from openclaw_client.version import __version__

SCOPE = "openclaw_client"
FINE = frozenset({"ok", "final", "aborted", "left", "cancelled"})
"""Outcomes that are no errors: what the caller wanted, or what the caller did."""


class OpenTelemetry(Instrumentation):
    """Give it to `instrument`.

    tracer_provider, meter_provider: by default the global ones. A span for each connect, request and run, children of
    the caller's span; a reconnect has a trace of its own. Attributes are `outcome`, `rpc.method`, `reconnect`, `cause`,
    `kind`, `certain` and `error.type`, and nothing else. A request's span goes to gateways that take a `traceparent`.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._tracer = trace.get_tracer(SCOPE, __version__, tracer_provider)
        meter = metrics.get_meter(SCOPE, __version__, meter_provider)

        def histogram(name: str, what: str) -> Histogram:
            return meter.create_histogram(f"openclaw.client.{name}", unit="s", description=what)

        self._connects = histogram("connect.duration", "Attempts to connect, until hello")
        self._requests = histogram("request.duration", "Requests, until the answer")
        self._runs = histogram("run.duration", "Chat runs, until the whole reply")
        self._first_texts = histogram("run.time_to_first_text", "Chat runs, until the first text")
        self._open = meter.create_up_down_counter(
            "openclaw.client.connections", description="Connections that are open"
        )
        self._ended = meter.create_counter("openclaw.client.connections.ended", description="Connections that ended")
        self._gaps = meter.create_counter("openclaw.client.gaps", description="Gaps in the numbering of events")
        self._slow = meter.create_counter("openclaw.client.slow_consumers", description="What does not keep up")
        self._messages = meter.create_counter(
            "openclaw.client.proactive_messages", description="Messages that no call asked for"
        )

    def connect(self, *, reconnect: bool) -> Span:
        # The task that reconnects has the context of whoever connected first, hours ago.
        parent = Context() if reconnect else None
        labels: dict[str, str | bool] = {"reconnect": reconnect}
        return _Connect(self._span("openclaw connect", labels, parent), self._connects, labels, self._open)

    def request(self, method: str) -> Span:
        labels: dict[str, str | bool] = {"rpc.method": method}
        return _Spanned(self._span(f"openclaw {method}", labels), self._requests, labels)

    def run(self) -> Span:
        return _Run(self._span("openclaw run", {}), self._runs, {}, self._first_texts)

    def connection_ended(self, cause: str) -> None:
        self._open.add(-1)
        self._ended.add(1, {"cause": cause})

    def gap(self, *, certain: bool) -> None:
        self._gaps.add(1, {"certain": certain})

    def slow_consumer(self, kind: str) -> None:
        self._slow.add(1, {"kind": kind})

    def proactive_message(self) -> None:
        self._messages.add(1)

    def _span(self, name: str, labels: dict[str, str | bool], parent: Context | None = None) -> trace.Span:
        return self._tracer.start_span(name, parent, SpanKind.CLIENT, labels)


class _Spanned(Span):
    def __init__(self, span: trace.Span, histogram: Histogram, labels: dict[str, str | bool]) -> None:
        self._span = span
        self._histogram = histogram
        self._labels = labels
        self._context = trace.set_span_in_context(span)
        place = span.get_span_context()
        if place.is_valid:
            self.traceparent = f"00-{place.trace_id:032x}-{place.span_id:016x}-{place.trace_flags:02x}"

    def inside(self) -> AbstractContextManager[object]:
        return _in(self._context)

    def end(self, outcome: str, seconds: float) -> None:
        # In its span's context, so that a measurement can name the trace that it belongs to.
        self._histogram.record(seconds, {**self._labels, "outcome": outcome}, self._context)
        self._span.set_attribute("outcome", outcome)
        if outcome not in FINE:
            self._span.set_attribute("error.type", outcome)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class _Connect(_Spanned):
    def __init__(
        self, span: trace.Span, histogram: Histogram, labels: dict[str, str | bool], opened: UpDownCounter
    ) -> None:
        super().__init__(span, histogram, labels)
        self._opened = opened

    def end(self, outcome: str, seconds: float) -> None:
        super().end(outcome, seconds)
        if outcome == "ok":
            self._opened.add(1)


class _Run(_Spanned):
    def __init__(
        self, span: trace.Span, histogram: Histogram, labels: dict[str, str | bool], first_texts: Histogram
    ) -> None:
        super().__init__(span, histogram, labels)
        self._first_texts = first_texts

    def first_text(self, seconds: float) -> None:
        self._span.add_event("first text")
        self._first_texts.record(seconds, {}, self._context)


@contextmanager
def _in(place: Context) -> Iterator[None]:
    token = context.attach(place)
    try:
        yield
    finally:
        context.detach(token)
