"""`files` and `download`: what is listed, where it is written, and what a terminal is not shown."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_client import AgentFile, ChatReply, DeviceIdentity, GatewayClient
from openclaw_client.cli.received import MAX_RECEIVED, Received, by_id, lines_of
from openclaw_client.testing import BlockingEmbeddedGateway, Turn
from tests.cli.conftest import LOOKS, TOKEN, Open, Program

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


# Files of a reply


def test_a_reply_tells_its_files_and_how_they_are_got(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    ran = program.run("chat", "send")
    (note, report) = [line for line in ran.err.splitlines() if "file" in line]
    assert (ran.code, ran.out) == (0, "done\n")
    assert note.startswith(f"[file note.txt, {len(PLAIN.encode())} B, download artifact_managed_media_")
    assert report.startswith("[file re[2Jport.txt, ")
    ident = note.rpartition(" ")[2].removesuffix("]")
    assert program.run("download", ident, "-").out == PLAIN.replace("\r\n", "\n")


def test_a_reply_in_json_has_its_files(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    *_, reply = program.run("chat", "send", "--json").objects
    assert (reply["type"], [file["name"] for file in reply["files"]]) == ("reply", ["note.txt", "re[2Jport.txt"])
    assert (reply["usage"]["totalTokens"], reply["model"]) == (6, "embedded-1")


@LOOKS
@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_a_file_of_a_conversation_is_saved_by_its_number(
    open_terminal: Open,
    gateway: BlockingEmbeddedGateway,
    look: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "h"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    chat = open_terminal("chat", look=look)
    chat.wait_for_prompt()
    chat.say("send")
    chat.wait_for(f"[file note.txt, {len(PLAIN.encode())} B, :download 1]", ":download 2]")
    chat.wait_for_prompt()
    chat.say("send again")
    chat.wait_for(":download 3]", ":download 4]")
    chat.wait_for_prompt()
    chat.say(":download 3 third.txt")
    chat.wait_for("written to third.txt")
    chat.wait_for_prompt()
    assert (tmp_path / "third.txt").read_bytes() == PLAIN.encode()
    for wrong in ("5", "0", "x", ""):
        chat.say(f":download {wrong}")
        chat.wait_for("no file of this chat has that number")
        chat.wait_for_prompt()
    # No shell stands between the person and this prompt.
    chat.say(":download 1 ~/first.txt")
    chat.wait_for_prompt()
    chat.say(":download 1 nowhere/x.txt")
    chat.wait_for("cannot be written")
    chat.wait_for_prompt()
    assert (home / "first.txt").read_bytes() == PLAIN.encode()


def test_a_line_of_a_file() -> None:
    reply = ChatReply("t", "r", "final", "main")
    assert lines_of(reply, by_id) == []
    told = replace(reply, files=(AgentFile("a", "", "image/png", None, "main"),))
    assert lines_of(told, by_id) == ["file image/png, download a"]


def test_only_the_latest_files_keep_their_number() -> None:
    received = Received()
    for number in range(MAX_RECEIVED + 1):
        received.add(AgentFile(str(number), "", "image/png", None, "main"))
    assert received.get("1") is None
    oldest, latest = received.get("2"), received.get(str(MAX_RECEIVED + 1))
    assert oldest is not None
    assert latest is not None
    assert (oldest.artifact_id, latest.artifact_id) == ("1", str(MAX_RECEIVED))


def test_where_files_cannot_be_got_nobody_asks_for_them(program: Program) -> None:
    with BlockingEmbeddedGateway(token=TOKEN, release="2026.4.15") as old:
        program.environment["OPENCLAW_GATEWAY_URL"] = old.url
        *_, reply = program.run("chat", "hi", "--json").objects
    assert (reply["type"], reply["files"], reply["usage"]) == ("reply", None, None)
