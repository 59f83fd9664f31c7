"""When a host publishes its tools, and what it is meanwhile. On a moved clock."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from openclaw_client.errors import (
    AuthRejected,
    MethodUnavailable,
    PairingRequired,
    RequestFailed,
    RequestTimeout,
)
from openclaw_client.tools.publication import (
    ASK_FIRST,
    PUBLISH_EVERY,
    REPLACED_WITHIN,
    RETRY_FIRST,
    HostAction,
    HostState,
    Publication,
)

NAMES = ("stock", "book")
CHANGED = RequestFailed(code="UNAVAILABLE", message="node pairing changed", details={"code": "PAIRING_CHANGED"})
BUSY = RequestFailed(code="UNAVAILABLE", message="starting", retryable=True)
WRONG_ROLE = RequestFailed(code="INVALID_REQUEST", message="unauthorized role: node", gateway_version="2026.7.35")
BAD_LIST = RequestFailed(code="INVALID_REQUEST", message="at /tools/0: bad")
UNPAIRED = PairingRequired(request_id="r1")


def ready() -> Publication:
    """One whose list has been sent."""
    machine = Publication()
    machine.begin()
    assert machine.state is HostState.CONNECTING
    machine.ready()
    assert machine.actions() == [HostAction.PUBLISH]
    return machine


def published(now: float = 0.0) -> Publication:
    machine = ready()
    machine.answered(NAMES, NAMES, now)
    return machine


def test_the_list_is_published_first_thing_and_again_every_minute() -> None:
    machine = published(10.0)
    assert machine.state is HostState.PUBLISHED
    assert machine.published == NAMES
    assert machine.deadline() == 10.0 + PUBLISH_EVERY
    machine.handle_deadline(machine.deadline() - 0.1)
    assert machine.actions() == []
    machine.handle_deadline(machine.deadline())
    assert machine.actions() == [HostAction.PUBLISH]
    assert machine.deadline() == inf
    # What counted goes on counting meanwhile.
    assert machine.published == NAMES


def test_one_at_a_time_and_the_newest_wins() -> None:
    machine = ready()
    machine.changed()
    machine.changed()
    assert machine.actions() == []
    machine.answered(NAMES, NAMES, 0.0)
    assert machine.actions() == [HostAction.PUBLISH]
    machine.answered(("stock",), ("stock",), 0.0)
    assert machine.actions() == []
    assert machine.published == ("stock",)


def test_nothing_counts_before_the_approval_and_it_is_asked_again() -> None:
    machine = ready()
    machine.answered((), NAMES, 0.0)
    assert machine.state is HostState.WAITING_FOR_APPROVAL
    assert "openclaw nodes approve" in (machine.waiting_for or "")
    assert machine.deadline() == ASK_FIRST
    waits, now = [], 0.0
    for _ in range(9):
        waits.append(machine.deadline() - now)
        now = machine.deadline()
        machine.handle_deadline(now)
        assert machine.actions() == [HostAction.PUBLISH]
        machine.answered((), NAMES, now)
    assert waits == sorted(waits)
    assert waits[-1] == PUBLISH_EVERY
    # Told of it.
    machine.changed()
    assert machine.actions() == [HostAction.PUBLISH]
    machine.answered(NAMES, NAMES, now)
    assert machine.state is HostState.PUBLISHED
    assert machine.waiting_for is None


def test_a_host_without_tools_waits_for_nobody() -> None:
    machine = ready()
    machine.answered((), (), 0.0)
    assert machine.state is HostState.PUBLISHED


def test_what_does_not_count_is_told_once() -> None:
    machine = ready()
    assert machine.answered(("stock",), NAMES, 0.0) == ("book",)
    assert machine.published == ("stock",)
    machine.changed()
    assert machine.answered(("stock",), NAMES, 1.0) == ()
    machine.lost()
    machine.ready()
    assert machine.answered(("stock",), NAMES, 2.0) == ()
    assert machine.answered(NAMES, NAMES, 3.0) == ()
    assert machine.answered(("stock",), NAMES, 4.0) == ("book",)
    # What nobody published counts for nobody.
    assert machine.answered(("stock", "sell"), ("stock",), 5.0) == ()
    assert machine.published == ("stock",)


def test_the_place_is_taken_back_once_in_five_minutes() -> None:
    machine = published()
    machine.refused(CHANGED, 60.0)
    assert machine.actions() == [HostAction.RECONNECT]
    assert machine.state is HostState.CONNECTING
    machine.ready()
    assert machine.actions() == [HostAction.PUBLISH]
    machine.answered(NAMES, NAMES, 61.0)
    machine.refused(CHANGED, 60.0 + REPLACED_WITHIN)
    assert machine.actions() == [HostAction.RECONNECT]
    machine.ready()
    machine.actions()
    machine.refused(CHANGED, 60.0 + 2 * REPLACED_WITHIN - 1.0)
    assert machine.actions() == [HostAction.STOP]
    assert machine.state is HostState.REPLACED
    assert machine.published == ()
    assert machine.deadline() == inf
    assert "another process" in str(machine.error)
    machine.begin()
    assert machine.state is HostState.CONNECTING
    assert machine.error is None


@pytest.mark.parametrize("refusal", [WRONG_ROLE, MethodUnavailable(method="x", gateway_version="2026.4.15")])
def test_a_gateway_that_takes_no_tools(refusal: RequestFailed) -> None:
    machine = ready()
    machine.refused(refusal, 0.0)
    assert machine.actions() == [HostAction.STOP]
    assert machine.state is HostState.PAUSED
    assert isinstance(machine.error, MethodUnavailable)
    assert f"needs gateway 2026.8; this is {refusal.gateway_version}" in str(machine.error)


@pytest.mark.parametrize("failure", [BUSY, RequestTimeout(timeout=30.0)])
def test_what_passes_is_tried_again_at_growing_distances(failure: Any) -> None:
    machine = ready()
    waits, now = [], 0.0
    for _ in range(8):
        machine.refused(failure, now)
        assert machine.state is HostState.CONNECTING
        waits.append(machine.deadline() - now)
        now = machine.deadline()
        machine.handle_deadline(now)
        assert machine.actions() == [HostAction.PUBLISH]
    assert waits[:3] == [RETRY_FIRST, 2 * RETRY_FIRST, 4 * RETRY_FIRST]
    assert waits[-1] == PUBLISH_EVERY


def test_a_hint_is_followed_and_not_for_ever() -> None:
    machine = ready()
    machine.refused(RequestFailed(code="UNAVAILABLE", retry_after=7.0), 0.0)
    assert machine.deadline() == 7.0
    machine.refused(RequestFailed(code="UNAVAILABLE", retry_after=1e9), 0.0)
    assert machine.deadline() == 3600.0


def test_a_list_that_is_refused_ends_the_host_only_where_none_counted() -> None:
    machine = ready()
    machine.refused(BAD_LIST, 0.0)
    assert machine.actions() == [HostAction.STOP]
    assert machine.state is HostState.PAUSED
    assert machine.error is BAD_LIST
    machine = published()
    machine.changed()
    machine.actions()
    machine.refused(BAD_LIST, 1.0)
    assert machine.actions() == []
    assert machine.state is HostState.PUBLISHED
    assert machine.published == NAMES
    assert machine.error is BAD_LIST


def test_a_device_that_waits() -> None:
    machine = Publication()
    machine.begin()
    machine.needs_device(UNPAIRED)
    assert machine.state is HostState.WAITING_FOR_DEVICE
    assert "openclaw devices approve r1" in (machine.waiting_for or "")
    assert "openclaw-client devices approve r1" in (machine.waiting_for or "")
    machine.needs_device(PairingRequired())
    assert "openclaw devices list" in (machine.waiting_for or "")
    machine.ready()
    assert machine.state is HostState.CONNECTING
    assert machine.error is None


def test_what_comes_too_late_changes_nothing() -> None:
    machine = ready()
    machine.off()
    machine.answered(NAMES, NAMES, 0.0)
    machine.refused(CHANGED, 0.0)
    machine.changed()
    machine.lost()
    machine.ready()
    machine.needs_device(UNPAIRED)
    machine.handle_deadline(1e9)
    assert machine.state is HostState.DISCONNECTED
    assert machine.actions() == []
    machine.begin()
    machine.begin()
    machine.lost()
    assert machine.state is HostState.CONNECTING


class AnyOrder(RuleBasedStateMachine):
    """In whatever order: one list is under way at most, and the newest one is what counts in the end."""

    @initialize()
    def begin(self) -> None:
        self.machine = Publication()
        self.now = 0.0
        self.tools: tuple[str, ...] = ("a",)
        self.sent: tuple[str, ...] | None = None
        self.up = False
        self.approved = False
        self.lost_at: list[float] = []
        self.machine.begin()

    def act(self) -> None:
        for action in self.machine.actions():
            if action is HostAction.PUBLISH:
                assert self.up
                assert self.sent is None, "two at once"
                self.sent = self.tools
            else:
                self.up, self.sent = False, None

    @precondition(lambda self: not self.up)
    @rule()
    def connect(self) -> None:
        self.machine.begin()
        self.up, self.sent = True, None
        self.machine.ready()
        self.act()

    @precondition(lambda self: self.up)
    @rule()
    def cut(self) -> None:
        self.up, self.sent = False, None
        self.machine.lost()
        self.act()

    @rule(names=st.lists(st.sampled_from("abcd"), unique=True, max_size=3))
    def offer(self, names: list[str]) -> None:
        self.tools = tuple(names)
        self.machine.changed()
        self.act()

    @precondition(lambda self: self.sent is not None)
    @rule()
    def take(self) -> None:
        assert self.sent is not None
        sent, self.sent = self.sent, None
        self.machine.answered(sent if self.approved else (), sent, self.now)
        self.act()

    @precondition(lambda self: self.sent is not None)
    @rule(error=st.sampled_from([CHANGED, BUSY, WRONG_ROLE, BAD_LIST, RequestTimeout(timeout=1.0)]))
    def refuse(self, error: Any) -> None:
        self.sent = None
        if error is CHANGED:
            self.lost_at.append(self.now)
        self.machine.refused(error, self.now)
        self.act()

    @rule()
    def approve(self) -> None:
        self.approved = True
        self.machine.changed()
        self.act()

    @rule(seconds=st.floats(0.0, 400.0))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.machine.handle_deadline(self.now)
        self.act()

    @rule(error=st.sampled_from([UNPAIRED, AuthRejected()]))
    def fall(self, error: Any) -> None:
        if not self.up:
            if isinstance(error, PairingRequired):
                self.machine.needs_device(error)
            else:
                self.machine.stopped(error)
            self.act()

    @invariant()
    def it_never_rests(self) -> None:
        """On a connection there is always a list under way, or a time for the next one."""
        if self.up:
            assert (self.sent is not None) != (self.machine.deadline() < inf)
        else:
            assert self.machine.deadline() == inf
            assert self.machine.published == ()

    @invariant()
    def what_is_published_counts(self) -> None:
        if self.machine.published:
            assert self.machine.state is HostState.PUBLISHED
        if self.machine.state is HostState.REPLACED:
            assert self.lost_at[-1] - self.lost_at[-2] < REPLACED_WITHIN
        if self.machine.state is HostState.WAITING_FOR_APPROVAL:
            assert self.machine.waiting_for

    def teardown(self) -> None:
        """Left alone with a gateway that takes everything, it ends with the newest list."""
        if not hasattr(self, "machine"):
            return
        self.approved = True
        if not self.up:
            self.connect()
        for _ in range(5):
            if self.sent is None:
                self.wait(max(self.machine.deadline() - self.now, 0.0))
            self.take()
        assert self.machine.published == self.tools
        assert self.machine.state is HostState.PUBLISHED


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
