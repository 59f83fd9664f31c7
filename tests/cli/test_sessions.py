"""`sessions`: the list, and what becomes of it."""

from __future__ import annotations

import signal

import pytest

from openclaw_client import SessionInfo
from openclaw_client.cli.sessions import age, described
from openclaw_client.testing import BlockingEmbeddedGateway
from tests.cli.conftest import Program, finish, read_until


def test_sessions_are_listed(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    assert program.run("sessions").out == "there are no sessions\n"
    gateway.say("agent:main:one", "hello")
    gateway.say("agent:main:two", "hello")
    lines = program.run("sessions").out.splitlines()
    assert sorted(line.split()[1] for line in lines) == ["agent:main:one", "agent:main:two"]
    assert max(map(len, lines)) <= 80
    assert len(program.run("sessions", "--limit", "1").out.splitlines()) == 1
    assert program.run("sessions", "--session", "one").out.split()[1] == "agent:main:one"
    assert program.run("sessions", "--session", lines[-1].split()[1], "--limit", "1").out.split()[1] in lines[-1]
    *listed, last = program.run("sessions", "--json").objects
    assert [one["type"] for one in listed] == ["session", "session"]
    assert last == {"type": "sessions", "count": 2}


def test_an_answer_that_is_no_list(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    gateway.method("sessions.list", lambda params, caller: {})
    ran = program.run("sessions")
    assert ran.code != 0
    assert "no list of sessions" in ran.err


def test_what_becomes_of_them(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    gateway.say("agent:main:one", "hello")
    with program.start("sessions", "--watch", "--json") as process:
        first, count = read_until(process, "sessions")
        assert (first["key"], count["count"]) == ("agent:main:one", 1)
        gateway.emit("sessions.changed", {"sessionKey": "agent:main:one", "reason": "delete"})
        assert read_until(process, "session_gone")[-1]["key"] == "agent:main:one"
        row = {"key": "agent:main:new", "sessionId": "new", "label": "A label"}
        gateway.emit("sessions.changed", {"sessionKey": row["key"], "session": row})
        assert read_until(process, "session")[-1]["label"] == "A label"
        process.send_signal(signal.SIGINT)
        assert finish(process) == ("", "")
        assert process.returncode == 0


def test_what_becomes_of_them_for_a_person(program: Program, gateway: BlockingEmbeddedGateway) -> None:
    gateway.say("agent:main:one", "hello")
    with program.start("sessions", "--watch") as process:
        assert process.stdout is not None
        assert process.stdout.readline().split()[1] == "agent:main:one"
        gateway.emit("sessions.changed", {"sessionKey": "agent:main:one", "reason": "delete"})
        assert process.stdout.readline() == "- agent:main:one is gone\n"
        process.send_signal(signal.SIGINT)
        assert finish(process) == ("", "")
        assert process.returncode == 0


@pytest.mark.parametrize(("seconds", "shown"), [(-5, "0s"), (59, "59s"), (60, "1m"), (7_200, "2h"), (200_000, "2d")])
def test_ages(seconds: int, shown: str) -> None:
    assert age(1_000_000 - seconds, 1_000_000) == shown


def test_a_session_is_one_line() -> None:
    info = SessionInfo("agent:main:one", title="A title", model="m", updated_at=0.0, active=True, status="done")
    line = described(info, 60.0, 80)
    assert line == "* running    1m  agent:main:one  A title  m"
    assert described(info, 60.0, 20) == line[:19] + "…"
    assert described(SessionInfo("k"), 60.0, 80).split() == ["k"]
