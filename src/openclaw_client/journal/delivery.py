"""Who is handed which message, when it is handed out once more, and when it is given up.

Pure: the clock is an argument, and whoever waits asks when. Returned is done; raised is again later, with growing
pauses, and dead in the end. One message of a user at a time, so that the later ones wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

PAUSES: Final = (1.0, 5.0, 30.0, 120.0)
"""Seconds between deliveries: a hiccup, a restart of what the handler needs, a deploy. A message holds up the user's
later ones for these together at most."""
MOST_DELIVERIES: Final = 5
"""The first, and one behind each pause."""

_SET_BACK: Final = 1.0
"""Seconds beyond its pause from which on a wait means that the clock was set back; smaller ones are rounding."""

Verdict = Literal["done", "later", "dead"]
"""What becomes of a message that was handed out."""


@dataclass(frozen=True, slots=True)
class Deal:
    """Hand it out now."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Look again then. until: in seconds since 1970."""

    until: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It was handed out as often as a message is, and no end was written down: it may have ended its processes."""


Step = Deal | LookAgain | GiveUp


def pause_after(deliveries: int) -> float:
    """Seconds until the next delivery, after so many that failed."""
    return PAUSES[min(max(deliveries, 1), len(PAUSES)) - 1]


def verdict(deliveries: int, *, failed: bool) -> Verdict:
    """What becomes of a message after so many deliveries. failed: a handler raised at the last one."""
    if not failed:
        return "done"
    return "later" if deliveries < MOST_DELIVERIES else "dead"


def step(deliveries: int, next_at: float, now: float) -> Step:
    """What is done with the first message of a user's line.

    Args:
        deliveries: How often it was handed out, as written down before each.
        next_at: The earliest time of the next one; 0 where it need not wait.
        now: The time, in seconds since 1970.

    Returns:
        `Deal`, `LookAgain` or `GiveUp`. A message found as handed out, whose end nobody wrote down, has no pause: its
        process is gone, and starting the next one took long enough.
    """
    if deliveries >= MOST_DELIVERIES:
        return GiveUp()
    # Else a clock that was set back would make a message wait for hours.
    if now >= next_at or next_at - now > pause_after(deliveries) + _SET_BACK:
        return Deal()
    return LookAgain(next_at)


class Handing:
    """One delivery to several handlers: all must return, else all are called again."""

    __slots__ = ("_deliveries", "_failed", "_left")

    def __init__(self, deliveries: int, handlers: int) -> None:
        self._deliveries = deliveries
        self._left = handlers
        self._failed = False

    def answered(self, *, failed: bool) -> Verdict | None:
        """A handler came to its end; the verdict when it was the last one, else None."""
        self._left -= 1
        self._failed = self._failed or failed
        return verdict(self._deliveries, failed=self._failed) if self._left == 0 else None


class Lines:
    """The users' lines: who is handed a message, and who is looked at again when.

    Users are compared, never looked into.
    """

    __slots__ = ("_busy", "_due")

    def __init__(self) -> None:
        self._busy: dict[str, Handing] = {}
        self._due: dict[str, float] = {}

    def is_busy(self, user: str) -> bool:
        """Whether a message of this user is with its handlers: nothing else of that user is looked at."""
        return user in self._busy

    def dealt(self, user: str, deliveries: int, handlers: int) -> None:
        """A message goes to that many handlers now, for the `deliveries`th time. Needs at least one handler."""
        if handlers < 1 or user in self._busy:
            raise ValueError("a message is handed to one handler at least, and one of a user at a time")
        self._due.pop(user, None)
        self._busy[user] = Handing(deliveries, handlers)

    def answered(self, user: str, *, failed: bool) -> Verdict | None:
        """One handler of the user's message came to its end; the verdict when it was the last one."""
        found = self._busy[user].answered(failed=failed)
        if found is not None:
            del self._busy[user]
        return found

    def wait(self, user: str, until: float) -> None:
        """The user's first message is looked at again then."""
        self._due[user] = until

    def leave(self, user: str) -> None:
        """Nothing of this user is handed out from here any more."""
        self._busy.pop(user, None)
        self._due.pop(user, None)

    def deadline(self) -> float | None:
        """When to call `due`; None where nobody waits."""
        return min(self._due.values(), default=None)

    def due(self, now: float) -> list[str]:
        """The users whose lines are to be looked at now, who waited longest first."""
        found = sorted((user for user, at in self._due.items() if at <= now), key=self._due.__getitem__)
        for user in found:
            del self._due[user]
        return found
