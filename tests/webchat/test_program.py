"""The one command that runs it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parent.parent.parent
PROGRAM = (sys.executable, "-m", "examples.webchat")


def free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_it_runs_until_it_is_told_to_end(sign: signal.Signals) -> None:
    port = free_port()
    command = (*PROGRAM, "--port", str(port), "--users", "ada")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            wait_until(lambda: answers(port) or program.poll() is not None)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
                client.post("/sign-in", data={"user": "ada"})
                # A page that is open keeps nobody waiting.
                with client.stream("GET", "/api/events") as feed:
                    assert next(feed.iter_lines()).startswith("retry:")
                    program.send_signal(sign)
                    code = program.wait(PATIENCE)
        finally:
            program.kill()
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.read().startswith(f"http://127.0.0.1:{port}  for ada, over the embedded gateway.")
        assert program.stderr.read() == ""
    assert code in (0, -sign)


def test_names_that_nobody_can_have() -> None:
    done = subprocess.run((*PROGRAM, "--users", "Ada"), cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("webchat: 'Ada' is no name")
