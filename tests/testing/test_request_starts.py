"""How many requests may wait to be begun."""

from __future__ import annotations

import time

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from openclaw_client.testing.request_starts import MAX_WAITING
from tests.testing.helpers import raw

BURST = 4 * MAX_WAITING


@pytest.mark.parametrize(("release", "bounded"), [("2026.9.6", True), ("2026.8.1", False)])
def test_a_burst_is_refused_in_part_by_the_newest_release(release: str, bounded: bool) -> None:
    with BlockingEmbeddedGateway(release=release) as gateway:
        answers = []
        with raw(gateway, on_frame=lambda way, frame: way == "received" and answers.append(frame)) as client:
            answers.clear()
            gateway.faults.stall()
            for number in range(BURST):
                client.send(
                    {"type": "req", "id": str(number), "method": "sessions.messages.subscribe", "params": {"key": "s"}}
                )
            gateway.faults.unstall()
            # Behind all of them; refused as well, where it comes at once.
            client.send({"type": "req", "id": "last", "method": "no.such.method"})
            while not any(frame.get("id") == "last" for frame in answers):
                client._receive(time.monotonic() + 30)
        refused = [frame["error"] for frame in answers if frame.get("id") != "last" and frame.get("ok") is False]
        assert bool(refused) is bounded
        assert len(refused) <= BURST - MAX_WAITING
        for error in refused:
            assert (error["code"], error["retryable"]) == ("UNAVAILABLE", True)
