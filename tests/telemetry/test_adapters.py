"""The ready adapters, with the real prometheus-client and OpenTelemetry."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest

from openclaw_client.errors import RequestFailed, RunFailed
from openclaw_client.telemetry import Instrumentation
from openclaw_client.telemetry.otel import OpenTelemetry
from openclaw_client.telemetry.prometheus import PrometheusMetrics
from openclaw_client.testing import EmbeddedGateway
from tests.faces import Face
from tests.telemetry.conftest import QUICK, SECRET
from tests.waiting import until

Instrumented = Callable[[Instrumentation], None]

PRIVATE = (SECRET, "users-own-session", "a word in confidence", "127.0.0.1")


async def a_day(face: Face, gateway: EmbeddedGateway, returned: Callable[[], object]) -> None:
    """A run that ends, one that fails, a refused request, a message, a restart."""
    async with face.client(gateway.url, token=SECRET, reconnect=QUICK) as client:
        await client.chat_send(session_key="users-own-session", message="a word in confidence")
        with pytest.raises(RunFailed):
            await client.chat_send(session_key="users-own-session", message="fail")
        with pytest.raises(RequestFailed):
            await client.request("a word in confidence")
        gateway.say("main", "by the way")
        gateway.faults.drop("tick")
        gateway.tick()
        gateway.tick()
        await gateway.restart()
        await until(returned)


async def test_prometheus(face: Face, gateway: EmbeddedGateway, instrumented: Instrumented) -> None:
    registry = CollectorRegistry()
    instrumented(PrometheusMetrics(registry))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"openclaw_client_{name}", labels)

    await a_day(face, gateway, lambda: value("connect_seconds_count", outcome="ok", reconnect="true"))
    await until(lambda: value("connections") == 0)
    assert value("connect_seconds_count", outcome="ok", reconnect="false") == 1
    assert value("connections_ended_total", cause="peer_closed") == 1
    assert value("connections_ended_total", cause="asked") == 1
    assert value("request_seconds_count", method="chat.send", outcome="ok") == 2
    assert value("request_seconds_count", method="other", outcome="RequestFailed") == 1
    assert value("run_seconds_count", outcome="final") == 1
    assert value("run_seconds_count", outcome="RunFailed") == 1
    assert value("run_first_text_seconds_count") == 1
    assert value("run_first_text_seconds_sum") <= value("run_seconds_sum", outcome="final")  # type: ignore[operator]
    assert value("proactive_messages_total") == 1
    assert value("gaps_total", certain="true") == 1
    text = generate_latest(registry).decode()
    assert not [word for word in PRIVATE if word in text]


def points(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    data = reader.get_metrics_data()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics if data is not None else ()
    return {
        metric.name.removeprefix("openclaw.client."): [
            (dict(point.attributes or {}), getattr(point, "count", None) or getattr(point, "value", None))
            for point in metric.data.data_points
        ]
        for metric in metrics
    }


async def test_opentelemetry(face: Face, gateway: EmbeddedGateway, instrumented: Instrumented) -> None:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    instrumented(OpenTelemetry(tracers, meters))

    def spans(name: str) -> list[Any]:
        return [span for span in exporter.get_finished_spans() if span.name == f"openclaw {name}"]

    await a_day(face, gateway, lambda: len(spans("connect")) == 2)
    final, failed = spans("run")
    sent, sent_too = spans("chat.send")
    assert final.attributes == {"outcome": "final"}
    assert [event.name for event in final.events] == ["first text"]
    assert failed.attributes == {"outcome": "RunFailed", "error.type": "RunFailed"}
    assert not failed.status.is_ok
    assert failed.status.description is None
    # A request is part of its run, and the gateway is told so. The first run asks whether its session is busy.
    [asked] = spans("chat.history")
    of_runs = [span.parent.span_id for span in (asked, sent, sent_too)]
    assert of_runs == [final.context.span_id, final.context.span_id, failed.context.span_id]
    assert gateway.seen.traceparents[1] == (
        "chat.send",
        f"00-{sent.context.trace_id:032x}-{sent.context.span_id:016x}-{sent.context.trace_flags:02x}",
    )
    found = points(reader)
    assert found["request.duration"] == [
        ({"rpc.method": "chat.history", "outcome": "ok"}, 1),
        ({"rpc.method": "chat.send", "outcome": "ok"}, 2),
        ({"rpc.method": "other", "outcome": "RequestFailed"}, 1),
    ]
    assert found["run.duration"] == [({"outcome": "final"}, 1), ({"outcome": "RunFailed"}, 1)]
    assert found["run.time_to_first_text"] == [({}, 1)]
    assert found["proactive_messages"] == [({}, 1)]
    assert found["gaps"] == [({"certain": True}, 1)]
    everything = "".join(span.to_json() for span in exporter.get_finished_spans()) + repr(found)
    assert not [word for word in PRIVATE if word in everything]
    assert re.search(r'"outcome": "ok"', everything)
    tracers.shutdown()
    meters.shutdown()


async def test_the_caller_s_span_is_the_parent_and_a_reconnect_has_none(
    face: Face, gateway: EmbeddedGateway, instrumented: Instrumented
) -> None:
    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    instrumented(OpenTelemetry(tracers, MeterProvider()))

    def spans(name: str) -> list[Any]:
        return [span for span in exporter.get_finished_spans() if span.name == f"openclaw {name}"]

    client = face.client(gateway.url, token=SECRET, reconnect=QUICK)
    with trace.get_tracer("tests", tracer_provider=tracers).start_as_current_span("view") as view:
        await client.connect()
        await client.request("health")
        await client.chat_send(session_key="main", message="hello")
    await gateway.restart()
    await until(lambda: len(spans("connect")) == 2)
    await client.disconnect()
    first, again = spans("connect")
    caller = view.get_span_context().span_id
    assert [span.parent.span_id for span in (first, *spans("health"), *spans("run"))] == [caller] * 3
    assert again.parent is None
    tracers.shutdown()
