"""One breaker per gateway host, for as long as it has something to remember."""

from __future__ import annotations

from openclaw_client.connection.breakers import SWEEP, _breakers, breaker_for
from openclaw_client.policy.breaker import WINDOW
from openclaw_client.policy.urls import parse_url


def test_a_process_that_meets_many_gateways_forgets_those_that_did_nothing() -> None:
    bad = breaker_for(parse_url("wss://Bad.example"), 0.0)
    bad.failed(0.0)
    for number in range(20 * SWEEP):
        breaker_for(parse_url(f"wss://user-{number}.example"), WINDOW - 1)
    assert len(_breakers) <= SWEEP
    assert breaker_for(parse_url("wss://bad.example"), WINDOW - 1) is bad
    for number in range(SWEEP):
        breaker_for(parse_url(f"wss://other-{number}.example"), WINDOW)
    assert breaker_for(parse_url("wss://bad.example"), WINDOW) is not bad


def test_those_that_remember_something_are_kept_however_many_they_are() -> None:
    for number in range(3 * SWEEP):
        breaker_for(parse_url(f"wss://user-{number}.example"), 0.0).failed(0.0)
    assert len(_breakers) == 3 * SWEEP
