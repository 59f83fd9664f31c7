"""A process that dies at any moment: the next one hands out whatever was not written down, and knows what was."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from openclaw_client.chat import missed_messages
from openclaw_client.journal.protocol import KeptPlace
from openclaw_client.runs import place
from openclaw_client.runs.proactive import ProactiveMessage
from tests.chat.crashing import RELEASES, SESSIONS, Gateway, Process, clock_of, stored
from tests.moved_clock import MovedClockLoop, run, turns

SESSION = st.sampled_from(SESSIONS)


class Crashes(RuleBasedStateMachine):
    """Every text is said once, so that each can be counted. clean: whether each process had written all down, and no
    words were forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.runner = asyncio.Runner(loop_factory=MovedClockLoop)
        self.number = 0
        self.said: dict[str, str] = {}
        self.mine: set[str] = set()
        self.own: set[str] = set()
        self.kept: list[ProactiveMessage] = []
        self.places: list[KeptPlace] = []
        self.open: dict[str, tuple[str, str, float]] = {}
        self.holds: list[Any] = []
        self.excused: set[str] = set()
        self.clean = True

    @initialize(release=st.sampled_from(RELEASES), few=st.booleans())
    def begin(self, release: str, few: bool) -> None:
        self.few = few
        if few:
            # Places move by what is heard, too, and words are forgotten. What the order of many tells is not tried.
            self.patch.setattr(place, "MAX_WORDS", 4)
            self.clean = False
        self.gateway = Gateway(release)
        self.patch.setattr(missed_messages, "time", clock_of(self.gateway))
        self.process = Process(self.gateway, self.own, [])
        self.step(self.process.connect)
        # From here on the sessions are watched.
        self.places = stored(self.process.wrote, [])
        assert [one.session_key for one in self.places] == SESSIONS
        self.process.wrote.clear()

    def step(self, what: Any, *arguments: Any) -> None:
        async def main() -> None:
            what(*arguments)
            await turns(6)

        self.gateway.now += 5
        self.runner.run(main())

    def name(self, kind: str) -> str:
        self.number += 1
        return f"{kind}-{self.number}"

    @rule(session=SESSION, injected=st.booleans(), lost=st.booleans())
    def say(self, session: str, injected: bool, lost: bool) -> None:
        """Others say something; its event may be lost."""
        ident = self.name("inject" if injected else "run")
        text = f"text of {ident}"
        self.said[text] = ident
        if injected:
            row_id = ident.removeprefix("inject-")
            self.gateway.inject(session, f"row{row_id}", text)
            ident = f"inject-row{row_id}"
        else:
            self.gateway.write(session, ident, f"words of {ident}", text, self.gateway.now)
        if self.process.connected and not lost:
            self.step(self.process.hear, session, ident, text)
        elif self.process.connected:
            self.step(lambda: self.process.missed.begin(in_doubt=True))
        else:
            self.gateway.now += 5

    @precondition(lambda self: self.process.connected and self.process.listening)
    @rule(session=SESSION)
    def begin_run(self, session: str) -> None:
        ident = self.name("long")
        self.open[ident] = (session, f"text of {ident}", self.gateway.now)
        self.step(self.process.hear, session, ident, "text", "delta")

    @precondition(lambda self: self.open)
    @rule()
    def end_run(self) -> None:
        ident, (session, text, began) = self.open.popitem()
        self.said[text] = ident
        self.gateway.write(session, ident, f"words of {ident}", text, began)
        if self.process.connected:
            self.step(self.process.hear, session, ident, text)

    @precondition(lambda self: self.process.connected)
    @rule(session=SESSION)
    def ask_oneself(self, session: str) -> None:
        ident = self.name("own")
        text = f"text of {ident}"
        self.own.add(ident)
        self.mine.add(text)
        self.gateway.write(session, ident, f"words of {ident}", text, self.gateway.now)
        self.step(self.process.missed.sent, session, f"words of {ident}", ident)
        self.step(self.process.missed.answered, session, text, (ident,))

    @rule(session=SESSION)
    def hold(self, session: str) -> None:
        self.step(lambda: self.holds.append(self.process.missed.hold(session)))

    @precondition(lambda self: self.holds)
    @rule()
    def release(self) -> None:
        self.step(self.holds.pop().release)

    @rule()
    def come_and_go(self) -> None:
        self.step(self.process.lose if self.process.connected else self.process.connect)

    @precondition(lambda self: self.process.wire.waiting)
    @rule(early=st.booleans())
    def answer(self, early: bool) -> None:
        self.step(lambda: self.process.wire.answer(early=early))

    @precondition(lambda self: self.process.wire.waiting)
    @rule()
    def refuse(self) -> None:
        self.step(self.process.wire.refuse)

    @precondition(lambda self: not (self.holds or self.process.wire.waiting))
    @rule()
    def listen_or_not(self) -> None:
        self.process.listening = not self.process.listening
        if self.process.listening:
            self.step(self.process.missed.listened_to)

    @rule(seconds=st.sampled_from([11.0, 31.0, 601.0]))
    def wait(self, seconds: float) -> None:
        self.runner.run(asyncio.sleep(seconds))
        self.gateway.now += seconds * 1000
        self.step(lambda: None)

    @rule(lost=st.integers(0, 3), graceful=st.booleans())
    def die(self, lost: int, graceful: bool) -> None:
        """The last entries may not have been written down."""
        process = self.process
        if graceful:
            self.step(process.missed.stop)
            while self.holds:
                self.step(self.holds.pop().release)
        wrote = process.wrote[: len(process.wrote) - lost]
        known = process.missed._places
        fresh = any(one.fresh for _, one in known.items())
        self.clean &= wrote == process.wrote and not known._untold and not fresh
        self.kept += [entry for entry in wrote if isinstance(entry, ProactiveMessage)]
        self.places = stored(wrote, self.places)
        if self.few or self.gateway.release == "2026.2.17":
            # Rows without ids, or a place that was never looked from: nobody wrote down that these had begun.
            self.excused |= {text for _, text, _ in self.open.values()}
        self.holds.clear()
        self.process = Process(self.gateway, self.own, self.places)

    def teardown(self) -> None:
        try:
            if hasattr(self, "process"):
                self.check()
        finally:
            self.patch.undo()
            self.runner.close()

    def check(self) -> None:
        """All that was said is known to somebody in the end."""
        while self.holds:
            self.step(self.holds.pop().release)
        while self.open:
            self.end_run()
        self.wait(700.0)
        self.process.listening = True
        if self.process.connected:
            self.step(self.process.lose)
        self.step(self.process.connect)
        for _ in range(2 * len(SESSIONS)):
            self.step(self.process.wire.answer)
        told = self.kept + [entry for entry in self.process.wrote if isinstance(entry, ProactiveMessage)]
        assert self.said.keys() - self.excused - {message.text for message in told} == set(), "lost"
        self.check_doubles(told)

    def check_doubles(self, told: list[ProactiveMessage]) -> None:
        """A journal knows a message again by its id. Where a release gives it two ids, words tell."""
        release = self.gateway.release
        doubled = {}
        for text in self.said:
            idents = {message.id for message in told if message.text == text}
            if len(idents) > 1:
                doubled[text] = idents
        kinds = {text.split("-")[0] for text in doubled}
        two_ids = {"2026.4.15": {"text of run", "text of long"}, "2026.2.17": {"text of inject"}}
        assert kinds <= (set() if self.clean else two_ids.get(release, set()))
        own = self.mine & {message.text for message in told}
        assert not own or (release == "2026.4.15" and not self.clean)


