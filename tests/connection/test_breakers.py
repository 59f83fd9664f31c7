"""One breaker per gateway, for as long as it has something to remember."""

from __future__ import annotations

from openclaw_client.connection.breakers import (
    REMEMBERED,
    SWEEP,
    _breakers,
    _known,
    breaker_for,
    credentials_key,
    forgive,
    is_known,
    learn,
    unlearn,
)
from openclaw_client.policy.breaker import BUDGET, WINDOW
from openclaw_client.policy.credentials import AuthInput
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


def test_gateways_behind_one_host_have_breakers_of_their_own() -> None:
    ann = breaker_for(parse_url("wss://gateway.example/ann"), 0.0)
    assert ann is not breaker_for(parse_url("wss://gateway.example/bob"), 0.0)
    assert ann is breaker_for(parse_url("wss://GATEWAY.example/ann"), 0.0)
    assert ann is breaker_for(parse_url("wss://gateway.example/ann?theme=dark"), 0.0)


def test_credentials_are_known_by_gateway_and_value_and_shown_by_nothing() -> None:
    ann, bob = parse_url("wss://gateway.example/ann"), parse_url("wss://gateway.example/bob")
    given = [AuthInput(token="a"), AuthInput(password="a"), AuthInput(token="a", password="b"), AuthInput(token="ab")]
    keys = {credentials_key(url, one) for url in (ann, bob) for one in given}
    assert len(keys) == 8
    assert credentials_key(ann, AuthInput(token="a")) in keys
    assert credentials_key(ann, AuthInput()) is None


def test_what_was_let_in_is_known_until_it_is_refused() -> None:
    key = credentials_key(parse_url("wss://gateway.example"), AuthInput(token="a"))
    assert learn(key)
    assert not learn(key)
    assert is_known(key)
    unlearn(key)
    assert not is_known(key)
    assert not learn(None)
    unlearn(None)


def test_the_credentials_that_are_known_are_bounded_in_number() -> None:
    for number in range(REMEMBERED + 10):
        learn(str(number).encode())
    assert len(_known) == REMEMBERED
    assert not is_known(b"9")
    assert is_known(b"10")


def test_forgiving_needs_no_breaker() -> None:
    url, given = parse_url("wss://gateway.example"), AuthInput(token="a")
    forgive(url, given)
    for _ in range(BUDGET):
        breaker_for(url, 0.0).failed(0.0, credentials_key(url, given))
    forgive(url, AuthInput(token="b"))
    assert breaker_for(url, 0.0).delay(0.0, b"new") == 0.0
    assert breaker_for(url, 0.0).delay(0.0, credentials_key(url, given)) > 0
    forgive(url, given)
    assert breaker_for(url, 0.0).delay(0.0, credentials_key(url, given)) == 0.0
