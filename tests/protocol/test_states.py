"""The table of transitions, held against the core: every state with every thing that can happen."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from openclaw_client.errors import NotConnected, UsageError
from openclaw_client.protocol.client import ClientProtocol
from openclaw_client.protocol.states import TRANSITIONS, State, Trigger
from openclaw_client.wire.requests import encode_event
from tests.protocol.helpers import CHALLENGE, PARAMS, START, events, hello, in_state, sent

CAUSES: dict[Trigger, Callable[[ClientProtocol], None]] = {
    Trigger.CHALLENGE: lambda core: core.receive(CHALLENGE, START),
    Trigger.HELLO: lambda core: core.receive(hello(), START),
    Trigger.CLOSE: lambda core: core.close(),
    Trigger.GONE: lambda core: core.receive_close(1000, ""),
}


@pytest.mark.parametrize(("state", "trigger"), list(itertools.product(State, Trigger)))
def test_every_cell_of_the_table(state: State, trigger: Trigger) -> None:
    core = in_state(state)
    assert core.state is state
    CAUSES[trigger](core)
    assert core.state is TRANSITIONS.get((state, trigger), state)


@pytest.mark.parametrize("state", [state for state in State if state is not State.READY])
def test_nothing_is_requested_outside_of_ready(state: State) -> None:
    core = in_state(state)
    with pytest.raises(NotConnected, match=state.value):
        core.request("status", None, START, None)
    assert sent(core) == []


@pytest.mark.parametrize("state", list(State))
def test_connect_is_sent_once_and_after_the_challenge_only(state: State) -> None:
    core = in_state(state)
    with pytest.raises(UsageError, match=f"while {state.value}"):
        core.send_connect(PARAMS, START)
    assert sent(core) == []


@pytest.mark.parametrize("state", [state for state in State if state is not State.READY])
def test_events_and_responses_outside_of_ready_are_not_handed_out(state: State) -> None:
    core = in_state(state)
    core.receive(encode_event("tick", {"ts": 1}, 1), START)
    core.receive(b'{"type":"res","id":"99","ok":true}', START)
    core.receive(b"rubbish", START)
    assert events(core) == []
    assert core.state is state


def test_closed_is_the_end_and_everything_leads_there() -> None:
    assert not [cell for cell in TRANSITIONS if cell[0] is State.CLOSED]
    for state in State:
        assert state is State.CLOSED or TRANSITIONS[state, Trigger.GONE] is State.CLOSED