Crashes.TestCase.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)
TestCrashes = Crashes.TestCase


def played(release: str, monkeypatch: pytest.MonkeyPatch) -> Process:
    gateway = Gateway(release)
    monkeypatch.setattr(missed_messages, "time", clock_of(gateway))
    return Process(gateway, set(), [])


def test_while_live_messages_wait_for_the_history_no_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        process, session = played("2026.4.15", monkeypatch), SESSIONS[0]
        process.connect()
        process.gateway.now += 5
        process.missed.begin(in_doubt=True)
        await turns(3)
        process.wrote.clear()
        process.hear(session, "live", "waits")
        process.missed.sent(session, "mine", "own")
        process.missed.answered(session, "re: mine", ("own",))
        assert process.wrote == []
        process.wire.answer()
        await turns(3)
        process.wire.answer()
        await turns(3)
        kinds = [type(entry) for entry in process.wrote]
        assert kinds[:2] == [ProactiveMessage, KeptPlace]
        assert kinds.count(ProactiveMessage) == 1

    run(main())


def test_whoever_begins_to_listen_is_told_what_was_said_before_without_a_reconnect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        process, session = played("2026.9.6", monkeypatch), SESSIONS[0]
        process.listening = False
        process.connect()
        process.gateway.now += 5
        process.gateway.write(session, "r", "words", "unheard", process.gateway.now)
        process.hear(session, "r", "unheard")
        assert not any(isinstance(entry, ProactiveMessage) for entry in process.wrote)
        process.listening = True
        process.missed.listened_to()
        await turns(3)
        process.wire.answer()
        await turns(3)
        assert [entry.text for entry in process.wrote if isinstance(entry, ProactiveMessage)] == ["unheard"]

    run(main())


