"""Some kills on each release; `make chaos-crash` has a hundred, and real gateways."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.crash.__main__ import RELEASES, one_release
from tests.crash.controller import AIMS

KILLS = 4

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.only(gateways="embedded"),
    pytest.mark.skipif(sys.platform == "win32", reason="a journal needs flock()"),
]


@pytest.mark.parametrize("number", range(len(RELEASES)), ids=RELEASES)
async def test_nothing_is_lost_or_doubled(number: int, chaos_seed: int, tmp_path: Path) -> None:
    # Together the releases meet every aim twice.
    first = number * KILLS % len(AIMS)
    verdict = await one_release(RELEASES[number], KILLS, str(chaos_seed), tmp_path, is_real=False, first=first)
    assert not verdict.faults, f"--chaos-seed={chaos_seed}, {len(verdict.faults)}:\n" + "\n".join(verdict.faults)
    assert verdict.counts["whole"] > 0
    assert verdict.counts["said"] > 0


async def test_without_a_journal_it_is_seen(chaos_seed: int, tmp_path: Path) -> None:
    options = {"journal": False, "first": 3, "heard": 1.0}
    verdict = await one_release("2026.9.6", KILLS, str(chaos_seed), tmp_path, is_real=False, **options)
    assert verdict.counts["messages_lost"] > 0
