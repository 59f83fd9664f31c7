"""What the runs of sessions took: tokens and messages, added up by session, day and model.

Knows rows, and the fields of 2026.9.6. Refuses to know who asks. Nothing costs anything here.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from openclaw_client.testing.transcripts import Row, Transcript

_TOKENS: Final = ("input", "output", "cacheRead", "cacheWrite")
_COSTS: Final = {"inputCost": 0, "outputCost": 0, "cacheReadCost": 0, "cacheWriteCost": 0, "missingCostEntries": 0}
_COUNTS: Final[tuple[str, ...]] = ("total", "user", "assistant", "toolCalls", "toolResults", "errors")


def counted(rows: Iterable[Row]) -> dict[str, Any]:
    """The tokens of these rows, and what they cost."""
    used = [row.extra["usage"] for row in rows if "usage" in row.extra]
    tokens = {name: sum(one[name] for one in used) for name in _TOKENS}
    return {**tokens, "totalTokens": sum(one["totalTokens"] for one in used), "totalCost": 0, **_COSTS}


def messages(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows of each kind."""
    counts = Counter[str](dict.fromkeys(_COUNTS, 0))
    for row in rows:
        name = {"user": "user", "assistant": "assistant", "toolResult": "toolResults"}.get(row.role)
        if name is None:
            continue
        counts[name] += 1
        counts["total"] += row.role != "toolResult"
        counts["toolCalls"] += row.extra.get("stopReason") == "toolUse"
        counts["errors"] += row.extra.get("stopReason") == "error"
    return dict(counts)


def by_day(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each day in UTC, the oldest first."""
    days: dict[str, list[Row]] = {}
    for row in rows:
        days.setdefault(day_of(row.at), []).append(row)
    return days


def day_of(ms: int) -> str:
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).date().isoformat()


def models(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """What each model took."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.extra.get("usage", {}).get("totalTokens"):
            found.setdefault((row.extra["provider"], row.extra["model"]), []).append(row)
    return [
        {"provider": provider, "model": model, "count": len(own), "totals": counted(own)}
        for (provider, model), own in found.items()
    ]


def session_usage(session: Transcript, rows: Sequence[Row]) -> dict[str, Any] | None:
    """What a session took in these rows of it; None where it has none."""
    if not rows:
        return None
    days = by_day(rows)
    first, last = rows[0].at, rows[-1].at
    daily = [
        {"date": day, "tokens": counted(own)["totalTokens"], "cost": 0, **counted(own)} for day, own in days.items()
    ]
    times: dict[str, Any] = {"firstActivity": first, "lastActivity": last, "durationMs": last - first}
    return {
        **counted(rows),
        "sessionId": session.session_id,
        "sessionFile": session.key,
        **times,
        "messageCounts": messages(rows),
        "modelUsage": models(rows),
        "activityDates": list(days),
        "dailyBreakdown": daily,
        "dailyMessageCounts": [{"date": day, **messages(own)} for day, own in days.items()],
    }


def points(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The tokens of a session over time."""
    told, whole = [], 0
    for row in rows:
        usage = row.extra.get("usage", {})
        if usage.get("totalTokens"):
            whole += usage["totalTokens"]
            tokens = {name: usage[name] for name in _TOKENS}
            one = {"timestamp": row.at, **tokens, "totalTokens": usage["totalTokens"], "cost": 0}
            told.append({**one, "cumulativeTokens": whole, "cumulativeCost": 0})
    return told


def logs(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The messages of a session with what each took."""
    told = []
    for row in rows:
        if row.text and row.role in ("user", "assistant"):
            one: dict[str, Any] = {"timestamp": row.at, "role": row.role, "content": row.text}
            if "usage" in row.extra:
                one |= {"tokens": row.extra["usage"]["totalTokens"], "cost": 0}
            told.append(one)
    return told
