"""The metrics of this process's clients for prometheus-client (extra `prometheus`)."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from openclaw_client.telemetry import Instrumentation, Span

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds: a local gateway answers within milliseconds, and both time limits are 30 s or less by default."""
LONG = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Seconds: runs take as long as models and their tools do."""


class PrometheusMetrics(Instrumentation):
    """Give it to `instrument`, once per registry.

    registry: the collectors' registry, by default prometheus-client's own. prefix: the beginning of all names. Raises
    ValueError where the registry has such names already.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, prefix: str = "openclaw_client") -> None:
        def histogram(name: str, what: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"{prefix}_{name}", what, labels, registry=registry, buckets=buckets)

        def counter(name: str, what: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(f"{prefix}_{name}", what, labels, registry=registry)

        self._connects = histogram(
            "connect_seconds", "Attempts to connect, until hello", ("outcome", "reconnect"), QUICK
        )
        self._requests = histogram("request_seconds", "Requests, until the answer", ("method", "outcome"), QUICK)
        self._runs = histogram("run_seconds", "Chat runs, until the whole reply", ("outcome",), LONG)
        self._first_texts = histogram("run_first_text_seconds", "Chat runs, until the first text", (), LONG)
        self._open = Gauge(
            f"{prefix}_connections", "Connections that are open", registry=registry, multiprocess_mode="livesum"
        )
        self._ended = counter("connections_ended", "Connections that ended", ("cause",))
        self._gaps = counter("gaps", "Gaps in the numbering of events", ("certain",))
        self._slow = counter("slow_consumers", "Reports of what does not keep up", ("kind",))
        self._messages = counter("proactive_messages", "Messages that no call asked for")

    def connect(self, *, reconnect: bool) -> Span:
        return _Connect(self._connects, self._open, "true" if reconnect else "false")

    def request(self, method: str) -> Span:
        return _Timed(self._requests, method)

    def run(self) -> Span:
        return _Run(self._runs, self._first_texts)

    def connection_ended(self, cause: str) -> None:
        self._open.dec()
        self._ended.labels(cause).inc()

    def gap(self, *, certain: bool) -> None:
        self._gaps.labels("true" if certain else "false").inc()

    def slow_consumer(self, kind: str) -> None:
        self._slow.labels(kind).inc()

    def proactive_message(self) -> None:
        self._messages.inc()


class _Timed(Span):
    def __init__(self, histogram: Histogram, *labels: str) -> None:
        self._histogram = histogram
        self._labels = labels

    def end(self, outcome: str, seconds: float) -> None:
        self._histogram.labels(*self._labels, outcome).observe(seconds)


class _Connect(Span):
    def __init__(self, histogram: Histogram, connections: Gauge, reconnect: str) -> None:
        self._histogram = histogram
        self._open = connections
        self._reconnect = reconnect

    def end(self, outcome: str, seconds: float) -> None:
        self._histogram.labels(outcome, self._reconnect).observe(seconds)
        if outcome == "ok":
            self._open.inc()


class _Run(_Timed):
    def __init__(self, histogram: Histogram, first_texts: Histogram) -> None:
        super().__init__(histogram)
        self._first_texts = first_texts

    def first_text(self, seconds: float) -> None:
        self._first_texts.observe(seconds)
