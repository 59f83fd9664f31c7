"""Which model answered and what that took, out of the rows of an answer.

The last event of a run does not tell on 2026.9.6. The rows of its answer do, in the history and in the events called
`session.message`, which subscribers get before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from openclaw_client.wire.chat import MessageDetails, details_of
from openclaw_client.wire.history import HistoryMessage
from openclaw_client.wire.usage import Usage


def from_row(row: HistoryMessage) -> MessageDetails:
    """Usage, model, provider and blocks of one row."""
    return details_of(row)


def from_rows(rows: Sequence[HistoryMessage]) -> MessageDetails:
    """Those of an answer of several rows: a run that calls tools asks its model once more behind each.

    Args:
        rows: The rows of the answer, oldest first.

    Returns:
        The blocks of all rows, the sum of what they took, and the model of the last row that names one.
    """
    found = [from_row(row) for row in rows]
    named = next((one for one in reversed(found) if one.model is not None), MessageDetails())
    return MessageDetails(
        content=tuple(block for one in found for block in one.content),
        usage=added(one.usage for one in found),
        model=named.model,
        provider=named.provider,
    )


def row_of(payload: Any) -> HistoryMessage | None:
    """The row in the payload of a `session.message` event; None where it holds none."""
    message = payload.get("message") if isinstance(payload, dict) else None
    return HistoryMessage(message) if isinstance(message, dict) else None


def added(usages: Iterable[Mapping[str, Any] | None]) -> Usage | None:
    """The sum of usages: numbers are added, also those of the costs within, all else is as the last has it.

    None where none of them tells anything.
    """
    told = [usage for usage in usages if usage is not None]
    if len(told) < 2:
        return Usage(told[0]) if told else None
    total: dict[str, Any] = {}
    for usage in told:
        for key, value in usage.items():
            before = total.get(key)
            if isinstance(value, dict) and isinstance(before, dict):
                total[key] = {
                    **before,
                    **value,
                    **{name: _sum(before[name], value[name]) for name in before.keys() & value.keys()},
                }
            else:
                total[key] = _sum(before, value)
    return Usage(total)


def _sum(before: Any, value: Any) -> Any:
    if not (_is_number(before) and _is_number(value)):
        return value
    try:
        return before + value
    except OverflowError:
        # A whole number beyond all floats, and a float.
        return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
