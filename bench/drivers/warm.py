"""Warming up: the same block of work again and again, until two in a row cost the same.

A just-in-time compiler is at work for some hundred thousand frames, and an interpreter has caches to fill, too. Whoever
is measured before that is measured unfairly. What the first block cost has a column of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench.drivers.meter import Meter

AGREE = 0.03
"""How far apart the last two blocks may be, of the lesser."""
MOST = 12
"""Blocks, on a machine that does not come to rest. The report says how often that was."""


class Warming:
    """Blocks until the last two agree: `while warming.more(): with warming.block(): …`."""

    def __init__(self, units: int) -> None:
        self._units = units
        self._costs: list[float] = []

    def more(self) -> bool:
        """Whether another block is needed."""
        return not self.steady and len(self._costs) < MOST

    @property
    def steady(self) -> bool:
        """Whether the last two blocks agree."""
        last = self._costs[-2:]
        return len(last) == 2 and max(last) <= (1 + AGREE) * min(last)

    @contextlib.contextmanager
    def block(self) -> Iterator[None]:
        with Meter() as meter:
            yield
        self._costs.append(meter.cpu)

    def facts(self) -> dict[str, float]:
        """What the report needs: the cost of the first block for each unit, and how much was warmed up."""
        return {
            "cold": self._costs[0] / self._units,
            "warmed": len(self._costs) * self._units,
            "unsteady": 0 if self.steady else 1,
        }
