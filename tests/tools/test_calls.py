"""Calls of a host's tools: which one runs, which waits, when its time is over, and what the gateway is told. On a moved
clock, with functions that end when the test says so."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from openclaw_client import Tool, ToolCall, tool
from openclaw_client.tools import calls as module
from openclaw_client.tools.calls import DEFAULT_LIMIT, MARGIN, CallAnswer, CallEnd, Calls, words
from openclaw_client.wire.nodes import MAX_PARAMS, TOOL_COMMAND, Invocation

FINE = CallAnswer(({"type": "text", "text": "fine"},))


@tool
def stock(sku: str = "") -> str:
    """How many."""
    return sku


@tool(timeout=5)
def book(sku: str = "") -> str:
    """Takes five seconds at most."""
    return sku


class Runner:
    """Functions that run until `end`."""

    def __init__(self) -> None:
        self.running: dict[str, tuple[ToolCall, Callable[[CallAnswer], None]]] = {}
        self.begun: list[str] = []
        self.left: list[str] = []

    def run(self, tool: Tool[..., Any], call: ToolCall, done: Callable[[CallAnswer], None]) -> Callable[[], object]:
        assert call.call_id not in self.begun, "made twice"
        self.begun.append(call.call_id)
        self.running[call.call_id] = call, done
        return lambda: self.left.append(call.call_id)

    def end(self, ident: str, answer: CallAnswer = FINE) -> None:
        _, done = self.running.pop(ident)
        done(answer)


class World:
    def __init__(self, most: int = 2) -> None:
        self.now = 100.0
        self.runner = Runner()
        self.replies: list[tuple[str, CallAnswer]] = []
        self.ends: list[CallEnd] = []
        self.idle = 0
        tools = {one.name: one for one in (stock, book)}
        self.calls = Calls(self.runner, self._reply, tools.get, name="shop", most=most, clock=lambda: self.now)
        self.calls.on_end = self.ends.append
        self.calls.on_idle = self._on_idle

    def _reply(self, invocation: Invocation, answer: CallAnswer) -> None:
        assert invocation.node_id == "n"
        self.replies.append((invocation.id, answer))

    def _on_idle(self) -> None:
        self.idle += 1

    def take(self, ident: str, name: str = "stock", timeout: float | None = 60.0, **change: Any) -> None:
        params = json.dumps({"server": "shop", "tool": name, "arguments": {"sku": ident}})
        given = {"command": TOOL_COMMAND, "params": params, "timeout": timeout, "session_key": "agent:main:s"}
        self.calls.take(Invocation(ident, "n", **{**given, **change}))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.calls.handle_deadline()

    @property
    def said(self) -> dict[str, str]:
        """The words of each answer; an asterisk marks an error, a code what was not called."""
        return {ident: said(answer) for ident, answer in self.replies}


def said(answer: CallAnswer) -> str:
    if answer.code is not None:
        return f"{answer.code}: {answer.message}"
    return "*" * answer.failed + " ".join(block["text"] for block in answer.content)


def test_a_call_runs_and_is_answered() -> None:
    world = World()
    world.take("1")
    call, _ = world.runner.running["1"]
    assert (call.tool, dict(call.arguments), call.session_key) == ("stock", {"sku": "1"}, "agent:main:s")
    assert call.seconds_left == 60 - MARGIN
    assert not call.cancelled
    world.now += 1.5
    world.runner.end("1")
    assert world.said == {"1": "fine"}
    assert world.ends == [CallEnd("stock", "agent:main:s", 1.5, "ok")]
    assert world.idle == 1
    assert world.calls.running == world.calls.unanswered == 0
    assert world.calls.deadline() == float("inf")


@pytest.mark.parametrize("ended", [False, True])
def test_a_frame_that_comes_twice_is_one_call(ended: bool) -> None:
    world = World()
    world.take("1")
    if ended:
        world.runner.end("1")
    world.take("1")
    assert world.runner.begun == ["1"]
    # By its id alone: the model's own ids are the same for two users.
    world.take("2")
    assert world.runner.begun == ["1", "2"]


def test_an_id_writes_no_lines_into_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world = World()
    for _ in range(2):
        world.take("1\nERROR forged\x1b[2J")
    assert "a call came twice and is made once: 1 ERROR forged[2J" in caplog.messages


def test_it_is_remembered_of_the_latest_calls_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_IDS", 3)
    world = World(most=1)
    world.take("still runs")
    for number in range(10):
        world.take(str(number))
    assert len(world.calls._seen) == 3
    world.take("still runs")
    assert world.runner.begun == ["still runs"]
    assert world.calls.waiting == 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"command": "system.run"}, "INVALID_REQUEST: shop does not know the command system.run"),
        ({"params": "{nonsense"}, "INVALID_REQUEST: shop cannot read the parameters of this call"),
        ({"params": ""}, "INVALID_REQUEST: shop cannot read the parameters of this call"),
        (
            {"params": '{"tool": "sell\\n' + "x" * 100 + '"}'},
            "INVALID_REQUEST: shop has no tool sell " + "x" * 75 + "…",
        ),
        ({"params": "x" * (MAX_PARAMS + 1)}, "*The arguments have 4,194,305 characters, and 4,194,304 are allowed."),
        ({"timeout": -3.0}, "*stock took longer than 0 s and was given up."),
        ({"timeout": 0.0}, "*stock took longer than 0 s and was given up."),
    ],
)
def test_what_is_no_call(change: dict[str, Any], words: str) -> None:
    world = World()
    world.take("1", **change)
    assert world.said["1"].split(" (")[0].replace("… ", "…") == words
    assert world.runner.begun == []
    assert world.calls.unanswered == 0


@pytest.mark.parametrize(
    ("name", "given", "limit"),
    [
        ("stock", 60.0, 58.0),
        ("stock", 3.0, 1.5),
        ("stock", None, DEFAULT_LIMIT - MARGIN),
        ("stock", 1e12, 3598.0),
        ("book", 60.0, 5.0),
        ("book", 4.0, 2.0),
    ],
)
def test_the_time_of_a_call(name: str, given: float | None, limit: float) -> None:
    world = World()
    world.take("1", name, given)
    call, _ = world.runner.running["1"]
    assert call.seconds_left == limit
    world.wait(limit - 0.1)
    assert world.said == {}
    world.wait(0.1)
    assert world.said == {"1": f"*{name} took longer than {limit:.3g} s and was given up."}
    assert call.cancelled
    assert world.runner.left == ["1"]
    assert world.ends[0].outcome == "timeout"


def test_a_late_result_is_dropped_and_told(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.take("1", "book")
    world.wait(5.0)
    world.now += 2.0
    with caplog.at_level(logging.INFO, "openclaw_client.tools"):
        world.runner.end("1", words("secret 4711"))
    assert len(world.replies) == 1
    [line] = [record.getMessage() for record in caplog.records]
    assert line == "a result of book came 2.0 s after its time limit and was dropped"


def test_more_calls_wait_in_line() -> None:
    world = World(most=1)
    for ident in "123":
        world.take(ident)
    assert (world.runner.begun, world.calls.waiting) == (["1"], 2)
    world.runner.end("1")
    assert world.runner.begun == ["1", "2"]
    world.calls.cancel("3")
    world.runner.end("2")
    assert world.runner.begun == ["1", "2"]
    assert world.said == {"1": "fine", "2": "fine"}


def test_a_function_that_never_returns_keeps_its_place() -> None:
    world = World(most=1)
    world.take("stuck", "book")
    world.wait(5.0)
    assert world.calls.running == 1
    world.take("behind it", timeout=10.0)
    world.wait(8.0)
    assert world.said["behind it"] == "*stock was not called: shop is busy. Try again later."
    assert world.ends[-1].outcome == "busy"
    world.take("later")
    world.runner.end("stuck")
    assert world.runner.begun == ["stuck", "later"]


@pytest.mark.parametrize(("name", "most"), [("MOST_WAITING", 3), ("MAX_WAITING_BYTES", 200)])
def test_the_line_is_bounded(monkeypatch: pytest.MonkeyPatch, name: str, most: int) -> None:
    monkeypatch.setattr(module, name, most)
    world = World(most=1)
    for number in range(10):
        world.take(str(number))
    busy = [ident for ident, words in world.said.items() if "is busy" in words]
    assert busy == [str(number) for number in range(4, 10)]
    assert world.calls.waiting == 3
    for number in range(4):
        world.runner.end(str(number))
    assert world.calls._line_size == 0
    assert world.calls.unanswered == 0


def test_a_cancelled_call_is_answered_no_more() -> None:
    world = World()
    world.take("1")
    call, _ = world.runner.running["1"]
    world.calls.cancel("1")
    world.calls.cancel("1")
    world.calls.cancel("never heard of")
    assert call.cancelled
    assert world.runner.left == ["1"]
    world.runner.end("1")
    world.wait(1e6)
    assert world.replies == []
    assert [end.outcome for end in world.ends] == ["cancelled"]


def test_with_the_connection_all_calls_are_lost() -> None:
    world = World(most=1)
    world.take("1")
    world.take("2")
    world.calls.lost()
    assert world.calls.unanswered == world.calls.waiting == 0
    assert world.calls.running == 1
    assert world.idle == 1
    world.runner.end("1")
    world.take("1")
    world.take("2")
    assert world.runner.begun == ["1"]
    assert world.replies == []


def test_whoever_leaves_takes_no_more_and_ends_what_runs() -> None:
    world = World(most=1)
    world.take("1")
    world.take("2")
    world.calls.leave()
    world.take("3")
    assert world.said == dict.fromkeys("23", "NODE_NOT_READY: shop is leaving")
    assert world.idle == 0
    world.runner.end("1")
    assert world.idle == 1
    world.calls.admit()
    world.take("4")
    assert world.runner.begun == ["1", "4"]


@pytest.mark.parametrize(
    ("answer", "outcome", "cause"),
    [
        (words("no"), "error", None),
        (words("stock failed", "ValueError"), "failed", "ValueError"),
        (CallAnswer(code="FORBIDDEN", message="no"), "error", None),
    ],
)
def test_what_a_call_came_to(answer: CallAnswer, outcome: str, cause: str | None) -> None:
    world = World()
    world.take("1")
    world.runner.end("1", answer)
    assert world.replies == [("1", answer)]
    assert (world.ends[0].outcome, world.ends[0].cause) == (outcome, cause)
    assert "no" not in repr(answer)


class AnyOrder(RuleBasedStateMachine):
    """In whatever order: none is made twice, at most three run, each is answered once or its connection is lost."""

    @initialize()
    def begin(self) -> None:
        self.world = World(most=3)
        self.count = 0
        self.lost: set[str] = set()
        self.leaving = False

    @rule(timeout=st.sampled_from([-1.0, 1.0, 10.0, 100.0, None]), name=st.sampled_from(["stock", "book", "sell"]))
    def take(self, timeout: float | None, name: str) -> None:
        self.count += 1
        self.world.take(str(self.count), name, timeout)

    @precondition(lambda self: self.count)
    @rule(data=st.data())
    def double(self, data: Any) -> None:
        before = list(self.world.replies), list(self.world.runner.begun)
        self.world.take(str(data.draw(st.integers(1, self.count))))
        assert before == (self.world.replies, self.world.runner.begun)

    @precondition(lambda self: self.world.runner.running)
    @rule(data=st.data())
    def end(self, data: Any) -> None:
        self.world.runner.end(data.draw(st.sampled_from(sorted(self.world.runner.running))))

    @precondition(lambda self: self.count)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        ident = str(data.draw(st.integers(1, self.count)))
        self.lost.add(ident)
        self.world.calls.cancel(ident)

    @rule()
    def cut(self) -> None:
        self.lost.update(map(str, range(1, self.count + 1)))
        self.world.calls.lost()

    @rule(leaving=st.booleans())
    def leave(self, leaving: bool) -> None:
        if leaving:
            self.world.calls.leave()
        else:
            self.world.calls.admit()

    @rule(seconds=st.floats(0.0, 50.0))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    @invariant()
    def each_is_answered_once_at_most(self) -> None:
        idents = [ident for ident, _ in self.world.replies]
        assert len(idents) == len(set(idents))

    @invariant()
    def no_more_run_than_may(self) -> None:
        calls = self.world.calls
        assert calls.running == len(self.world.runner.running) <= 3
        # Nobody waits where there is room.
        assert not calls.waiting or calls.running == 3
        assert calls.unanswered <= calls.running + calls.waiting
        assert calls.deadline() <= min((one.deadline for one in calls._open.values()), default=float("inf"))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        while self.world.runner.running:
            self.world.runner.end(next(iter(self.world.runner.running)))
        self.world.wait(1e6)
        answered = {ident for ident, _ in self.world.replies}
        assert answered | self.lost >= set(map(str, range(1, self.count + 1)))
        assert self.world.calls.unanswered == self.world.calls.waiting == self.world.calls._line_size == 0


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
