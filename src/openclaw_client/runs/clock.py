"""The clocks of one run: the caller's limits, and the silences after which the gateway is asked.

Pure: every time is an argument. A sign of life is one assignment to `last_sign`; what is due is looked at when the
earliest deadline comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

SILENCE = 30.0
"""Seconds without a sign of a run until the gateway is asked about it. Nothing is decided by the silence itself."""
SILENCE_AFTER_ERROR = 16.0
"""The same after a lifecycle error: a gateway may start the run again within 15 s of one (protocol docs)."""
SILENCE_AFTER_GAP = 3.0
"""The same after a gap in the numbers of wire v3, which count for the whole gateway: what is missing may have been for
others. The next delta or the final, which mend what a lost delta harmed, mostly come sooner."""
SILENCE_AFTER_ABORT = 1.0
"""The same after a lifecycle event that says the run was stopped: 2026.8.2 sends nothing behind it (observed)."""
UNANSWERED = 120.0
"""Seconds without any event of the session after which a message that is answered elsewhere is lost, where the gateway
does not tell whether the session is busy (wire v3, 2026.5.12)."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """In seconds; None: no limit. total counts from the call, idle from the last sign of the run, away from the loss of
    the connection."""

    total: float | None = None
    idle: float | None = None
    away: float | None = None


class RunClock:
    """All times by one monotonic clock. silence_timeout: seconds of silence that are nothing to ask about."""

    __slots__ = (
        "_limits",
        "_quiet_from",
        "_sent_at",
        "_total_at",
        "_waiting_for_people",
        "away_at",
        "last_sign",
        "session_sign",
        "silence_timeout",
        "told",
        "unanswered",
    )

    def __init__(self, limits: RunLimits) -> None:
        self._limits = limits
        self.last_sign = 0.0
        self.session_sign = 0.0
        self.silence_timeout = SILENCE
        self.told = False
        # Whether only a silence of the session tells that a message will not be answered.
        self.unanswered = False
        self._quiet_from = 0.0
        self._sent_at = 0.0
        self._total_at = inf
        self.away_at = inf
        self._waiting_for_people = False

    def begin(self, now: float) -> None:
        """The caller asks."""
        self._total_at = inf if self._limits.total is None else now + self._limits.total

    def sent(self, now: float) -> None:
        """The message is on its way, or is looked for."""
        self._quiet_from = max(self._quiet_from, now)
        self._sent_at = self._sent_at or now

    def sign(self, now: float, silence_timeout: float = SILENCE) -> None:
        self.last_sign = now
        self.silence_timeout = silence_timeout

    def wait_for_people(self, waits: bool, now: float) -> None:
        """Whether the run waits for a person's answer: so long neither its silence nor its idleness counts."""
        if self._waiting_for_people and not waits:
            self.last_sign = now
        self._waiting_for_people = waits

    def doubt(self, now: float, silence_timeout: float) -> None:
        """Something may have been missed: ask after this much silence, unless the run is heard of before."""
        if self.quiet_at > now + silence_timeout:
            self._quiet_from, self.silence_timeout = now, silence_timeout

    def lost(self, now: float) -> None:
        self.away_at = inf if self._limits.away is None else now + self._limits.away

    def back(self) -> None:
        self.away_at = inf

    @property
    def quiet_at(self) -> float:
        """When the silence is long enough to ask."""
        if self._waiting_for_people:
            return inf
        return max(self._quiet_from, self.last_sign) + self.silence_timeout

    def asked(self, now: float) -> None:
        """The silence was asked about; the next stretch of it begins."""
        self._quiet_from, self.silence_timeout = now, SILENCE

    @property
    def unanswered_at(self) -> float:
        latest = max(self.session_sign, self.last_sign, self._quiet_from)
        return latest + UNANSWERED if self.unanswered else inf

    @property
    def limit_at(self) -> float:
        """When the caller's time is over."""
        return inf if self.told else min(self._total_at, self._idle_at)

    def time_left(self, now: float) -> float | None:
        """Seconds of the limit for the whole; None where there is none."""
        return None if self._total_at == inf else max(0.0, self._total_at - now)

    def limit_passed(self) -> tuple[str, float]:
        """The limit that passed, and its length; told once."""
        self.told = True
        name = "total" if self._total_at <= self._idle_at else "idle"
        seconds = self._limits.total if name == "total" else self._limits.idle
        assert seconds is not None
        return name, seconds

    @property
    def _idle_at(self) -> float:
        if self._limits.idle is None or self._waiting_for_people:
            return inf
        return max(self._sent_at, self.last_sign, self.session_sign) + self._limits.idle
