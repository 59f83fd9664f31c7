"""Requests of a ready client core, its timers, and the watch over a silent gateway. The clock is moved by hand."""

from __future__ import annotations

import json
from math import inf

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from openclaw_client.errors import PayloadTooLarge, UsageError
from openclaw_client.protocol.client import STALL_TOLERANCE, ClientProtocol
from openclaw_client.protocol.events import Abandoned, Cause, Close, ConnectionEnd, CoreEvent, Ended, Expired, Responded
from openclaw_client.protocol.states import State
from openclaw_client.wire import limits
from openclaw_client.wire.frames import ErrorShape, decode_payload
from openclaw_client.wire.requests import encode_event, encode_response
from tests.protocol.helpers import START, challenged, connecting, events, hello, ready, sent

TICK = encode_event("tick", {"ts": 1})


def answer(core: ClientProtocol, ident: str, payload: object = None, now: float = START) -> None:
    core.receive(encode_response(ident, payload), now)


def test_a_request_and_its_answer() -> None:
    core = ready()
    ident = core.request("status", {"a": 1}, START, 30, tag="T")
    assert sent(core) == [{"type": "req", "id": ident, "method": "status", "params": {"a": 1}}]
    assert sent(core) == []
    answer(core, ident, {"b": 2})
    (event,) = events(core)
    assert isinstance(event, Responded)
    assert (event.tag, event.method, event.error, decode_payload(event.payload)) == ("T", "status", None, {"b": 2})


def test_answers_find_their_requests_in_any_order_and_once() -> None:
    core = ready()
    idents = [core.request("m", None, START, 30, tag=number) for number in range(3)]
    for number in (2, 0, 2, 1, 0):
        answer(core, idents[number])
    assert [event.tag for event in events(core) if isinstance(event, Responded)] == [2, 0, 1]
    assert len(set(idents)) == 3


def test_an_answer_to_nobody_is_dropped() -> None:
    core = ready()
    answer(core, "invalid")
    answer(core, "1:c", {"protocol": 4})
    assert (events(core), core.state) == ([], State.READY)


def test_a_refused_request_carries_the_error_and_the_payload() -> None:
    core = ready()
    ident = core.request("m", None, START, 30)
    core.receive(encode_response(ident, {"status": "error"}, ErrorShape("UNAVAILABLE", "busy")), START)
    (event,) = events(core)
    assert isinstance(event, Responded)
    assert event.error == ErrorShape("UNAVAILABLE", "busy")
    assert decode_payload(event.payload) == {"status": "error"}


def test_a_refusal_without_an_error_is_a_refusal() -> None:
    core = ready()
    ident = core.request("m", None, START, 30)
    core.receive(b'{"type":"res","id":"%s","ok":false}' % ident.encode(), START)
    (event,) = events(core)
    assert isinstance(event, Responded)
    assert event.error is not None
    assert "without saying why" in event.error.message


def test_an_accepted_answer_is_not_the_final_one_where_a_final_one_is_expected() -> None:
    core = ready(tickIntervalMs=3_600_000)
    ident = core.request("agent", None, START, 30, expect_final=True)
    answer(core, ident, {"status": "accepted"})
    assert events(core) == []
    core.handle_deadline(START + 1000)
    assert events(core) == []
    answer(core, ident, {"status": "accepted"})
    (event,) = events(core)
    assert isinstance(event, Responded)


def test_both_answers_are_told_where_both_are_asked_for() -> None:
    core = ready(tickIntervalMs=3_600_000)
    ident = core.request("agent", None, START, 30, tag="whose", both=True)
    answer(core, ident, {"status": "accepted"})
    (event,) = events(core)
    assert isinstance(event, Responded)
    assert (event.tag, decode_payload(event.payload), core.pending) == ("whose", {"status": "accepted"}, 1)
    core.handle_deadline(START + 1000)
    assert events(core) == []
    answer(core, ident, {"status": "ok"})
    (event,) = events(core)
    assert isinstance(event, Responded)
    assert (decode_payload(event.payload), core.pending) == ({"status": "ok"}, 0)
    refused = core.request("agent", None, START, 30, both=True)
    core.receive(encode_response(refused, None, ErrorShape()), START)
    assert [type(event) for event in events(core)] == [Responded]
    assert core.pending == 0


@pytest.mark.parametrize("payload", [{"status": "ok"}, {"status": 5}, {}, [], None, "accepted"])
def test_any_other_answer_is_final(payload: object) -> None:
    core = ready()
    answer(core, core.request("agent", None, START, 30, expect_final=True), payload)
    assert [type(event) for event in events(core)] == [Responded]


