"""The programs that a client lives in, as real processes, with a gateway in this one."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import urllib.parse
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests import waiting

PATIENCE = 40.0
"""Seconds for a program to start or to do what is waited for, on a machine that does much else."""
PROMPT = 5.0
"""Seconds from a signal to the end of a process: two are promised, the rest is for a loaded machine."""


async def agent(turn: Turn) -> AsyncIterator[str]:
    """Echoes; a message that begins with "gated" is answered when the test opens the gate."""
    yield "echo: "
    if turn.message.startswith("gated"):
        await turn.gate.wait()
    yield turn.message


class Gateway(Protocol):
    """What the programs connect to."""

    @property
    def url(self) -> str: ...

    @property
    def token(self) -> str | None: ...


class Host:
    """Starts programs in a folder of their own."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "OPENCLAW_GATEWAY_URL": gateway.url,
            "OPENCLAW_GATEWAY_TOKEN": str(gateway.token),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))),
            "PYTHONUNBUFFERED": "1",
            # From 3.12 on Python warns of every fork beside a thread; the loop's thread is one.
            "PYTHONWARNINGS": "ignore:This process:DeprecationWarning",
        }

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    @contextmanager
    def start(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """`python …`, running; ended with the block."""
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    # With its children, which would keep the pipes open.
                    os.killpg(process.pid, signal.SIGKILL)

    def run(self, *arguments: str) -> str:
        """What `python …` prints; fails the test where it prints errors or ends with one."""
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert (err, process.returncode) == ("", 0), out
        return out


@pytest.fixture
def gateway() -> Iterator[BlockingEmbeddedGateway]:
    with BlockingEmbeddedGateway(agent, throttle=0) as gateway:
        yield gateway


@pytest.fixture
def host(tmp_path: Path, gateway: BlockingEmbeddedGateway) -> Host:
    return Host(tmp_path, gateway)


@pytest.fixture
def server_socket() -> Iterator[str]:
    """The path of a socket for a web server: no port that another program could take. Short, as they must be."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"{folder}/web"


def get(
    server: str, path: str, headers: dict[str, str] | None = None, *, patience: float = PATIENCE
) -> tuple[int, str]:
    """GET over the socket of a web server: status and text."""
    return _ask(server, "GET", path, headers or {}, None, patience)


def post(server: str, path: str, headers: dict[str, str], form: dict[str, str]) -> tuple[int, str]:
    """POST of a form over the socket of a web server: status and text."""
    headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    return _ask(server, "POST", path, headers, urllib.parse.urlencode(form))


def _ask(
    server: str, method: str, path: str, headers: dict[str, str], body: str | None, patience: float = PATIENCE
) -> tuple[int, str]:
    connection = _Connection("localhost", timeout=patience)
    connection.server = server
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    server = ""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.server)


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str] | None = None) -> Any:
    """Return what the condition gives when it is true; fails when that never comes or the program has ended."""

    def met() -> object:
        found = condition()
        if not found and process is not None and process.poll() is not None:
            pytest.fail(f"the program ended: {process.communicate()}")
        return found

    return waiting.wait_until(met, patience=PATIENCE)


def accepts(server: str) -> bool:
    """Whether a web server listens on this socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as attempt:
        return attempt.connect_ex(server) == 0
