"""The fast path of a frame: past decoding and routing, straight to the run whose delta it is.

Nearly every frame of a streaming connection is the next delta of the run that the frame before belonged to. Knows whose
frames begin how; refuses to know what is in them. On the loop's thread, but for `disable`.
"""

from __future__ import annotations

from collections.abc import Callable

from openclaw_client.wire.deltas import RUN_ID

Take = Callable[[bytes, int, float], bool]
"""Takes a frame's bytes, given the number that the connection's next event must have, and when it was received. False,
and nothing has happened, where the frame must go the usual way."""

MAX_RUNS = 256
"""Runs that have a fast path at the same time: a bound, and far more than go on in one connection."""


class FastPath:
    """take: of the run whose delta came last, None where no run has a fast path."""

    __slots__ = ("_runs", "take")

    def __init__(self) -> None:
        self.take: Take | None = None
        self._runs: dict[bytes, Take] = {}

    def other(self, data: bytes, expected: int, now: float) -> bool:
        """`take`, when the run that had the last delta refused: perhaps it is another one's turn."""
        run_id = data[RUN_ID]
        take = self._runs.get(run_id)
        if take is None or take is self.take:
            return False
        self.take = take
        if run_id not in self._runs:
            # Disabled in another thread since it was looked up.
            self.take = None
            return False
        return take(data, expected, now)

    def enable(self, data: bytes, take: Take) -> None:
        """A run takes frames that begin like this one, from now on."""
        if len(self._runs) >= MAX_RUNS:
            self._runs.clear()
        self._runs[data[RUN_ID]] = self.take = take

    def disable(self) -> None:
        """Everything goes the usual way again, until a run takes it anew. For any thread."""
        self._runs.clear()
        self.take = None
