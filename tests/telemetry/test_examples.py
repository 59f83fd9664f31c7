"""The code blocks of docs/observability.md do what they show."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, generate_latest

from openclaw_client import GatewayClient, telemetry
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.test_docs import ROOT, blocks, run

PAGE = "docs/observability.md"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[GatewayClient]:
    """A client whose examples tell nobody of the tests that follow."""
    monkeypatch.setattr(telemetry, "_current", None)
    with (
        BlockingEmbeddedGateway() as gateway,
        GatewayClient(gateway.url, token=gateway.token, identity=False) as client,
    ):
        yield client


def test_prometheus_is_told(client: GatewayClient) -> None:
    run(blocks(PAGE)[0], {})
    client.chat_send(session_key="main", message="Hello")
    text = generate_latest(REGISTRY).decode()
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / PAGE).read_text(), re.MULTILINE)
    assert len(table) == 9
    assert [name for name in table if f"openclaw_client_{name.removesuffix('_total')}" not in text] == []
    assert 'openclaw_client_run_seconds_count{outcome="final"} 1.0' in text


def test_opentelemetry_is_told(client: GatewayClient) -> None:
    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(tracers)
    run(blocks(PAGE)[1], {})
    client.chat_send(session_key="main", message="Hello")
    # The session was asked whether it is busy, before the message went out.
    names = {span.name for span in exporter.get_finished_spans()}
    assert names == {"openclaw run", "openclaw chat.history", "openclaw chat.send"}


def test_a_class_of_ones_own_is_told(client: GatewayClient, capsys: pytest.CaptureFixture[str]) -> None:
    run(blocks(PAGE)[2], {"client": client})
    assert capsys.readouterr().out == "a run ended as final\n"
