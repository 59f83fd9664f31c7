"""The clocks of a run: the caller's limits, and the silences after which the gateway is asked."""

from __future__ import annotations

from math import inf

from openclaw_client.runs.clock import SILENCE, SILENCE_AFTER_GAP, UNANSWERED, RunClock, RunLimits


def test_without_limits_only_silence_counts() -> None:
    clock = RunClock(RunLimits())
    clock.begin(5.0)
    clock.sent(10.0)
    assert clock.limit_at == inf
    assert clock.away_at == inf
    assert clock.unanswered_at == inf
    assert clock.quiet_at == 10.0 + SILENCE
    clock.lost(11.0)
    assert clock.away_at == inf


def test_the_total_limit_counts_from_the_call() -> None:
    clock = RunClock(RunLimits(total=60.0, idle=100.0))
    clock.begin(5.0)
    clock.sent(10.0)
    assert clock.limit_at == 65.0
    assert clock.limit_passed() == ("total", 60.0)
    # It is told once.
    assert clock.limit_at == inf


def test_the_idle_limit_counts_from_the_last_sign_of_the_run_or_its_session() -> None:
    clock = RunClock(RunLimits(idle=20.0))
    clock.begin(5.0)
    clock.sent(10.0)
    clock.sent(15.0)
    assert clock.limit_at == 30.0
    clock.sign(12.0)
    assert clock.limit_at == 32.0
    clock.session_sign = 14.0
    assert clock.limit_at == 34.0
    assert clock.limit_passed() == ("idle", 20.0)


def test_silence_begins_with_the_latest_sending_or_sign() -> None:
    clock = RunClock(RunLimits())
    clock.sent(10.0)
    clock.sent(12.0)
    assert clock.quiet_at == 12.0 + SILENCE
    clock.sign(20.0, 16.0)
    assert clock.quiet_at == 36.0
    clock.asked(36.0)
    assert clock.quiet_at == 36.0 + SILENCE


def test_a_doubt_makes_silence_shorter_and_never_longer() -> None:
    clock = RunClock(RunLimits())
    clock.sent(10.0)
    clock.doubt(20.0, SILENCE_AFTER_GAP)
    assert clock.quiet_at == 20.0 + SILENCE_AFTER_GAP
    clock.doubt(22.0, SILENCE_AFTER_GAP)
    assert clock.quiet_at == 20.0 + SILENCE_AFTER_GAP
    clock.sign(21.0)
    assert clock.quiet_at == 21.0 + SILENCE


def test_the_time_away() -> None:
    clock = RunClock(RunLimits(away=600.0))
    clock.lost(100.0)
    assert clock.away_at == 700.0
    clock.back()
    assert clock.away_at == inf


def test_a_message_is_unanswered_when_nothing_of_the_session_was_heard() -> None:
    clock = RunClock(RunLimits())
    clock.sent(10.0)
    clock.unanswered = True
    assert clock.unanswered_at == 10.0 + UNANSWERED
    clock.sign(20.0)
    clock.session_sign = 30.0
    assert clock.unanswered_at == 30.0 + UNANSWERED


def test_the_time_that_is_left_of_the_total() -> None:
    clock = RunClock(RunLimits(idle=5.0))
    clock.begin(5.0)
    assert clock.time_left(100.0) is None
    clock = RunClock(RunLimits(total=60.0))
    clock.begin(5.0)
    assert [clock.time_left(now) for now in (5.0, 25.0, 65.0, 90.0)] == [60.0, 40.0, 0.0, 0.0]