def test_an_answer_with_broken_text_in_it_is_final() -> None:
    core = ready()
    ident = core.request("agent", None, START, 30, expect_final=True)
    core.receive(b'{"type":"res","id":"%s","ok":true,"payload":{"status":"\xff"}}' % ident.encode(), START)
    assert [type(event) for event in events(core)] == [Responded]


def test_a_refusal_is_final() -> None:
    core = ready()
    ident = core.request("agent", None, START, 30, expect_final=True)
    core.receive(encode_response(ident, {"status": "accepted"}, ErrorShape()), START)
    assert [type(event) for event in events(core)] == [Responded]


def test_without_a_final_one_expected_the_accepted_answer_is_the_answer() -> None:
    core = ready()
    answer(core, core.request("agent", None, START, 30), {"status": "accepted"})
    assert [type(event) for event in events(core)] == [Responded]


def test_a_forgotten_request_has_no_answer() -> None:
    core = ready()
    ident = core.request("m", None, START, 30, tag="whose")
    assert core.forget(ident) == "whose"
    assert core.forget(ident) is core.forget("never was") is None
    answer(core, ident)
    core.receive_close(1000, "")
    assert [type(event) for event in events(core)] == [Ended]


def test_a_trace_context_stands_in_the_frame_and_only_where_there_is_one() -> None:
    core = ready()
    core.request("m", None, START, 30, traceparent="00-trace")
    core.request("m", None, START, 30)
    traced, plain = (json.loads(frame) for frame in core.outbox())
    assert traced["traceparent"] == "00-trace"
    assert plain.keys() == {"type", "id", "method"}


def circle() -> list[object]:
    own: list[object] = []
    own.append(own)
    return own


@pytest.mark.parametrize("params", [{"a": object()}, {"a": "\ud83d"}, {"a": circle()}, {("a",): 1}])
def test_parameters_that_are_no_json_leave_nothing_behind(params: dict[str, object]) -> None:
    core = ready()
    with pytest.raises(UsageError, match="cannot be written as JSON"):
        core.request("m", params, START, 30)
    core.receive_close(1000, "")
    assert (sent(core), [type(event) for event in events(core)]) == ([], [Ended])


@pytest.mark.parametrize(("announced", "limit"), [(1000, 1000), (10**12, limits.MAX_FRAME_BYTES)])
def test_the_limit_is_the_gateways_and_never_above_the_protocols(announced: int, limit: int) -> None:
    core = ready(maxPayload=announced)
    envelope = len(b'{"type":"req","id":"2:c","method":"m","params":{"a":""}}')
    core.request("m", {"a": "x" * (limit - envelope)}, START, 30)
    assert [len(item) for item in core.outbox() if isinstance(item, bytes)] == [limit]
    with pytest.raises(PayloadTooLarge) as caught:
        core.request("m", {"a": "x" * (limit - envelope + 1)}, START, 30)
    assert (caught.value.size, caught.value.limit, sent(core)) == (limit + 1, limit, [])


# Time.


def test_the_challenge_is_waited_for_so_long() -> None:
    core = ClientProtocol(START)
    assert core.deadline() == START + limits.CHALLENGE_TIMEOUT
    core.handle_deadline(core.deadline() - 0.01)
    assert core.state is State.AWAITING_CHALLENGE
    core.handle_deadline(core.deadline())
    assert core.end == ConnectionEnd(Cause.CHALLENGE_TIMEOUT, 1008, "connect challenge timeout")
    assert (sent(core), core.deadline()) == ([Close(1008, "connect challenge timeout")], inf)
    core.handle_deadline(START + 100)
    assert sent(core) == []


def test_the_owner_has_as_long_to_sign_as_the_gateway_to_answer() -> None:
    core = challenged(START + 5)
    assert core.deadline() == START + 5 + limits.HELLO_TIMEOUT
    core.handle_deadline(core.deadline())
    assert core.end == ConnectionEnd(Cause.HELLO_TIMEOUT, 4000, "connect timeout")


def test_hello_is_waited_for_so_long() -> None:
    core = connecting(START + 5)
    assert core.deadline() == START + 5 + limits.HELLO_TIMEOUT
    core.handle_deadline(core.deadline())
    assert core.end == ConnectionEnd(Cause.HELLO_TIMEOUT, 4000, "connect timeout")
    assert sent(core) == [Close(4000, "connect timeout")]
    core.receive(hello(), START + 30)
    assert (core.state, core.hello) == (State.CLOSING, None)


