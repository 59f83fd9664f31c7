"""Whose credentials are tried next at a gateway: those that are known to be right at once, the others in turn.

Of several clients with the same credentials one goes first, and the others follow when it was let in. So a gateway
counts one failure for a token that is wrong for hundreds, and one client's success lets in all who share its token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from openclaw_client.policy.breaker import CROWD, AuthBreaker, Shown

UNHEARD = 0.25
"""Seconds after which an attempt that got no answer holds up no other: its socket may be silent. What it has shown to
the gateway still counts as what may be refused."""

T = TypeVar("T")


@dataclass(slots=True)
class _Attempt:
    """begun: when its handshake began. shown: what the gateway has of it."""

    who: object
    begun: float | None = None
    shown: Shown | None = None

    def holds_up(self, now: float) -> bool:
        """Whether others wait for what becomes of it."""
        return self.begun is None or now - self.begun < UNHEARD


class Admission(Generic[T]):
    """The clients of one gateway that want to be let in; each is known by what the caller calls it.

    known says whether credentials are known to be right; rand gives numbers from 0 to 1. Times as for `AuthBreaker`,
    which remembers what was refused.
    """

    def __init__(self, breaker: AuthBreaker, known: Callable[[object], bool], rand: Callable[[], float]) -> None:
        self.breaker = breaker
        self._known = known
        self._rand = rand
        self._line: dict[object, dict[T, None]] = {}
        self._trying: dict[T, _Attempt] = {}

    @property
    def waiting(self) -> bool:
        """Whether somebody waits: then `admit` is to be called now and then."""
        return bool(self._line)

    @property
    def unused(self) -> bool:
        return not self._line and not self._trying

    def enter(self, client: T, who: object, now: float) -> bool:
        """Whether it may try at once; else it stands in line. who: see `AuthBreaker`; None for what needs no proof."""
        if self._may_try(who, now, 1 + self.crowd(who)):
            self._try(client, who)
            return True
        self._line.setdefault(who, {})[client] = None
        return False

    def begun(self, client: T, now: float) -> None:
        """Its handshake begins now."""
        if (attempt := self._trying.get(client)) is not None:
            attempt.begun = now

    def show(self, client: T, now: float) -> bool:
        """Whether its credentials may go to the gateway; if not, it has to enter again.

        Others may have been refused since it began, with these credentials, too; and a slow gateway answers after
        `UNHEARD`, when more have begun than it would bear.
        """
        attempt = self._trying.get(client)
        if attempt is None:
            return not self.breaker.locked(now)
        who = attempt.who
        crowd = sum(one.who == who for one in self._trying.values()) + self.crowd(who)
        attempt.shown = self.breaker.show(now, who, crowd, known=self._known(who))
        return attempt.shown is not None

    def soon(self, client: T, now: float) -> bool:
        """Whether one that may not show its credentials yet may do so once another was answered."""
        attempt = self._trying.get(client)
        return attempt is not None and self._known(attempt.who) and not self.breaker.locked(now)

    def leave(self, client: T, who: object, *, answered: bool = True) -> None:
        """Its attempt is over, or it has left the line. answered: whether the gateway said something about it."""
        attempt = self._trying.pop(client, None)
        if answered and attempt is not None and attempt.shown is not None:
            self.breaker.answered(attempt.shown)
        waiting = self._line.get(who, {})
        waiting.pop(client, None)
        if not waiting:
            self._line.pop(who, None)

    def crowd(self, who: object) -> int:
        """How many wait with these credentials."""
        return len(self._line.get(who, ()))

    def admit(self, now: float) -> list[T]:
        """Who may try now."""
        admitted: list[T] = []
        full = False
        for who in () if self.breaker.locked(now) else tuple(self._line):
            if full and len(self._line[who]) < CROWD and who is not None and not self._known(who):
                # What is left of the room is for the many.
                continue
            while (waiting := self._line.get(who)) and self._may_try(who, now, len(waiting)):
                # Not the first: those who came together may have silent sockets together.
                client = tuple(waiting)[min(int(self._rand() * len(waiting)), len(waiting) - 1)]
                self.leave(client, who)
                self._try(client, who)
                admitted.append(client)
            full = full or self._room(now, None, 0) <= 0
        return admitted

    def _may_try(self, who: object, now: float, crowd: int) -> bool:
        if self.breaker.locked(now):
            return False
        if who is None or self._known(who):
            return True
        first = all(one.who != who or not one.holds_up(now) for one in self._trying.values())
        return first and self._room(now, who, crowd) > 0

    def _room(self, now: float, who: object, crowd: int) -> int:
        fresh = [one for one in self._trying.values() if one.holds_up(now) and not self._known(one.who)]
        unshown = sum(one.shown is None for one in fresh)
        return min(self.breaker.room(now, who, crowd) - len(fresh), self.breaker.left(now, crowd) - unshown)

    def _try(self, client: T, who: object) -> None:
        if who is not None:
            self._trying[client] = _Attempt(who)
