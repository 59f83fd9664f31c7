"""Trace contexts: sent to the releases that take them, and to no other."""

from __future__ import annotations

from openclaw_client.telemetry import Instrumentation, Span, instrument
from tests.contract.targets import PATIENT, RELEASES, Target, device_store
from tests.faces import Face


class _Traced(Span):
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class _Tracer(Instrumentation):
    def request(self, method: str) -> Span:
        return _Traced()


async def test_a_client_that_traces_is_served_by_every_release(target: Target, session: str) -> None:
    client = Face("async").client(target.url, token=target.token, identity=device_store(), timeouts=PATIENT)
    stop = instrument(_Tracer())
    try:
        async with client:
            # A release that doesn't know the key refuses the whole frame.
            reply = await client.chat_send(session_key=session, message="stub:slow 2")
            assert target.profile.takes_traceparent or not client.hello.takes_traceparent
            assert client.hello.takes_traceparent or target.release != RELEASES[-1]
    finally:
        stop()
    assert reply.text == "piece-1 piece-2"
