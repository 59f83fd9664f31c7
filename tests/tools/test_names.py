"""Which names and descriptions a gateway takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_client.errors import UsageError
from openclaw_client.tools.names import CORE_TOOLS, MAX_DESCRIPTION, check_description, check_name


@pytest.mark.parametrize("name", ["stock", "S", "shop_stock-2", "a" * 64, "reader", "execute"])
def test_names_that_are_taken_over(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "2stock", "_stock", "a" * 65, "shop.stock", "größe", "a b", "a\n", None, 5])
def test_what_is_no_name(name: object) -> None:
    with pytest.raises(UsageError, match=r"is no name of a tool. Give one with name=: a letter"):
        check_name(name)


@pytest.mark.parametrize("name", [*sorted(CORE_TOOLS), "Read", "EXEC"])
def test_the_gateway_s_own_names(name: str) -> None:
    with pytest.raises(UsageError, match="is a tool of the gateway's own, whose place it would take"):
        check_name(name)


@given(st.text() | st.from_regex(r"[A-Za-z][A-Za-z0-9_-]*", fullmatch=True))
def test_a_name_is_taken_as_it_is_or_refused(name: str) -> None:
    try:
        assert check_name(name) == name
    except UsageError:
        assert not re.fullmatch("[A-Za-z][A-Za-z0-9_-]{0,63}", name) or name.lower() in CORE_TOOLS


def test_a_description_is_counted_as_the_gateway_does() -> None:
    assert check_description("x" * MAX_DESCRIPTION, "stock") == "x" * MAX_DESCRIPTION
    assert len(check_description("😀" * (MAX_DESCRIPTION // 2), "stock")) == MAX_DESCRIPTION // 2
    with pytest.raises(UsageError, match="has 1026 characters"):
        check_description("😀" * (MAX_DESCRIPTION // 2 + 1), "stock")
