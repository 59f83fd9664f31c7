"""`journal`: what a file holds, also beside the process that has it; replay and prune."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from openclaw_client.cli.exit_codes import ExitCode
from openclaw_client.cli.journal import run_line
from openclaw_client.journal.ages import KEPT_DEAD
from openclaw_client.journal.protocol import PendingRun, RunChange
from openclaw_client.journal.sqlite import SqliteJournal
from tests.cli.conftest import Program
from tests.journal.processes import HOLDER
from tests.journal.processes import Program as Holder
from tests.journal.values import said, sent

STEERING = "red \x1b[31malert\x9b2J\u202e\nand more"
TAMED = "red [31malert2J and more"


def line_of(text: str, words: str) -> list[str]:
    """The facts of the one line that ends so."""
    (found,) = [line for line in text.splitlines() if line.endswith(words)]
    return found.removesuffix(words).split()


async def fill(path: Path, *, now: float) -> None:
    """Runs of two users, a message that waits, and one that is dead for both."""
    journal = SqliteJournal(path, clock=lambda: now)
    await journal.begin("ann", sent("shop-1", STEERING, at=now - 400, session="agent:main:web:ann"))
    await journal.begin("bob", sent("shop-2", "Later", at=now - 300), state="queued")
    await journal.begin("", sent("k-3", "Answered", at=now - 90_000))
    journal.note("", RunChange("k-3", acknowledged=True, end="final", text="Yes."))
    await journal.receive("ann", [said("poison", STEERING), said("next")])
    await journal.receive("bob", [said("poison", "Bob's")])
    for user in ("ann", "bob"):
        for _ in range(5):
            await journal.deliver(user, "poison")
        await journal.settle(user, "poison", "dead")
    await journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a journal that nobody has open."""
    made = tmp_path / "folder ?#%" / "j.db"
    made.parent.mkdir()
    asyncio.run(fill(made, now=time.time()))
    return made


def test_the_runs_that_are_pending(alone: Program, path: Path) -> None:
    before = path.read_bytes()
    ran = alone.run("journal", "show", str(path))
    assert (ran.code, ran.err) == (0, "")
    oldest, *_, last = ran.out.splitlines()
    assert oldest.split() == ["answered", "1d", "-", "main", "k-3", "Answered"]
    assert line_of(ran.out, f"  {TAMED}") == ["sent", "6m", "ann", "agent:main:web:ann", "shop-1"]
    assert line_of(ran.out, "  Later") == ["queued", "5m", "bob", "main", "shop-2"]
    assert last == "runs pending: 3, messages waiting: 1, dead: 2"
    assert path.read_bytes() == before
    assert sorted(os.listdir(path.parent)) == ["j.db", "j.db.lock"], "nothing is left beside it"


def test_the_dead_messages(alone: Program, path: Path) -> None:
    ran = alone.run("journal", "show", "--dead", str(path))
    ann, bob, last = ran.out.splitlines()
    assert ann.startswith("5x    ")
    assert ann.endswith(f"s  ann  agent:main:main  poison  {TAMED}")
    assert bob.endswith("s  bob  agent:main:main  poison  Bob's")
    assert last == "runs pending: 3, messages waiting: 1, dead: 2"
    assert (ran.code, ran.err) == (0, "")


def test_json_has_what_was_said_whole(alone: Program, path: Path) -> None:
    run, other, _, last = alone.run("journal", "show", str(path), "--json").objects
    assert run.pop("sent_at") < other["sent_at"]
    facts = {"user": "", "run_id": "k-3", "session_key": "main", "state": "answered"}
    assert run == {"type": "pending", **facts, "message": "Answered", "end": "final", "text": "Yes."}
    assert (other["message"], other["end"], other["text"]) == (STEERING, None, None)
    assert last == {"type": "journal", "pending": 3, "waiting": 1, "dead": 2}
    ran = alone.run("journal", "show", "--dead", "--json", str(path))
    assert "\x1b" not in ran.out
    dead, _, again = ran.objects
    assert again == last
    assert abs(dead.pop("died_at") - time.time()) < 600
    facts = {"user": "ann", "id": "poison", "session_key": "agent:main:main", "run_id": "run-poison", "kind": "cron"}
    assert dead == {"type": "dead", **facts, "deliveries": 5, "text": STEERING}


