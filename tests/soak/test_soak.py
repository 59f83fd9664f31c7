"""The soak itself: what it calls flat, what it finds left behind, and some seconds of it."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from openclaw_client import AsyncGatewayClient
from tests.soak import run
from tests.soak.figures import COLUMNS, PARTS, Samples, grown
from tests.soak.gateways import WatchedStage
from tests.soak.tables import SMALL
from tests.test_limits import told

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 1800.0

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")


def samples(*, last: dict[str, float] | None = None, first: dict[str, float] | None = None) -> Samples:
    """Half an hour of a process that is busy, and in the first and the last sixth of it has so many times as much."""
    rng, made = random.Random(1), Samples(SECONDS)
    steady = {"at": 0.0, "rss": 70.0, "blocks": 280_000.0, "tasks": 64.0, "threads": 27.0, "fds": 47.0}
    count = made.each * PARTS
    for number in range(count):
        part = number * 6 // count
        times = (last or {}) if part == 5 else (first or {}) if part == 0 else {}
        made.put({name: steady[name] * rng.uniform(0.99, 1.01) * times.get(name, 1.0) for name in COLUMNS})
    return made


def test_what_stays_is_flat() -> None:
    assert grown(samples()) == []
    assert grown(samples(first={"rss": 0.5, "blocks": 0.5})) == []
    assert grown(samples(last={"rss": 0.5, "blocks": 0.5, "threads": 0.5})) == []


@pytest.mark.parametrize(
    ("name", "times"), [("rss", 1.03), ("blocks", 1.015), ("tasks", 1.1), ("threads", 1.25), ("fds", 1.15)]
)
def test_what_grows_is_not(name: str, times: float) -> None:
    [found] = grown(samples(last={name: times}))
    assert found.startswith(f"{name}: ")


def test_the_tables_are_those_of_the_page_and_smaller() -> None:
    bounds = {name.replace("/", "."): number for name, number in told().items()}
    assert SMALL.keys() <= bounds.keys()
    assert [name for name, number in SMALL.items() if number >= bounds[name]] == []


async def test_a_client_that_is_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SETTLED", 0.2)
    kept = AsyncGatewayClient("ws://127.0.0.1:1", token="sesame", identity=False)
    [left] = await run.left_behind()
    assert "Engine" in left
    assert "Supervisor" in left
    del kept
    monkeypatch.setattr(run, "SETTLED", 20)
    assert await run.left_behind() == []


def test_what_a_gateway_was_through_is_known_by_the_time() -> None:
    stage = WatchedStage("2026.9.6")
    stage._count_life(False)
    between = time.monotonic()
    stage._count_life(True)
    after = time.monotonic()
    seen = [stage.account("key", *when) for when in ((0, between, between), (0, between, after), (after, after, after))]
    assert [(one["restarted"], one["forgot"]) for one in seen] == [(True, False), (True, True), (False, False)]
    assert {(one["begun"], one["ended"]) for one in seen} == {(0, False)}


@pytest.mark.timeout(200)
def test_some_seconds() -> None:
    """As `make soak` runs it: in a process of its own, whose tables stay small. A message may have to wait for the
    silence after which its run is asked about."""
    command = [sys.executable, "-m", "tests.soak", "--minutes", "0.15"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=190)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert len(re.findall(r"^ *\d+\.\d to \d+\.\d ", done.stdout, re.MULTILINE)) == PARTS
    assert "memory is not judged" in done.stdout
