"""gunicorn with two workers, and the embedded gateway as every release: six messages of one user at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from openclaw_client.testing.profiles import PROFILES
from tests.hosts.conftest import Host, agent
from tests.hosts.two_workers import AT_ONCE, WORKERS, ask_at_once


@pytest.mark.parametrize("release", PROFILES)
def test_six_requests_of_one_user_get_six_answers(tmp_path: Path, server_socket: str, release: str) -> None:
    messages = [f"message-{number}" for number in range(AT_ONCE)]
    with BlockingEmbeddedGateway(agent, release=release) as gateway:
        answers, processes = ask_at_once(Host(tmp_path, gateway), server_socket, "one-user", messages)
    assert answers == [(200, f"echo: {message}") for message in messages]
    assert processes == WORKERS
