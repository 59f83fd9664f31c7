"""One memory of failed authentication per gateway and process, so that no user's mistake locks out the others.

A gateway counts failed attempts per address (10 in 60 s by default) and then refuses everybody behind that address for
minutes. All users of a process share an address, so they share this budget, which stays below the gateway's.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

BUDGET = 5
"""Failed attempts per window, half of the gateway's default of 10: other processes behind the address fail, too."""
RESERVE = 2
"""More of them for credentials that are hardly among the wrong ones: see `AuthBreaker.room`."""
CROWD = 3
"""Clients with the same credentials: what so many were given is hardly one user's mistake."""
FEW = 2
"""Credentials that used the budget up between them: it is one user who errs, and others may be right."""
MOST = 9
"""Failed attempts per window whatever was forgiven: one below the gateway's default."""
WINDOW = 60.0
"""Seconds; the gateway's default window."""
LONGEST_LOCK = 3600.0
"""Seconds that a gateway's hint is taken for at most: one that names a year would take the gateway from its users."""
STREAK = MOST - RESERVE - BUDGET
"""By how many the attempts at once may grow while none fails: all of them may be wrong."""
UNANSWERED = 15.0
"""Seconds for which credentials that were shown and never answered count as refused: a gateway that is busy for longer
gives the socket up."""
HELD_BY_KNOWN = 1.0
"""The same for credentials that were let in before: connects that are never answered hold up others for so long."""


@dataclass(slots=True)
class _Failure:
    at: float
    who: object
    forgiven: bool = False


@dataclass(slots=True, eq=False)
class Shown:
    """Credentials that the gateway was sent, until it has answered. known: whether it had let them in before."""

    at: float
    who: object
    known: bool


class AuthBreaker:
    """Times are seconds of any monotonic clock. Connections that are up are not its business.

    who: credentials, in a form that shows nothing of them; None for those that nobody needs to know again. guard: held
    within every call where several threads share one.
    """

    def __init__(
        self, *, budget: int = BUDGET, window: float = WINDOW, guard: AbstractContextManager[object] | None = None
    ) -> None:
        self._budget = budget
        self._most = max(MOST, budget)
        self._window = window
        self._guard = guard if guard is not None else nullcontext()
        self._failures: list[_Failure] = []
        self._shown: list[Shown] = []
        self._locked_until = 0.0
        self._told: object = None
        self._streak = 0

    def delay(self, now: float, who: object = None, crowd: int = 0) -> float:
        """Seconds until the next attempt of credentials that are not known to be right; 0.0 for now."""
        with self._guard:
            return max(0.0, self._locked_until - now, self._next_slot(now, who, crowd) - now)

    def locked(self, now: float) -> bool:
        """Whether the gateway itself has said that nothing will be heard before a certain time."""
        return self._locked_until > now

    def refused(self, who: object, now: float) -> bool:
        """Whether these credentials are among those that were refused."""
        with self._guard:
            self._forget(now)
            return any(failure.who == who and not failure.forgiven for failure in self._failures)

    def room(self, now: float, who: object, crowd: int) -> int:
        """How many attempts may be under way with credentials that are not known to be right.

        crowd: how many clients want to be let in with these. They have a reserve where they are many, or where few
        others used the budget up.
        """
        with self._guard:
            if self._next_slot(now, who, crowd) > now:
                return 0
            failed = sum(not failure.forgiven for failure in self._failures)
            return self._allowed(who, crowd) - failed + (0 if self._failures else self._streak)

    def left(self, now: float, crowd: int) -> int:
        """How many more may be shown to the gateway before it could count too many; the last are for those of many."""
        with self._guard:
            self._forget(now)
            return self._left(crowd)

    def show(self, now: float, who: object, crowd: int, *, known: bool) -> Shown | None:
        """Credentials that may go to the gateway now, until `answered`; None where it could count one too many.

        known: the gateway has let them in. They pass whatever else was refused, but not all at once: the gateway may
        have others by now, and from the moment on in which it refuses them they count.
        """
        with self._guard:
            self._forget(now)
            if self.locked(now) or not (self._may_pass(now, who) if known else self._left(crowd) > 0):
                return None
            shown = Shown(now, who, known)
            self._shown.append(shown)
            return shown

    def answered(self, shown: Shown) -> None:
        """The gateway has answered these, or closed their connection; tell what it said first."""
        with self._guard:
            if shown in self._shown:
                self._shown.remove(shown)

    def quiet(self, now: float) -> bool:
        """Whether it remembers nothing: a new one would decide the same."""
        with self._guard:
            self._forget(now)
            return not self.locked(now) and not self._failures and not self._shown

    def failed(self, now: float, who: object = None) -> None:
        """The gateway refused credentials."""
        with self._guard:
            self._forget(now)
            self._failures.append(_Failure(now, who))
            self._streak = 0
            for shown in self._shown:
                shown.known = shown.known and shown.who != who

    def welcomed(self, who: object = None) -> None:
        """The gateway took credentials that were not known to be right."""
        with self._guard:
            self._streak = min(self._streak + 1, STREAK)
            for shown in self._shown:
                shown.known = shown.known or (shown.who == who and who is not None)

    def rate_limited(self, now: float, seconds: float, who: object = None) -> None:
        """The gateway refuses everybody for so long, and said so to who."""
        with self._guard:
            until = now + min(seconds, LONGEST_LOCK)
            if until > self._locked_until:
                self._locked_until, self._told = until, who

    def forgive(self, who: object) -> None:
        """Somebody changed or withdrew these credentials: the others need not wait for what became of them.

        Nor for a lock-out that was told to them; whoever tries next is told again where it still runs.
        """
        with self._guard:
            for failure in self._failures:
                if failure.who == who:
                    failure.forgiven = True
            if self._told == who and who is not None:
                self._locked_until, self._told = 0.0, None

    def _may_pass(self, now: float, who: object) -> bool:
        shown = [one.who for one in self._shown if not one.known or now - one.at < HELD_BY_KNOWN]
        return who not in shown or len(self._failures) + len(shown) < self._most

    def _left(self, crowd: int) -> int:
        kept = 0 if crowd >= CROWD else RESERVE
        counted = sum(not failure.forgiven for failure in self._failures)
        shown = sum(not one.known for one in self._shown)
        return min(self._most - kept - counted, self._most - len(self._failures)) - shown

    def _next_slot(self, now: float, who: object, crowd: int) -> float:
        self._forget(now)
        counted = [failure.at for failure in self._failures if not failure.forgiven]
        every = [failure.at for failure in self._failures]
        allowed = self._allowed(who, crowd)
        slots = (self._slot(counted, allowed, now), self._slot(every, self._most, now))
        return max(slots)

    def _slot(self, failures: list[float], allowed: int, now: float) -> float:
        return now if len(failures) < allowed else failures[-allowed] + self._window

    def _allowed(self, who: object, crowd: int) -> int:
        wrong = [failure.who for failure in self._failures if not failure.forgiven]
        if who is None or who in wrong:
            return self._budget
        few = len(wrong) >= self._budget and len(set(wrong)) <= FEW
        return self._budget + RESERVE if crowd >= CROWD or few else self._budget

    def _forget(self, now: float) -> None:
        self._failures = [failure for failure in self._failures if failure.at > now - self._window]
        self._shown = [shown for shown in self._shown if shown.at > now - UNANSWERED]
