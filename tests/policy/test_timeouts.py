"""Time limits: what is taken and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from openclaw_client.errors import UsageError
from openclaw_client.policy.timeouts import Timeouts, check_time_limit


def test_a_run_has_no_limit_by_itself() -> None:
    assert Timeouts() == Timeouts(connect=10, request=30, idle=None, total=None)


@pytest.mark.parametrize("fields", [{"connect": 0.1}, {"request": None}, {"idle": 5}, {"total": float("inf")}])
def test_limits_above_zero_are_taken(fields: dict[str, Any]) -> None:
    limits = Timeouts(**fields)
    assert {name: getattr(limits, name) for name in fields} == fields


@pytest.mark.parametrize("name", ["connect", "request", "idle", "total"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), "5", [1]])
def test_other_limits_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"Timeouts\\({name}="):
        Timeouts(**{name: value})


def test_a_connect_is_never_waited_for_without_end() -> None:
    with pytest.raises(UsageError, match="connect=None"):
        Timeouts(connect=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [0, -1, float("nan"), "5", None])
def test_a_limit_of_a_call_is_a_number_above_zero(limit: object) -> None:
    with pytest.raises(UsageError, match=r"^timeout=.* is no time limit; nothing was sent"):
        check_time_limit(limit)


@pytest.mark.parametrize("limit", [0.001, 5, float("inf")])
def test_a_limit_of_a_call(limit: float) -> None:
    check_time_limit(limit)