def test_a_line_fits_the_terminal_and_keeps_its_ids() -> None:
    run = PendingRun("u", sent("a-long-id-of-a-run", "word " * 100_000, at=0.0), "sent")
    line = run_line(run, 5.0, 100)
    assert len(line) == 100
    assert line.endswith("word word…")
    assert "  a-long-id-of-a-run  word" in run_line(run, 5.0, 10)


def test_a_process_that_has_the_journal_is_left_alone(alone: Program, path: Path) -> None:
    with Holder(HOLDER, path) as holder:
        assert holder.heard() == "held"
        ran = alone.run("journal", "show", str(path))
        assert f"of {holder.process.pid}" in ran.out
        assert ran.out.splitlines()[-1] == "runs pending: 4, messages waiting: 1, dead: 2"
        for command in (("replay", str(path), "poison"), ("prune", str(path))):
            refused = alone.run("journal", *command)
            assert (refused.code, refused.out) == (ExitCode.FAILED, "")
            assert f"it is process {holder.process.pid} " in refused.err
            assert "`openclaw-client journal show` looks into it" in refused.err
        (error,) = alone.run("journal", "prune", "--json", str(path)).objects
        assert (error["error"], error["reason"], error["path"]) == ("JournalError", "in_use", str(path))
        holder.tell()
        assert holder.heard() == "closed", "it could go on"
        assert alone.run("journal", "prune", str(path)).code == 0, "the lock is free"


def test_what_a_killed_process_wrote_is_there(alone: Program, path: Path) -> None:
    with Holder(HOLDER, path) as holder:
        assert holder.heard() == "held"
        holder.kill()
        assert f"of {holder.process.pid}" in alone.run("journal", "show", str(path)).out


def test_a_dead_message_waits_once_more(alone: Program, path: Path) -> None:
    ran = alone.run("journal", "replay", str(path), "poison", "--user", "bob")
    assert (ran.code, ran.out, ran.err) == (0, "messages that wait once more: 1\n", "")
    assert alone.run("journal", "show", str(path)).out.endswith("waiting: 2, dead: 1\n")
    (told,) = alone.run("journal", "replay", str(path), "poison", "--json").objects
    assert told == {"type": "replayed", "id": "poison", "user": None, "count": 1}
    ran = alone.run("journal", "replay", str(path), "poison")
    assert ran.code == ExitCode.FAILED
    assert "there is no message poison that is over" in ran.err


def test_what_is_too_old_goes(alone: Program, tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    asyncio.run(fill(path, now=time.time() - KEPT_DEAD - 60))
    ran = alone.run("journal", "prune", str(path))
    assert (ran.code, ran.out, ran.err) == (0, "runs and messages that are gone: 2\n", "")
    assert alone.run("journal", "show", str(path)).out.endswith("runs pending: 3, messages waiting: 1, dead: 0\n")
    assert alone.run("journal", "prune", "--json", str(path)).objects == [{"type": "pruned", "count": 0}]


@pytest.mark.parametrize("command", [("show",), ("replay", "some-id"), ("prune",)])
def test_what_is_no_journal_is_told_and_left_as_it_is(alone: Program, tmp_path: Path, command: tuple[str, ...]) -> None:
    action, *rest = command
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all,\n" * 100)
    for path, said_ in ((letter, "no journal"), (tmp_path / "none", "No such file")):
        ran = alone.run("journal", action, str(path), *rest)
        assert (ran.code, ran.out) == (ExitCode.FAILED, "")
        assert said_ in ran.err
    assert os.listdir(tmp_path) == ["letter.txt"]


def test_mistakes_of_use(alone: Program, path: Path) -> None:
    for arguments, said_ in (
        (("journal",), "ACTION"),
        (("journal", "show"), "PATH"),
        (("journal", "replay", str(path)), "ID"),
        (("journal", "show", ":memory:"), "no path of a file"),
        (("--url", "ws://127.0.0.1:1", "journal", "show", str(path)), "`journal` does not connect"),
        (("journal", "prune", str(path), "--embedded"), "`journal` does not connect"),
    ):
        ran = alone.run(*arguments)
        assert (ran.code, ran.out) == (ExitCode.USAGE, "")
        assert said_ in ran.err