def texts(process: Process) -> list[str]:
    return [entry.text for entry in process.wrote if isinstance(entry, ProactiveMessage)]


async def answered(process: Process) -> None:
    for _ in range(3):
        await turns(3)
        process.wire.answer()
    await turns(3)


def test_while_a_message_may_be_the_answer_to_ones_own_no_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        process, session = played("2026.4.15", monkeypatch), SESSIONS[0]
        process.connect()
        process.wrote.clear()
        held = process.missed.hold(session)
        process.hear(session, "r", "waits")
        process.missed.sent(session, "mine", "own")
        assert process.wrote == []
        held.release()
        assert [type(entry) for entry in process.wrote] == [ProactiveMessage, KeptPlace]

    run(main())


def test_without_a_listener_ones_own_answers_do_not_move_a_place_past_a_run_that_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(place, "MAX_WORDS", 4)

    async def main() -> None:
        process, session = played("2026.2.17", monkeypatch), SESSIONS[0]
        process.listening = False
        process.connect()
        process.gateway.now += 5
        began = process.gateway.now
        process.hear(session, "long", "be", "delta")
        for number in range(6):
            process.gateway.now += 5
            process.missed.answered(session, f"own {number}", (f"own-{number}",))
        process.gateway.write(session, "long", "words", "begun long ago", began)
        process.hear(session, "long", "begun long ago")
        process.listening = True
        process.missed.listened_to()
        await answered(process)
        assert texts(process) == ["begun long ago"]

    run(main())


def test_the_first_message_that_is_listened_to_waits_for_those_that_were_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        process, session = played("2026.9.6", monkeypatch), SESSIONS[0]
        process.listening = False
        process.connect()
        for ident in ("unheard", "live"):
            process.gateway.now += 5
            process.gateway.write(session, ident, "words", ident, process.gateway.now)
            process.hear(session, ident, ident)
            process.listening = True
        await answered(process)
        assert texts(process) == ["unheard", "live"]

    run(main())


@pytest.mark.parametrize("release", RELEASES)
def test_what_one_process_handed_out_the_next_one_knows(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        process, session = played(release, monkeypatch), SESSIONS[0]
        process.connect()
        process.gateway.now += 5
        process.gateway.write(session, "r", "words", "heard", process.gateway.now)
        process.hear(session, "r", "heard")
        assert texts(process) == ["heard"]
        process.gateway.write(session, "s", "words", "missed", process.gateway.now + 5)
        # However soon it comes: it asks also where its clock says that no time has gone by.
        process.gateway.now -= 5
        after = Process(process.gateway, set(), stored(process.wrote, []))
        after.connect()
        await answered(after)
        assert texts(after) == ["missed"]

    run(main())


def test_what_is_said_beside_an_open_answer_while_nobody_listens() -> None:
    state = Crashes()
    try:
        state.begin(release="2026.9.6", few=False)
        state.listen_or_not()
        for _ in range(2):
            state.come_and_go()
        state.hold(session=SESSIONS[0])
        state.say(injected=False, lost=False, session=SESSIONS[0])
    finally:
        state.teardown()