def test_a_request_expires_and_its_late_answer_is_dropped() -> None:
    core = ready()
    slow = core.request("slow", None, START, 10, tag="S")
    fast = core.request("fast", None, START, 5, tag="F")
    core.request("endless", None, START, None)
    assert core.deadline() == START + 5
    answer(core, fast, now=START + 1)
    core.handle_deadline(START + 5)
    assert [type(event) for event in events(core)] == [Responded]
    assert core.deadline() == START + 10
    core.handle_deadline(START + 10)
    assert events(core) == [Expired("S", "slow", 10)]
    answer(core, slow, now=START + 11)
    assert events(core) == []


def test_a_silent_gateway_is_given_up_after_two_tick_intervals() -> None:
    core = ready(tickIntervalMs=15_000)
    assert core.deadline() == START + 30
    core.receive(TICK, START + 20)
    core.handle_deadline(START + 30)
    assert core.deadline() == START + 50
    core.handle_deadline(START + 50)
    assert core.end == ConnectionEnd(Cause.SILENT, 4000, "tick timeout")
    assert sent(core) == [Close(4000, "tick timeout")]


@pytest.mark.parametrize("data", [TICK, b'{"type":"res","id":"x","ok":true}', b"rubbish"])
def test_whatever_comes_is_a_sign_of_life(data: bytes) -> None:
    core = ready()
    core.receive(data, START + 59)
    core.handle_deadline(START + 60)
    assert (core.end, core.last_activity) == (None, START + 59)


def test_a_process_that_slept_does_not_blame_the_gateway_but_asks_for_one_more_tick() -> None:
    core = ready()
    woke = START + 60 + STALL_TOLERANCE + 0.1
    core.handle_deadline(woke)
    assert (core.end, core.deadline()) == (None, woke + 30)
    core.handle_deadline(core.deadline())
    assert core.end is not None
    assert core.end.cause is Cause.SILENT


def test_lateness_within_the_tolerance_is_the_gateways_silence() -> None:
    core = ready()
    core.handle_deadline(START + 60 + STALL_TOLERANCE)
    assert core.end is not None


class Requests(RuleBasedStateMachine):
    """Any mix of requests, answers, departures and time: each request is answered exactly once, or forgotten."""

    @initialize()
    def connect(self) -> None:
        self.now = START
        self.core = ready(tickIntervalMs=3_600_000_000)
        self.idents: dict[int, str] = {}
        self.limits: dict[int, float | None] = {}
        self.heard: list[tuple[int, type[CoreEvent]]] = []
        self.forgotten: set[int] = set()

    @rule(timeout=st.none() | st.integers(1, 20), final=st.booleans())
    def ask(self, timeout: int | None, final: bool) -> None:
        if self.core.state is State.READY:
            tag = len(self.idents)
            self.idents[tag] = self.core.request("m", None, self.now, timeout, tag=tag, expect_final=final)
            self.limits[tag] = None if timeout is None else self.now + timeout

    @rule(number=st.integers(0, 30), accepted=st.booleans(), ok=st.booleans())
    def answer(self, number: int, accepted: bool, ok: bool) -> None:
        ident = self.idents.get(number, "unknown")
        payload = {"status": "accepted" if accepted else "ok"}
        self.core.receive(encode_response(ident, payload, None if ok else ErrorShape()), self.now)
        if number in self.limits and accepted and ok:
            self.limits[number] = None

    @rule(number=st.integers(0, 30))
    def leave(self, number: int) -> None:
        if number in self.idents and number not in {tag for tag, _ in self.heard}:
            self.core.forget(self.idents[number])
            self.forgotten.add(number)

    @rule(seconds=st.integers(1, 10))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        if self.core.deadline() <= self.now:
            self.core.handle_deadline(self.now)

    @rule(code=st.sampled_from([None, 1000, 1012]))
    def lose(self, code: int | None) -> None:
        if len(self.idents) > 3:
            self.core.receive_close(code, "")

    @invariant()
    def nobody_hears_twice(self) -> None:
        if not hasattr(self, "core"):
            return
        for event in events(self.core):
            if isinstance(event, Responded | Expired | Abandoned):
                self.heard.append((event.tag, type(event)))
        tags = [tag for tag, _ in self.heard]
        assert len(tags) == len(set(tags))
        assert not self.forgotten & set(tags)
        for tag, limit in self.limits.items():
            overdue = limit is not None and limit <= self.now
            if overdue or self.core.state is State.CLOSED:
                assert tag in tags or tag in self.forgotten


TestRequests = Requests.TestCase
