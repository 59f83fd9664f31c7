"""The table of a run's life."""

from __future__ import annotations

from openclaw_client.runs.phases import TRANSITIONS, Phase, Step

ALIVE = [phase for phase in Phase if phase is not Phase.ENDED]


def test_nothing_leads_out_of_the_end() -> None:
    assert all(phase is not Phase.ENDED for phase, _ in TRANSITIONS)


def test_every_phase_can_end_and_only_so() -> None:
    ends = {phase for (phase, step), to in TRANSITIONS.items() if to is Phase.ENDED and step is Step.OUTCOME}
    assert ends == set(ALIVE)
    assert all(step is Step.OUTCOME for (_, step), to in TRANSITIONS.items() if to is Phase.ENDED)


def test_nothing_that_was_sent_is_unsent_again_and_nothing_that_was_taken_only_sent() -> None:
    known = {Phase.TAKEN, Phase.OVER, Phase.DEFERRED, Phase.ENDED}
    for (phase, _), to in TRANSITIONS.items():
        assert to is not Phase.UNSENT
        assert phase not in known or to in known


def test_every_phase_is_reached() -> None:
    reached = {Phase.UNSENT}
    for _ in Phase:
        reached |= {to for (phase, _), to in TRANSITIONS.items() if phase in reached}
    assert reached == set(Phase)
