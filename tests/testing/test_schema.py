"""The two dialects in which gateways complain about parameters."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_client.testing.profiles import PROFILES, profile_for
from openclaw_client.testing.schema import Anything, Fields, Flag, Items, Rule, Text, Whole, complaint

RULE = Fields(
    {
        "name": Text(low=1, high=5),
        "mode": Text(choices=frozenset({"a", "b"})),
        "count": Whole(low=1, high=9),
        "on": Flag(),
        "list": Items(Text(low=1)),
        "any": Anything(),
        "inner": Fields({"x": Whole()}, required=("x",)),
        "free": Fields(open=True),
    },
    required=("name", "mode"),
)
GOOD: dict[str, Any] = {"name": "n", "mode": "a"}


@pytest.mark.parametrize(
    ("value", "short", "verbose"),
    [
        (GOOD, "", ""),
        ({**GOOD, "count": 5.0, "on": True, "list": ["x"], "any": None, "inner": {"x": -1}, "free": {"y": 1}}, "", ""),
        (None, "must be object", "must be object"),
        (
            {},
            "must have required property 'name'",
            "must have required property 'name'; must have required property 'mode'",
        ),
        (
            {**GOOD, "x": 1, "y": 2},
            "at root: unexpected property 'x'",
            "at root: unexpected property 'x'; at root: unexpected property 'y'",
        ),
        (
            {**GOOD, "name": ""},
            "at /name: must not have fewer than 1 characters",
            "at /name: must NOT have fewer than 1 characters",
        ),
        (
            {**GOOD, "name": "abcdef"},
            "at /name: must not have more than 5 characters",
            "at /name: must NOT have more than 5 characters",
        ),
        (
            {**GOOD, "mode": "c"},
            "at /mode: must be equal to one of the allowed values",
            "at /mode: must be equal to constant; at /mode: must match a schema in anyOf",
        ),
        ({**GOOD, "name": 5}, "at /name: must be string", "at /name: must be string"),
        ({**GOOD, "count": 0}, "at /count: must be >= 1", "at /count: must be >= 1"),
        ({**GOOD, "count": 10}, "at /count: must be <= 9", "at /count: must be <= 9"),
        ({**GOOD, "count": 1.5}, "at /count: must be integer", "at /count: must be integer"),
        ({**GOOD, "count": True}, "at /count: must be integer", "at /count: must be integer"),
        ({**GOOD, "on": 1}, "at /on: must be boolean", "at /on: must be boolean"),
        ({**GOOD, "list": "x"}, "at /list: must be array", "at /list: must be array"),
        ({**GOOD, "list": ["x", 5]}, "at /list/1: must be string", "at /list/1: must be string"),
        (
            {**GOOD, "inner": {"y": 1}},
            "at /inner: must have required property 'x'; at /inner: unexpected property 'y'",
            "at /inner: must have required property 'x'; at /inner: unexpected property 'y'",
        ),
    ],
)
def test_complaints(value: Any, short: str, verbose: str) -> None:
    assert complaint(RULE, value, verbose=False) == short
    assert complaint(RULE, value, verbose=True) == verbose


def test_infinite_numbers_are_no_integers() -> None:
    rule: Rule = Whole()
    assert complaint(rule, float("inf"), verbose=False) == "must be integer"


def test_a_wire_version_stands_for_its_newest_release() -> None:
    assert [profile_for(3).release, profile_for(4).release, profile_for().release] == [
        "2026.4.15",
        "2026.9.6",
        "2026.9.6",
    ]
    assert {name: profile.protocol for name, profile in PROFILES.items()} == {
        "2026.2.17": 3,
        "2026.4.15": 3,
        "2026.5.12": 4,
        "2026.6.1": 4,
        "2026.7.35": 4,
        "2026.8.1": 4,
        "2026.9.6": 4,
    }
