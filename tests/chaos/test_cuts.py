"""A run of 60 deltas with a tool, cut at every place where a frame begins, ends or is under way."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict

import pytest

from openclaw_client import Timeouts
from tests.chaos import report
from tests.chaos.cuts import Figures, Job, Laboratory, every_boundary, every_return, work_off
from tests.chaos.real import RealStage
from tests.contract.targets import PATIENT, device_store, embedded_target

PIECES = 60
EMBEDDED = Job(f"stub:work {PIECES} 6", patience=100.0, timeouts=Timeouts(connect=20, request=60))
"""One piece each 6 ms, behind a throttle of 10 ms that is switched off: 60 deltas in half a second."""
REAL = {
    # The releases show a delta each 75 or 150 ms at most; the rest is for the time that they need under load.
    "2026.9.6": Job(f"stub:work {PIECES} 110", patience=200.0, timeouts=PATIENT),
    "2026.6.1": Job(f"stub:work {PIECES} 160", patience=200.0, timeouts=PATIENT),
    "2026.4.15": Job(f"stub:work {PIECES} 160", patience=200.0, timeouts=PATIENT),
}
EMBEDDED_AT_ONCE = 8
REAL_AT_ONCE = {"2026.9.6": 12, "2026.6.1": 6, "2026.4.15": 6}
"""Runs at the same time: what keeps two cores busy without making the gateway too slow for handshakes."""
SPREAD = 24
"""Cuts per release where not everything is tried."""


def verdict(name: str, figures: Figures) -> None:
    """Count what came out, and fail with every fault by its name."""
    counted = asdict(figures)
    faults = counted.pop("faults")
    report.add(name, counted)
    assert not faults, f"{len(faults)} of {figures.tried}:\n" + "\n".join(faults)
    assert figures.hung == figures.lost == figures.doubled == figures.wrong == figures.unknown == 0


@pytest.mark.timeout(900)
@pytest.mark.only(gateways="embedded")
@pytest.mark.parametrize("release", ["2026.4.15", "2026.6.1", "2026.9.6"])
async def test_embedded(release: str) -> None:
    with ExitStack() as stack:
        # One gateway per worker: every gateway tells every client of every run.
        targets = [stack.enter_context(embedded_target(release, throttle=0.0)) for _ in range(EMBEDDED_AT_ONCE)]
        laboratories = [Laboratory(target, EMBEDDED, device_store()) for target in targets]
        recording = await laboratories[0].record()
        assert recording.frames["down"] > PIECES
        figures = await work_off(laboratories, [*every_boundary(recording), *every_return()], recording)
    verdict(f"cuts, embedded {release}", figures)
    assert figures.resumed > 0
    assert figures.from_history > 0


@pytest.mark.timeout(3600)
@pytest.mark.only(gateways="real")
async def test_real(real: RealStage, full: bool) -> None:
    release = real.release
    laboratories = [Laboratory(real, REAL[release], device_store()) for _ in range(REAL_AT_ONCE[release])]
    recording = await laboratories[0].record()
    assert recording.frames["down"] > PIECES
    cases = [*every_boundary(recording, None if full else SPREAD), *every_return()[:: 1 if full else 6]]
    figures = await work_off(laboratories, cases, recording)
    verdict(f"cuts, {release}", figures)
    assert figures.resumed > 0
    assert figures.from_history > 0 or not full
