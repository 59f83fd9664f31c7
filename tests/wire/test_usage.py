"""What model calls took: a mapping with attributes, which cannot be changed."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict
from typing import Any

import msgspec
import pytest

from openclaw_client.runs.events import ChatReply
from openclaw_client.wire.usage import Usage

WORDS = {"input": 3, "output": 4, "cacheRead": 5, "cacheWrite": 6, "totalTokens": 18, "cost": {"total": 0.5}}


def test_words_and_attributes() -> None:
    usage = Usage(WORDS)
    assert (usage == WORDS, usage["input"]) == (True, 3)
    told = (usage.input, usage.output, usage.cache_read, usage.cache_write, usage.total, usage.cost)
    assert told == (3, 4, 5, 6, 18, 0.5)
    nothing = Usage()
    told = (nothing.input, nothing.output, nothing.cache_read, nothing.cache_write, nothing.total, nothing.cost)
    assert told == (None,) * 6
    assert repr(Usage({"input": 3})) == "Usage({'input': 3})"


@pytest.mark.parametrize("value", ["3", -1, 1.5, True, None, [3]])
def test_what_is_no_count_is_not_known(value: object) -> None:
    assert Usage({"input": value}).input is None


@pytest.mark.parametrize("cost", [None, 3, {}, {"total": "1"}, {"total": True}, {"total": 10**400}])
def test_what_is_no_cost_is_not_known(cost: object) -> None:
    assert Usage({"cost": cost}).cost is None


def test_a_cost_of_whole_numbers() -> None:
    cost = Usage({"cost": {"total": 0}}).cost
    assert (cost, type(cost)) == (0.0, float)


@pytest.mark.parametrize(
    "change",
    [
        lambda usage: usage.update(input=1),
        lambda usage: usage.__setitem__("input", 1),
        lambda usage: usage.__delitem__("input"),
        lambda usage: usage.__ior__({"input": 1}),
        lambda usage: usage.setdefault("new", 1),
        lambda usage: usage.pop("input"),
        lambda usage: usage.popitem(),
        lambda usage: usage.clear(),
    ],
)
def test_it_cannot_be_changed(change: Any) -> None:
    usage = Usage(WORDS)
    with pytest.raises(TypeError, match="cannot be changed"):
        change(usage)
    assert usage == WORDS


def test_it_travels() -> None:
    usage = Usage(WORDS)
    for twin in (pickle.loads(pickle.dumps(usage)), copy.copy(usage), copy.deepcopy(usage)):
        assert (type(twin), twin) == (Usage, usage)
    assert json.loads(json.dumps(usage)) == msgspec.json.decode(msgspec.json.encode(usage)) == WORDS
    row = asdict(ChatReply("t", "r", "final", "main", usage=usage))
    assert json.loads(json.dumps(row))["usage"] == WORDS
    plain = usage.copy()
    plain["input"] = 9
    assert (type(plain), usage.input) == (dict, 3)
