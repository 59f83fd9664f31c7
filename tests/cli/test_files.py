"""`files` and `download`: what is listed, where it is written, and what a terminal is not shown."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from openclaw_client import AgentFile, DeviceIdentity, GatewayClient
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.cli.conftest import TOKEN, Open, Program

PLAIN = "one\ttwo\r\nthree ü\n"
STEERING = "before \x1b[2J\u202eafter\n"


async def sends(turn: Turn) -> AsyncIterator[str]:
    turn.send_file("note.txt", PLAIN.encode(), "text/plain")
    turn.send_file("re\x1b[2Jport.txt", STEERING.encode(), "text/plain")
    yield "done"


@pytest.fixture
def gateway() -> Iterator[BlockingEmbeddedGateway]:
    with BlockingEmbeddedGateway(sends, token=TOKEN, release="2026.9.6") as gateway:
        yield gateway


@pytest.fixture
def sent(gateway: BlockingEmbeddedGateway) -> tuple[AgentFile, ...]:
    """What the agent has sent in the session `main`."""
    with GatewayClient(gateway.url, token=TOKEN, identity=DeviceIdentity.generate()) as client:
        client.chat_send(session_key="main", message="send")
        return client.files(session_key="main")


def test_files_are_listed(program: Program, sent: tuple[AgentFile, ...]) -> None:
    note, report = sent
    ran = program.run("files")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        f"{note.artifact_id} {len(PLAIN.encode())} B text/plain note.txt",
        f"{report.artifact_id} {len(STEERING.encode())} B text/plain re[2Jport.txt",
    ]
    first, second, last = program.run("files", "--json").objects
    assert (first["type"], first["artifact_id"], first["name"], first["session_key"]) == (
        *("file", note.artifact_id, "note.txt", "main"),
    )
    assert (second["size"], last) == (len(STEERING.encode()), {"type": "files", "count": 2})
    assert program.run("files", "--session", "other").out == "no files were sent in this session\n"


def test_a_file_is_written_and_it_is_told_where(
    program: Program, sent: tuple[AgentFile, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note, report = sent
    monkeypatch.chdir(tmp_path)
    assert program.run("download", note.artifact_id).out == "note.txt\n"
    assert program.run("download", note.artifact_id).out == "note (1).txt\n"
    (told,) = program.run("download", report.artifact_id, str(tmp_path), "--json").objects
    assert (told["type"], told["name"], told["path"]) == ("download", "re[2Jport.txt", f"{tmp_path}/re[2Jport.txt")
    ran = program.run("download", report.artifact_id, "note.txt")
    assert (ran.code, ran.out, ran.err) == (0, "note.txt\n", "")
    assert (tmp_path / "note.txt").read_text() == STEERING
    assert (tmp_path / "note (1).txt").read_bytes() == PLAIN.encode()
    assert stat.S_IMODE((tmp_path / "note.txt").stat().st_mode) == 0o600


def test_a_file_on_stdout(program: Program, sent: tuple[AgentFile, ...]) -> None:
    _, report = sent
    ran = program.run("download", report.artifact_id, "-")
    assert (ran.code, ran.out, ran.err) == (0, STEERING, "")
    both = program.run("download", report.artifact_id, "-", "--json")
    assert both.code == 2
    assert "both go to stdout" in both.err


def test_a_terminal_is_not_steered(open_terminal: Open, sent: tuple[AgentFile, ...]) -> None:
    note, report = sent
    refused = open_terminal("download", report.artifact_id, "-")
    screen = refused.wait_for("exit code: 2")
    assert "characters that steer a terminal" in screen.replace("\n", " ")
    assert "after" not in screen
    shown = open_terminal("download", note.artifact_id, "-")
    assert "three ü" in shown.wait_for("exit code: 0")


def test_what_cannot_be_had(program: Program, sent: tuple[AgentFile, ...], tmp_path: Path) -> None:
    note, _ = sent
    situations = {
        ("nobody's", str(tmp_path)): (1, "the gateway has the file nobody's no more"),
        (note.artifact_id, str(tmp_path), "--session", "other"): (1, "no more"),
        (note.artifact_id, str(tmp_path), "--max-bytes", "5"): (1, "the limit is 5; nothing was written"),
        (note.artifact_id, str(tmp_path), "--max-bytes", "0"): (2, "'0' is no number of bytes"),
        (note.artifact_id, f"{tmp_path}/nowhere/x"): (1, "nowhere"),
        (note.artifact_id, "/dev/null"): (1, "/dev/null cannot be written: it is a device"),
    }
    for arguments, (code, words) in situations.items():
        ran = program.run("download", *arguments)
        assert (ran.code, ran.out) == (code, ""), arguments
        assert words in ran.err, arguments
    assert os.listdir(tmp_path) == []


def test_a_gateway_that_has_none(alone: Program) -> None:
    with BlockingEmbeddedGateway(token=TOKEN, release="2026.4.15") as old:
        alone.environment.update(OPENCLAW_GATEWAY_URL=old.url, OPENCLAW_GATEWAY_TOKEN=TOKEN)
        ran = alone.run("files")
    assert (ran.code, ran.out) == (1, "")
    assert "2026.5.12 or later" in ran.err
