"""docs/durable.md does what it shows: what a process that was killed left behind is taken up by the next one."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.test_docs import blocks, run
from tests.waiting import PATIENCE, wait_until

FIRST = "import shop; shop.ask('ann', '1', 'first')"
SECOND = """
import sys
import shop

assert [(run.state, run.run_id) for run in shop.manager.pending()] == [("sent", "shop-1")]
shop.take_up()
print(shop.ask("ann", "1", "first"), "|", shop.ask("ann", "2", "second"), flush=True)
sys.stdin.readline()
shop.manager.close()
"""


class Gate:
    """An agent that echoes, and does so with its first turn when it is let."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    async def __call__(self, turn: Turn) -> Any:
        yield "echo: "
        await asyncio.to_thread(self.opened.wait, PATIENCE)
        yield turn.message


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def gateway(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlockingEmbeddedGateway]:
    """The gateway of the environment, with the programs of the page in the current folder."""
    for block in blocks("docs/durable.md"):
        first, _, rest = block.partition("\n")
        if first.endswith(".py"):
            (tmp_path / first.removeprefix("# ")).write_text(rest)
    monkeypatch.chdir(tmp_path)
    with BlockingEmbeddedGateway(agent=lambda turn: gate(turn)) as gateway:
        monkeypatch.setenv("OPENCLAW_GATEWAY_URL", gateway.url)
        monkeypatch.setenv("OPENCLAW_GATEWAY_TOKEN", str(gateway.token))
        monkeypatch.setenv("OPENCLAW_STATE_DIR", str(tmp_path))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")])))
        yield gateway


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def kill_while_it_waits(gateway: BlockingEmbeddedGateway, *arguments: str) -> None:
    with started(*arguments) as process:
        wait_until(lambda: bool(gateway.active_runs) or process.poll() is not None)
        process.kill()
        assert "Traceback" not in process.communicate()[1]
    assert len(gateway.active_runs) == 1


def sent(gateway: BlockingEmbeddedGateway, session_key: str) -> list[str]:
    return [row["text"] for row in gateway.transcript(session_key) if row["role"] == "user"]


def test_one_client(gateway: BlockingEmbeddedGateway, gate: Gate) -> None:
    kill_while_it_waits(gateway, "ask.py")
    with started("ask.py") as process:
        wait_until(lambda: len(gateway.seen.connects) == 2 or process.poll() is not None)
        gate.opened.set()
        out, err = process.communicate(timeout=PATIENCE)
    assert (out, err) == ("Tell me more: echo: Tell me more\necho: Tell me more\n", "")
    assert sent(gateway, "agent:main:main") == ["Tell me more"] * 2
    assert gateway.seen.requests["chat.send"] == 2


def test_a_web_application(gateway: BlockingEmbeddedGateway, gate: Gate, tmp_path: Path) -> None:
    def rows(table: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as database:
            return database.execute(f"SELECT * FROM {table}").fetchall()

    kill_while_it_waits(gateway, "-c", FIRST)
    with started("-c", SECOND) as process:
        wait_until(lambda: len(gateway.seen.connects) == 2 or process.poll() is not None)
        gate.opened.set()
        assert process.stdout is not None
        assert process.stderr is not None
        said = process.stdout.readline() or process.stderr.read()
        assert said == "echo: first | echo: second\n"
        gateway.say("agent:main:web:ann", "Look out!")
        wait_until(lambda: bool(rows("said")))
        _, err = process.communicate("\n", timeout=PATIENCE)
    assert err == ""
    assert rows("replies") == [("shop-1", "echo: first"), ("shop-2", "echo: second")]
    assert [(user, text) for user, _, text in rows("said")] == [("ann", "Look out!")]
    assert sent(gateway, "agent:main:web:ann") == ["first", "second"]
    assert gateway.seen.requests["chat.send"] == 2


def test_coroutines(gateway: BlockingEmbeddedGateway, gate: Gate, tmp_path: Path) -> None:
    gate.opened.set()
    [code] = [block for block in blocks("docs/durable.md") if "AsyncGatewayClient" in block]
    assert run(code, {})["reply"].text == "echo: Hello"
    assert (tmp_path / "ann.journal").stat().st_mode & 0o777 == 0o600
