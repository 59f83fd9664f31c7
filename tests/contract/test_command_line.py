"""The command line of the npm package: against the embedded gateway every command ends as against the real one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from openclaw_client.testing.scripts import typed_echo
from tests.contract.targets import Target
from tests.gateways.config import environment, link_compile_cache
from tests.gateways.install import entry_point, node_binary

RELEASE = "2026.9.6"
pytestmark = [
    pytest.mark.release(RELEASE),
    pytest.mark.only(gateways="real"),
]

COMMANDS = (
    "agent --agent main --message hello",
    "health",
    "status",
    "sessions list",
    "models list",
    "cron list",
    "logs",
    "devices list",
    "approvals get",
    "gateway call health",
)
"""One for each kind of request that its commands begin with. A command is run twice and takes 2 s each time: more of
them than these would be more than a minute of CI."""

COMPLAINT = re.compile(r"does not serve|unknown method|invalid \S+ (params|inventory)|TypeError|command failed")

PATIENCE = 60.0
"""Seconds for a command. The slowest took 12 on two busy cores."""


def ended(home: Path, command: str, url: str, token: str) -> tuple[int, str]:
    """The exit code of a command, and what it printed."""
    home.mkdir(exist_ok=True)
    link_compile_cache(RELEASE, home)
    door = {"OPENCLAW_GATEWAY_URL": url, "OPENCLAW_GATEWAY_TOKEN": token, "NO_COLOR": "1"}
    ran = subprocess.run(
        [str(node_binary()), str(entry_point(RELEASE)), *command.format(url=url, token=token).split()],
        env={**environment(RELEASE, home), **door},
        cwd=home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    return ran.returncode, ran.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_ends_as_on_the_real_one(target: Target, tmp_path: Path, command: str) -> None:
    with BlockingEmbeddedGateway(typed_echo) as embedded:
        assert embedded.token is not None
        code, said = ended(tmp_path / "embedded", command, embedded.url, embedded.token)
    real_code, real_said = ended(tmp_path / "real", command, target.url, target.token)
    assert code == real_code, f"embedded:\n{said}\nreal:\n{real_said}"
    assert COMPLAINT.search(said) is None, said
