"""A journal in a file, closed and opened again at any moment, is the one in memory that never was."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from openclaw_client.journal import memory, tables
from openclaw_client.journal.ages import KEPT_DONE, KEPT_KEYS
from openclaw_client.journal.delivery import Verdict
from openclaw_client.journal.memory import MemoryJournal
from openclaw_client.journal.protocol import End, RunChange
from openclaw_client.journal.sqlite import SqliteJournal
from tests.journal.values import Clock, place, said, sent

USERS = st.sampled_from(["u", "v"])
KEYS = st.sampled_from(["k1", "k2", "k3"])
IDS = st.sampled_from(["1", "2", "3", "4", "5"])
SMALL = {"MAX_UNTAKEN": 2, "MAX_WAITING": 2, "MAX_DEAD": 1, "MAX_PLACES": 2}
ENDS: list[End | None] = [None, None, "final", "lost"]
CHANGES = st.builds(
    RunChange,
    KEYS,
    acknowledged=st.booleans(),
    answered_run=st.sampled_from([None, "r1", "r2"]),
    session_id=st.sampled_from([None, "s-2"]),
    end=st.sampled_from(ENDS),
    text=st.sampled_from([None, "one", "two"]),
    taken=st.booleans(),
    unsent=st.sampled_from([False, False, False, True]),
)
VERDICTS: list[Verdict] = ["done", "later", "dead"]


class Both(RuleBasedStateMachine):
    """Every call goes to both."""

    @initialize()
    def begin_both(self) -> None:
        self.kept = {(module, name): getattr(module, name) for module in (memory, tables) for name in SMALL}
        for module, name in self.kept:
            setattr(module, name, SMALL[name])
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.model = MemoryJournal(clock=self.clock)
        self.open_file()

    def open_file(self) -> None:
        self.journal = SqliteJournal(self.folder / "j.db", wait=0.0, clock=self.clock)

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        async def run() -> Any:
            return await work

        return self.runner.run(run())

    def same(self, name: str, *args: Any, **kwargs: Any) -> None:
        expected = self.do(getattr(self.model, name)(*args, **kwargs))
        assert self.do(getattr(self.journal, name)(*args, **kwargs)) == expected

    @rule(user=USERS, key=KEYS, queued=st.booleans(), again=st.booleans(), at=st.integers(0, 3))
    def begin(self, user: str, key: str, queued: bool, again: bool, at: int) -> None:
        self.same("begin", user, sent(key, at=at), state="queued" if queued else "sent", again=again)

    @rule(user=USERS, changes=st.lists(CHANGES, min_size=1, max_size=4))
    def note(self, user: str, changes: list[RunChange]) -> None:
        for change in changes:
            self.model.note(user, change)
            self.journal.note(user, change)

    @rule(user=USERS, session=IDS, since=st.integers(0, 9))
    def put_place(self, user: str, session: str, since: int) -> None:
        self.model.note(user, place(session, since))
        self.journal.note(user, place(session, since))

    @rule(user=USERS, ids=st.lists(IDS, max_size=4), run_id=st.sampled_from(["", "k1", "r1"]), moved=st.booleans())
    def receive(self, user: str, ids: list[str], run_id: str, moved: bool) -> None:
        self.same("receive", user, [said(one, run_id=run_id) for one in ids], place() if moved else None)

    @rule(user=USERS, ident=IDS)
    def deliver(self, user: str, ident: str) -> None:
        self.same("deliver", user, ident)

    @rule(user=USERS, settled=st.lists(st.tuples(IDS, st.sampled_from(VERDICTS)), min_size=1, max_size=4))
    def settle(self, user: str, settled: list[tuple[str, Verdict]]) -> None:
        for ident, verdict in settled:
            self.same("settle", user, ident, verdict)

    @rule(ident=IDS, user=st.none() | USERS)
    def replay(self, ident: str, user: str | None) -> None:
        self.same("replay", ident, user=user)

    @rule(user=USERS, key=KEYS)
    def forget(self, user: str, key: str) -> None:
        self.same("forget", user, key)

    @rule(seconds=st.sampled_from([0.5, 1000.0, KEPT_DONE, KEPT_KEYS]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def prune(self) -> None:
        self.same("prune", self.clock.now)

    @rule()
    def reopen(self) -> None:
        self.do(self.journal.close())
        self.open_file()

    @rule(user=USERS)
    def look(self, user: str) -> None:
        self.same("open", user)
        self.same("next", user)
        self.same("pending", user)

    @invariant()
    def all_is_the_same(self) -> None:
        if not hasattr(self, "journal"):
            return
        self.same("pending")
        self.same("users")
        self.same("dead")

    def teardown(self) -> None:
        if not hasattr(self, "journal"):
            return
        try:
            for user in ("u", "v"):
                self.look(user)
            self.do(self.journal.close())
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)
            for (module, name), value in self.kept.items():
                setattr(module, name, value)


class Apart(Both):
    """The same without a look after each step, so that notes are joined."""

    @invariant()
    def all_is_the_same(self) -> None:
        """Looked at in the end."""


Both.TestCase.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
Apart.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBoth = Both.TestCase
TestApart = Apart.TestCase
