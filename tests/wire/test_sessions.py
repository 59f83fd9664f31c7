"""Session keys: which spellings are one session, and which keys are sent at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import UsageError
from openclaw_client.wire.sessions import SessionKey, canonical_key, check_session_key

keys = (
    st.sampled_from(["main", "agent:main:main", "Global", "", "x:y", "agent:", "agent:ops", "AGENT:Ops:main"])
    | st.text()
)


@pytest.mark.parametrize(
    ("key", "canonical"),
    [
        ("main", "agent:main:main"),
        ("global", "agent:main:main"),
        ("", "agent:main:main"),
        ("agent:main:main", "agent:main:main"),
        ("My-Custom_Key", "agent:main:my-custom_key"),
        (" agent:Ops:Telegram:42 ", "agent:ops:telegram:42"),
        ("agent:ops:main", "agent:ops:main"),
        ("unknown", "agent:main:unknown"),
    ],
)
def test_the_canonical_form_of_a_key(key: str, canonical: str) -> None:
    assert canonical_key(key) == canonical


def test_the_main_session_goes_by_the_name_that_the_gateway_gives_it() -> None:
    assert canonical_key("main", default_agent="Ops", main_key="Home") == "agent:ops:home"
    assert canonical_key("agent:ops:main", main_key="Home") == "agent:ops:home"


@given(key=keys, agent=st.sampled_from(["main", "Ops"]), main_key=st.sampled_from(["main", "Home"]))
def test_the_canonical_form_is_its_own(key: str, agent: str, main_key: str) -> None:
    once = canonical_key(key, default_agent=agent, main_key=main_key)
    assert canonical_key(once, default_agent=agent, main_key=main_key) == once


@pytest.mark.parametrize("key", ["main", "x" * 512, "agent:main:Grüße", " padded "])
def test_a_usable_key_is_sent_as_it_is(key: str) -> None:
    assert check_session_key(key) == key


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "empty"),
        ("  ", "empty"),
        (None, "must be text, not NoneType"),
        (5, "must be text, not int"),
        ("x" * 513, "513 characters"),
        ("a\nb", "control character"),
        ("a\x7fb", "control character"),
        ("\x00", "control character"),
    ],
)
def test_an_unusable_key_is_refused_before_anything_is_sent(key: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_session_key(key)


class TestBuiltKeys:
    def test_a_key_is_made_of_its_parts(self) -> None:
        assert SessionKey.agent("ops", "web", "ann") == "agent:ops:web:ann"
        assert SessionKey.agent("ops", "web", "Ann:x") == "agent:ops:web:%41nn%3ax"
        assert SessionKey.agent("ops", "web", 17) == "agent:ops:web:17"

    @given(
        left=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3),
        right=st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3),
    )
    def test_different_parts_are_different_sessions(self, left: list[str], right: list[str]) -> None:
        keys = [SessionKey.agent("ops", "x", *parts) for parts in (left, right)]
        assert (keys[0] == keys[1]) is (left == right)
        # Also to a gateway, which folds case; and what was built is canonical already.
        assert (SessionKey.canonical(keys[0]) == SessionKey.canonical(keys[1])) is (left == right)
        assert all(SessionKey.canonical(key) == key for key in keys)
        assert all(key.isascii() and key.isprintable() for key in keys)

    @given(
        agent=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True),
        parts=st.lists(st.text(min_size=1, max_size=8) | st.integers(), min_size=1, max_size=3),
    )
    def test_what_was_built_is_taken_apart(self, agent: str, parts: list[object]) -> None:
        key = SessionKey.agent(agent, "x", *parts)
        assert SessionKey.parse(key) == (agent, ("x", *map(str, parts)))

    @given(keys | st.text(st.sampled_from("agent:%41ops")) | st.from_regex(r"agent:ops:[a-z%0-9A-F:]*", fullmatch=True))
    def test_what_is_taken_apart_is_what_was_built(self, key: str) -> None:
        found = SessionKey.parse(key)
        assert found is None or SessionKey.agent(found[0], *found[1]) == key

    @pytest.mark.parametrize(
        ("key", "found"),
        [
            ("agent:ops:web:17", ("ops", ("web", "17"))),
            ("agent:ops:web:%41nn%3ax", ("ops", ("web", "Ann:x"))),
            ("agent:main:main", ("main", ("main",))),
        ],
    )
    def test_the_parts_of_a_key(self, key: str, found: tuple[str, tuple[str, ...]]) -> None:
        assert SessionKey.parse(key) == found

    @pytest.mark.parametrize(
        "key",
        [
            None,
            "",
            "main",
            "agent",
            "agent:ops",
            "agent:ops:",
            "agent:ops:web:",
            "Agent:ops:web",
            "agent:Ops:web",
            "agent:ops:Web",
            # One user in two spellings would be two keys of one user, or of two.
            "agent:ops:web:%61nn",
            "agent:ops:web:%4",
            "agent:ops:web:%C3%A9",
            "agent:ops:web:%ff",
            "agent:ops:web:é",
            "agent:ops:web 17",
            # The gateway's own.
            "agent:ops:subagent:1",
            "agent:ops:cron:1",
            "cron:1",
            f"agent:ops:{'x' * 512}",
        ],
    )
    def test_a_key_of_another_making_has_no_parts(self, key: str | None) -> None:
        assert SessionKey.parse(key) is None

    @pytest.mark.parametrize("agent", ["", "Ops", "a:b", "a b", "-a", "é", "x" * 65])
    def test_what_is_no_agent_id_is_refused(self, agent: str) -> None:
        with pytest.raises(UsageError, match="no agent id"):
            SessionKey.agent(agent, "web")

    @pytest.mark.parametrize("parts", [(), ("",), ("web", ""), ("subagent", "x"), ("cron",), ("web", "y" * 600)])
    def test_parts_that_make_no_session_are_refused(self, parts: tuple[str, ...]) -> None:
        with pytest.raises(UsageError):
            SessionKey.agent("ops", *parts)

    def test_spellings_compare(self) -> None:
        assert SessionKey.canonical("Main") == SessionKey.canonical("agent:main:main")
        assert SessionKey.canonical("x", default_agent="ops") == "agent:ops:x"
