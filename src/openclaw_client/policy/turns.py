"""Who may begin a handshake with a host, and when one that is not answered stops holding up the others.

Gateways refuse sockets beyond a number per address that have not authenticated yet (HTTP 503 above 32, observed on
2026.4.15, 2026.6.1 and 2026.9.6), so that hundreds of clients who lost the same gateway would keep each other out. They
take turns. A socket that nobody answers would keep its turn for as long as its client has patience. It is told from
one of a slow gateway by what becomes of the others, and set aside: it goes on, and its turn is another one's. Where
many are set aside the oldest is given up, for another try behind the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

HANDSHAKES = 16
"""Turns: half of what gateways allow an address, because there may be another process behind it. A handshake takes a
few milliseconds, so this is some thousand connects a second."""
TIMES = 4.0
"""So many times longer than the others is too long: of handshakes that end at any moment, one in fifty is."""
QUICKEST = 0.1
"""Seconds that everybody has; a loop that is busy for a moment is no silence."""
SILENCE = 0.5
"""Seconds without an end of any handshake after which a few are set aside, though the host may only be slow."""
SPARE = 8
"""Handshakes with one gateway that are set aside at once, and with one host while it is not known whether it is only
slow: with the turns, three quarters of what gateways allow an address."""
ASIDE = 512
"""Set aside at once with one host, which may be the proxy of many gateways; each is a socket that a time limit ends."""
LATEST = 16
"""Handshakes whose median says how long one takes: a few that differ change nothing."""
PAUSE = 1.0
"""Seconds from giving a socket up to the next try; doubled with each, up to `LONGEST_PAUSE`."""
LONGEST_PAUSE = 2.0
"""Within the ten seconds of a connect there are five tries."""

T = TypeVar("T")


def pause_after(given_up: int) -> float:
    """Seconds to wait after so many sockets of one connect (from 1) were given up."""
    return min(LONGEST_PAUSE, PAUSE * 2.0 ** min(given_up - 1, 8))


@dataclass(slots=True)
class _Handshake:
    gateway: object
    number: int
    begun: float
    overtaken: bool = False
    """Whether one that began later has ended: the host answers, and not this one."""


class Turns(Generic[T]):
    """The handshakes with one host; each is known by what the caller calls it. Times are seconds of a monotonic clock.

    rand gives numbers from 0 to 1.
    """

    def __init__(self, rand: Callable[[], float], *, at_once: int = HANDSHAKES) -> None:
        self._rand = rand
        self._at_once = at_once
        self._line: dict[T, object] = {}
        self._active: dict[T, _Handshake] = {}
        self._aside: dict[T, _Handshake] = {}
        self._begun = 0
        self._took: deque[float] = deque(maxlen=LATEST)
        self._last_end = 0.0

    @property
    def waiting(self) -> bool:
        """Whether somebody waits: then `look` is to be called now and then."""
        return bool(self._line)

    @property
    def unused(self) -> bool:
        return not self._active and not self._aside and not self._line

    def enter(self, who: T, gateway: object, now: float) -> bool:
        """Whether the handshake may begin at once; else it stands in line. gateway: which one of the host's it is."""
        if len(self._active) < self._at_once:
            self._begin(who, gateway, now)
            return True
        self._line[who] = gateway
        return False

    def leave(self, who: T, now: float, *, answered: bool) -> list[T]:
        """A handshake is over, or its client has left the line; who may begin now.

        answered: the gateway let it in or refused it.
        """
        self._line.pop(who, None)
        ended = self._active.pop(who, None) or self._aside.pop(who, None)
        if ended is not None and answered:
            self._learn(ended, now)
        return self._fill(now)

    def look(self, now: float) -> tuple[list[T], list[T]]:
        """Set aside what holds up others; who may begin now, and who is to be given up: for them `leave` follows."""
        begun: list[T] = []
        given_up: list[T] = []
        for who, one in tuple(self._active.items()):
            if self._line and (self._answered_no_more(one, now) or self._may_be_silent(one, now)):
                given_up += self._set_aside(who, one)
                begun.append(self._begin_any(now))
        return begun, given_up

    def _set_aside(self, who: T, one: _Handshake) -> list[T]:
        """Who is to be given up for it."""
        self._aside[who] = self._active.pop(who)
        same = [other for other, handshake in self._aside.items() if handshake.gateway == one.gateway]
        if len(same) <= SPARE and len(self._aside) <= ASIDE:
            return []
        # The oldest has been longest without an answer.
        oldest = next((other for other in same if self._aside[other].overtaken), same[0])
        del self._aside[oldest]
        return [oldest]

    def _answered_no_more(self, one: _Handshake, now: float) -> bool:
        typical = sorted(self._took)[len(self._took) // 2] if self._took else 0.0
        limit = max(QUICKEST, TIMES * typical)
        return one.overtaken and now - one.begun >= limit

    def _may_be_silent(self, one: _Handshake, now: float) -> bool:
        unknown = sum(not handshake.overtaken for handshake in self._aside.values())
        return min(now - one.begun, now - self._last_end) >= SILENCE and unknown < SPARE

    def _learn(self, ended: _Handshake, now: float) -> None:
        self._took.append(now - ended.begun)
        self._last_end = now
        for one in (*self._active.values(), *self._aside.values()):
            one.overtaken = one.overtaken or one.number < ended.number

    def _fill(self, now: float) -> list[T]:
        begun = []
        while self._line and len(self._active) < self._at_once:
            who = next(iter(self._line))
            self._begin(who, self._line.pop(who), now)
            begun.append(who)
        return begun

    def _begin_any(self, now: float) -> T:
        """Of those in line, not the next: those who came together may be silent together."""
        place = min(int(self._rand() * len(self._line)), len(self._line) - 1)
        who = tuple(self._line)[place]
        self._begin(who, self._line.pop(who), now)
        return who

    def _begin(self, who: T, gateway: object, now: float) -> None:
        self._begun += 1
        self._active[who] = _Handshake(gateway, self._begun, now)
