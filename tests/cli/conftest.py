"""The real program in a process of its own, against a gateway in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from openclaw_client import ChatRun, DeviceIdentity, GatewayClient
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.cli.agents import agent
from tests.cli.terminal import Terminal
from tests.waiting import PATIENCE, wait_until

TOKEN = "canary-shared-token-7f3a"
PROGRAM = (sys.executable, "-m", "openclaw_client")
WITHOUT_RICH = (
    sys.executable,
    "-c",
    "import sys; sys.modules['rich'] = None; from openclaw_client.cli import main; sys.exit(main())",
)
LOOKS = pytest.mark.parametrize("look", [PROGRAM, WITHOUT_RICH], ids=["rich", "plain"])
"""With colours, and without."""

Open = Callable[..., Terminal]


@dataclass
class Program:
    """Starts the program with an environment of its own."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    def environ(self) -> dict[str, str]:
        return {**os.environ, "NO_COLOR": "1", **self.environment}

    @contextmanager
    def start(
        self, *arguments: str, program: tuple[str, ...] = PROGRAM, stdin: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[str]]:
        """The running program; waited for at the end of the block, killed where the block fails."""
        with subprocess.Popen(
            [*program, *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=self.environ(),
        ) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise

    def run(self, *arguments: str, given: str | None = None, program: tuple[str, ...] = PROGRAM) -> Ran:
        stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
        with self.start(*arguments, program=program, stdin=stdin) as process:
            out, err = process.communicate(given, timeout=2 * PATIENCE)
        return Ran(process.returncode, out, err)


@dataclass
class Ran:
    """How the program ended."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The lines of --json; every line is an object with a type."""
        objects = [json.loads(line) for line in self.out.splitlines()]
        assert all(isinstance(item, dict) and isinstance(item["type"], str) for item in objects)
        return objects

    @property
    def types(self) -> list[str]:
        return [item["type"] for item in self.objects]


@pytest.fixture
def gateway(request: pytest.FixtureRequest) -> Iterator[BlockingEmbeddedGateway]:
    """Parametrised indirectly with a release, one that behaves like it."""
    with BlockingEmbeddedGateway(agent, token=TOKEN, throttle=0, release=getattr(request, "param", None)) as gateway:
        yield gateway


@pytest.fixture
def other(gateway: BlockingEmbeddedGateway) -> Iterator[GatewayClient]:
    """Another client of the same gateway."""
    with GatewayClient(gateway.url, token=TOKEN, identity=DeviceIdentity.generate()) as other:
        yield other


@contextmanager
def held(other: GatewayClient, gateway: BlockingEmbeddedGateway, message: str) -> Iterator[ChatRun]:
    """The session `main` while another client's run goes on in it."""
    with other.chat_stream(session_key="main", message=message) as run:
        wait_until(lambda: gateway.active_runs)
        yield run


@pytest.fixture
def alone(own_home: Path) -> Program:
    """The program without any gateway."""
    return Program(own_home)


@pytest.fixture
def program(own_home: Path, gateway: BlockingEmbeddedGateway) -> Program:
    """The program, with the gateway of the test in its environment."""
    return Program(own_home, {"OPENCLAW_GATEWAY_URL": gateway.url, "OPENCLAW_GATEWAY_TOKEN": TOKEN})


@pytest.fixture
def open_terminal(program: Program) -> Iterator[Open]:
    """Opens a terminal with the program in it."""
    with ExitStack() as stack:

        def opened(*arguments: str, look: tuple[str, ...] = PROGRAM, term: str = "screen-256color") -> Terminal:
            return stack.enter_context(Terminal((*look, *arguments), program.environ(), term=term))

        yield opened


def read_until(process: subprocess.Popen[str], kind: str) -> list[dict[str, Any]]:
    """The objects that --json prints up to the first of a type; ends with the program."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(json.loads(line))
        if seen[-1]["type"] == kind:
            return seen
    pytest.fail(f"the program ended without {kind!r}: {seen}")


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """The rest of both outputs and the end of the program; unlike `communicate`, with what was read ahead."""
    assert process.stdout is not None
    assert process.stderr is not None
    rest = process.stdout.read(), process.stderr.read()
    process.wait(PATIENCE)
    return rest
