"""Which sessions are a client's own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from openclaw_client.errors import UsageError
from openclaw_client.sessions.filter import MAX_LISTED, MAX_USED, SessionFilter
from openclaw_client.wire.handshake import Hello, decode_hello

ANNS = "agent:main:web:ann"


def hello(**defaults: str) -> Hello:
    snapshot: dict[str, Any] = {"sessionDefaults": defaults} if defaults else {}
    made = decode_hello(msgspec.Raw(msgspec.json.encode({"protocol": 4, "snapshot": snapshot})))
    assert made is not None
    return made


def test_without_anything_given_every_session_is_handed_out() -> None:
    sessions = SessionFilter()
    assert not sessions.restricted
    assert sessions.accepts("agent:main:anything")
    assert (sessions.given, sessions.named()) == ((), [])


@pytest.mark.parametrize("private", [False, True])
def test_a_list_of_keys_in_any_spelling(private: bool) -> None:
    sessions = SessionFilter(["Web:Ann", "main"], private=private)
    assert sessions.restricted
    assert [sessions.accepts(key) for key in (ANNS, "web:ann", "agent:main:main", "MAIN")] == 4 * [True]
    assert not sessions.accepts("agent:main:web:bob")
    assert sessions.given == ("Web:Ann", "main")


def test_an_empty_list_is_no_session_at_all() -> None:
    sessions = SessionFilter([])
    assert sessions.restricted
    assert not sessions.accepts("main")


def test_a_predicate_gets_the_canonical_key() -> None:
    seen: list[str] = []

    def accepts(key: str) -> bool:
        seen.append(key)
        return key.endswith(":ann")

    sessions = SessionFilter(accepts)
    assert sessions.accepts("Web:Ann")
    assert not sessions.accepts("web:bob")
    assert seen == [ANNS, "agent:main:web:bob"]


def test_a_predicate_that_raises_says_no_and_is_complained_of_once(caplog: pytest.LogCaptureFixture) -> None:
    def breaks(key: str) -> bool:
        raise RuntimeError(key)

    sessions = SessionFilter(breaks)
    with caplog.at_level(logging.ERROR, "openclaw_client.client"):
        assert not sessions.accepts("main")
        assert not sessions.accepts("other")
    assert len(caplog.records) == 1


def test_ctrl_c_within_a_predicate_goes_on() -> None:
    def interrupted(key: str) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SessionFilter(interrupted).accepts("main")


async def coroutine(key: str) -> bool:
    return True


@pytest.mark.parametrize(
    ("sessions", "what"), [("main", "a string"), (5, "no list of session keys"), (coroutine, "async def")]
)
def test_what_is_no_list_of_keys(sessions: Any, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        SessionFilter(sessions)


def test_a_key_that_is_none() -> None:
    with pytest.raises(UsageError):
        SessionFilter([""])


def test_a_private_client_has_nothing_but_what_it_used() -> None:
    sessions = SessionFilter(private=True)
    assert not sessions.accepts(ANNS)
    sessions.mark_used("Web:Ann")
    assert sessions.accepts(ANNS)
    assert sessions.named() == ["Web:Ann"]
    # An event that names no session is nobody's.
    assert not sessions.accepts("")


def test_also_with_a_predicate_an_event_without_a_session_is_nobodys() -> None:
    everything: Callable[[str], bool] = lambda key: True  # noqa: E731
    assert not SessionFilter(everything, private=True).accepts("")
    assert SessionFilter(everything).accepts("")


@pytest.mark.parametrize("key", [None, "", 5])
def test_what_names_no_session_is_not_used(key: object) -> None:
    sessions = SessionFilter(private=True)
    sessions.mark_used(key)
    assert sessions.named() == []


@pytest.mark.parametrize("given", [None, lambda key: True, MAX_LISTED + 1])
def test_one_client_for_all_remembers_nothing(given: Any) -> None:
    sessions = SessionFilter([f"web:{number}" for number in range(given)] if isinstance(given, int) else given)
    sessions.mark_used("other")
    assert "other" not in sessions.named()
    assert (sessions.listed, sessions.remembers) == (False, False)


def test_what_a_client_with_a_list_uses_beside_it_is_not_its_own() -> None:
    sessions = SessionFilter(["main"])
    sessions.mark_used("other")
    assert sessions.named() == ["main", "other"]
    assert not sessions.accepts("other")


@pytest.mark.parametrize(
    ("given", "private", "listed"),
    [
        (None, False, False),
        (None, True, True),
        ([], False, True),
        (["main"], False, True),
        (["main"], True, True),
        (lambda key: True, False, False),
        (lambda key: True, True, False),
        ([f"web:{number}" for number in range(MAX_LISTED)], False, True),
        ([f"web:{number}" for number in range(MAX_LISTED + 1)], True, False),
    ],
)
def test_what_can_be_named_session_by_session(given: Any, private: bool, listed: bool) -> None:
    sessions = SessionFilter(given, private=private)
    assert sessions.listed is listed
    assert sessions.remembers is (listed or private)


def test_of_very_many_used_sessions_the_longest_unused_is_forgotten() -> None:
    sessions = SessionFilter(["given"], private=True)
    for number in range(MAX_USED):
        sessions.mark_used(str(number))
    sessions.mark_used("0")
    sessions.mark_used("new")
    assert [sessions.accepts(key) for key in ("0", "1", "2", "new", "given")] == [True, False, True, True, True]
    assert len(sessions.named()) == MAX_USED + 1


def test_two_spellings_of_a_session_are_one() -> None:
    sessions = SessionFilter(private=True)
    for number in range(MAX_USED):
        assert sessions.mark_used(f"Web:{number}") is None
        assert sessions.mark_used(f"agent:main:web:{number}") is None
    assert (sessions.named()[0], len(sessions.named())) == ("Web:0", MAX_USED)
    assert sessions.mark_used("new") == "Web:0"
    assert not sessions.accepts("web:0")


def test_what_was_used_is_known_by_what_another_gateway_calls_it() -> None:
    sessions = SessionFilter(private=True)
    sessions.mark_used("main")
    sessions.learn(hello(defaultAgentId="ops", mainKey="home"))
    assert sessions.accepts("agent:ops:home")
    assert sessions.mark_used("agent:ops:home") is None
    assert sessions.named() == ["main"]


def test_sessions_that_are_given_later_stand_beside_those_in_use() -> None:
    sessions = SessionFilter(private=True)
    sessions.mark_used("used")
    sessions.allow(["given"])
    assert (sessions.accepts("used"), sessions.accepts("given")) == (True, True)
    sessions.allow(lambda key: key.endswith(":third"))
    assert [sessions.accepts(key) for key in ("used", "given", "third")] == [True, False, True]


def test_what_a_gateway_calls_its_main_session() -> None:
    sessions = SessionFilter(["main"])
    sessions.learn(hello(defaultAgentId="ops", mainKey="hall"))
    assert sessions.canonical("main") == "agent:ops:hall"
    assert sessions.accepts("agent:ops:hall")
    assert not sessions.accepts("agent:main:main")
    # One that does not say changes nothing.
    sessions.learn(hello())
    assert sessions.accepts("agent:ops:hall")
    # And one that leaves a name out has the usual one.
    sessions.learn(hello(mainKey="hall"))
    assert sessions.canonical("main") == "agent:main:hall"


def test_sessions_that_were_named_and_those_that_a_function_knows() -> None:
    assert SessionFilter(["web:ann"]).by_name
    assert SessionFilter(private=True).by_name
    assert not SessionFilter().by_name
    assert not SessionFilter(lambda key: True).by_name
    assert not SessionFilter(lambda key: True, private=True).by_name
