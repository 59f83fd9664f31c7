"""PyPI openclaw-webchat-adapter, somebody else's client for Python: it chats with the embedded gateway as with the
real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway
from tests.contract.targets import Target, Turns, directive_agent
from tests.gateways.install import InstallFailed, install_python_client

pytestmark = [
    pytest.mark.release("2026.9.6"),
    pytest.mark.only(gateways="real"),
]

REQUIREMENTS = ("openclaw_webchat_adapter==0.0.7", "cryptography")
"""The latest that there is, and what it needs and does not say so."""

PATIENCE = 60.0
"""Seconds for a chat; it takes one."""


@pytest.fixture(scope="module")
def packages() -> Path:
    try:
        return install_python_client(*REQUIREMENTS)
    except InstallFailed as failed:
        pytest.skip(f"{REQUIREMENTS[0]} cannot be installed here: {failed}")


def chat(packages: Path, home: Path, url: str, token: str) -> dict[str, Any]:
    """What the adapter made of one message in the main session."""
    home.mkdir()
    # It asks for wire version 3 where nothing is said, which no release since 2026.5.12 speaks.
    settings = {"OPENCLAW_PROTOCOL_VERSION": "4", "OPENCLAW_DEVICE_KEY_FILE": str(home / "device.key")}
    settings |= {"PYTHONPATH": str(packages), "HOME": str(home), "PATH": os.environ.get("PATH", os.defpath)}
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("adapter.py")), url, token, "stub:echo hello there"],
        cwd=home,
        env=settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    line = next(line for line in ran.stdout.splitlines() if line.startswith("came back: "))
    came: dict[str, Any] = json.loads(line.removeprefix("came back: "))
    return came


def test_it_chats_as_with_the_real_one(target: Target, packages: Path, tmp_path: Path) -> None:
    with BlockingEmbeddedGateway(directive_agent(Turns())) as embedded:
        assert embedded.token is not None
        ours = chat(packages, tmp_path / "embedded", embedded.url, embedded.token)
    theirs = chat(packages, tmp_path / "real", target.url, target.token)
    # Only the end: other tests may have spoken in the main session of the real one.
    assert ours["reply"] == theirs["reply"] == "echo: hello there"
    assert ours["history"] == theirs["history"][-2:]
    assert [role for role, _ in ours["history"]] == ["user", "assistant"]
