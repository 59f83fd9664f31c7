"""What a gateway saw of its clients, for tests to look at."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

SEEN_CONNECTS = 10_000
"""Connects that are remembered for tests."""


@dataclass(frozen=True, slots=True)
class SeenConnect:
    """A connect request. params: as sent, secrets replaced by their names. refused: why, None where accepted."""

    params: dict[str, Any]
    refused: str | None


@dataclass(slots=True)
class Seen:
    """What the gateway saw since it was made; restarts do not reset it."""

    connects: deque[SeenConnect] = field(default_factory=lambda: deque(maxlen=SEEN_CONNECTS))
    requests: Counter[str] = field(default_factory=Counter)
    traceparents: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=SEEN_CONNECTS))
    """Method and trace context of the requests that carried one."""
    opened: int = 0
    upgrades_refused: int = 0


_SECRETS = frozenset({"token", "password", "deviceToken", "bootstrapToken", "signature", "publicKey"})


def without_secrets(value: Any) -> Any:
    """A copy in which every credential is replaced by its name in angle brackets."""
    if isinstance(value, dict):
        return {key: f"<{key}>" if key in _SECRETS else without_secrets(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_secrets(item) for item in value]
    return value
