"""A web application with two worker processes: every request gets its own answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.contract.targets import Target
from tests.hosts.conftest import Host
from tests.hosts.two_workers import AT_ONCE, WORKERS, ask_at_once


@pytest.fixture
def server() -> Iterator[str]:
    """The path of a web server's socket; short, as they must be."""
    with TemporaryDirectory() as folder:
        yield f"{folder}/web"


def test_six_requests_of_one_user_at_once(target: Target, session: str, tmp_path: Path, server: str) -> None:
    messages = [f"stub:echo request {number} {session}" for number in range(AT_ONCE)]
    answers, processes = ask_at_once(Host(tmp_path, target), server, session, messages)
    assert answers == [(200, f"echo: request {number} {session}") for number in range(AT_ONCE)]
    assert [target.asked(message) for message in messages] == [1] * AT_ONCE
    assert processes == WORKERS
