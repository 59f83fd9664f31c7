"""How long to wait before the next connect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from openclaw_client.errors import UsageError

FLOOR = 0.05
"""Minimum delay in seconds: full jitter may draw zero and would reconnect in a busy loop."""


@dataclass(frozen=True, slots=True)
class ReconnectPolicy:
    """When the client tries again after it lost the gateway; all times in seconds.

    Delays double from `initial` to `maximum` and are drawn evenly between zero and that (full jitter), because all
    clients of a gateway lose it in the same moment. The count starts again only after a connection held for
    `stable_after`: a gateway that accepts and drops at once is not a recovered one. enabled=False never reconnects.
    """

    initial: float = 1.0
    maximum: float = 30.0
    factor: float = 2.0
    stable_after: float = 30.0
    enabled: bool = True

    def __post_init__(self) -> None:
        times = (self.initial, self.maximum, self.factor, self.stable_after)
        if not (
            all(isinstance(one, int | float) for one in times)
            and 0 < self.initial <= self.maximum
            and 1 <= self.factor <= 100
            and self.stable_after >= 0
        ):
            raise UsageError(
                message=f"{self} makes no sense",
                remedy="0 < initial <= maximum, 1 <= factor <= 100, stable_after >= 0; all times in seconds",
            )

    def delay(self, attempt: int, random: Callable[[], float]) -> float:
        """Seconds before reconnect number `attempt` (from 1); random gives numbers from 0 to 1."""
        # The exponent is bounded, since a float power overflows after a day of attempts.
        ceiling = min(self.maximum, self.initial * self.factor ** min(attempt - 1, 64))
        return max(FLOOR, ceiling * random())
