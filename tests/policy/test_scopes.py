"""Scopes: how they are written, and which includes which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import UsageError
from openclaw_client.policy.scopes import (
    DEFAULT_SCOPES,
    MAX_NEEDS,
    NEEDED_BY_DEFAULT,
    MethodScopes,
    covers,
    effective_scopes,
    missing_scopes,
    normalise_scopes,
    probe_for,
)

NAMES = ["admin", "read", "write", "talk", "approvals", "pairing"]
names = st.lists(st.sampled_from([f"operator.{name}" for name in NAMES] + ["node.run"]), max_size=5)


@pytest.mark.parametrize(
    ("given_", "normalised"),
    [
        (None, None),
        ([], ()),
        (["read"], ("operator.read",)),
        (["write", "operator.read", " read "], ("operator.write", "operator.read")),
        (("node.run",), ("node.run",)),
        (iter(["read", "write"]), ("operator.read", "operator.write")),
    ],
)
def test_scopes_as_the_gateway_names_them(given_: Iterable[str] | None, normalised: object) -> None:
    assert normalise_scopes(given_) == normalised


@pytest.mark.parametrize("bad", ["operator.read", [""], ["  "], [None], [5], ["read", ""]])
def test_what_is_no_list_of_scopes_is_refused(bad: Any) -> None:
    with pytest.raises(UsageError, match=r"operator\.read"):
        normalise_scopes(bad)


@pytest.mark.parametrize(
    ("granted", "scope", "covered"),
    [
        (["operator.read"], "operator.read", True),
        (["operator.read"], "operator.write", False),
        (["operator.write"], "operator.read", True),
        (["operator.write"], "operator.talk", True),
        (["operator.write"], "operator.approvals", False),
        (["operator.admin"], "operator.approvals", True),
        (["operator.admin"], "node.run", False),
        ([], "operator.read", False),
    ],
)
def test_which_scopes_include_which(granted: list[str], scope: str, covered: bool) -> None:
    assert covers(granted, scope) is covered


@given(needed=names, granted=names)
def test_what_is_missing_is_what_is_not_covered_in_order(needed: list[str], granted: list[str]) -> None:
    missing = missing_scopes(iter(needed), iter(granted))
    assert list(missing) == [scope for scope in needed if not covers(granted, scope)]
    assert missing_scopes(needed, [*granted, *needed]) == ()


def test_what_is_needed_by_default_is_asked_for_by_default() -> None:
    assert set(NEEDED_BY_DEFAULT) <= set(DEFAULT_SCOPES)


@given(told=names, requested=names)
def test_a_connection_has_what_it_asked_for_and_its_token_allows(told: list[str], requested: list[str]) -> None:
    assert effective_scopes(told, requested, of_token=False) == tuple(told)
    held = effective_scopes(iter(told), iter(requested), of_token=True)
    assert list(held) == [scope for scope in requested if covers(told, scope)]


@pytest.mark.parametrize(
    ("needed", "method"),
    [
        (("operator.read",), "last-heartbeat"),
        (("operator.write", "operator.pairing"), "last-heartbeat"),
        (("operator.admin",), "last-heartbeat"),
        (("operator.pairing",), "device.pair.list"),
        (("operator.approvals",), None),
        ((), None),
    ],
)
def test_the_probe_needs_a_scope_that_is_needed(needed: tuple[str, ...], method: str | None) -> None:
    assert probe_for(needed) == method


def test_what_methods_need_is_observed_and_learnt() -> None:
    scopes = MethodScopes()
    assert scopes.missing("chat.inject", ("operator.write",)) == ("operator.admin",)
    assert scopes.missing("chat.history", ("operator.write",)) == ()
    assert scopes.missing("chat.inject", None) == ()
    assert scopes.missing("config.get", ()) == ()
    scopes.learn("config.get", ("operator.admin",))
    scopes.learn("config.get", ())
    assert scopes.missing("config.get", ("operator.read",)) == ("operator.admin",)
    assert scopes.missing("config.get", ("operator.admin",)) == ()


def test_what_methods_need_is_remembered_of_so_many() -> None:
    scopes = MethodScopes()
    for number in range(3 * MAX_NEEDS):
        scopes.learn(f"method-{number}", ("operator.admin",))
    assert scopes.missing(f"method-{3 * MAX_NEEDS - 1}", ()) == ("operator.admin",)
    assert scopes.missing("method-0", ()) == ()
    assert scopes.missing("chat.send", ()) == ("operator.write",)
    assert len(scopes._needs) <= MAX_NEEDS
