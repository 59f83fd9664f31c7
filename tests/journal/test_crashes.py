"""A process that dies at any SQLite call, or in the middle of a write: what was durable is there, nothing is torn."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.journal.crashes import STORY

ROOT = Path(__file__).resolve().parents[2]
AT_LEAST = {"before": 100, "again": 100, "byte": 80}
"""Crashes of each kind that the story has room for; fewer would mean that most of it is not met."""


def crashes(folder: Path, how: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.journal.crashes", str(folder), how],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["before", "again", "byte"])
def test_nothing_durable_is_lost_and_nothing_is_torn(tmp_path: Path, how: str) -> None:
    found = crashes(tmp_path, how)
    killed = -signal.SIGXFSZ if how == "byte" else -signal.SIGKILL
    assert [one["ended"] for one in found] == [killed] * (len(found) - 1) + [0]
    assert len(found) > AT_LEAST[how]
    assert {one["sound"] for one in found} == {"ok"}
    for number, one in enumerate(found, start=1):
        between = [length for length in one["steps"] if one["at_least"] <= length <= one["at_most"]]
        assert between, f"crash {number}: {one}"
    assert found[-1]["at_least"] == len(STORY)
