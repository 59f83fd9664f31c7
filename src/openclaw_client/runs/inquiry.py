"""The question about one run: when it is asked, asked again, and no more. Which page answers it is told by its number.

Pure: the clock is an argument. Refuses to know what a page says.
"""

from __future__ import annotations

from math import inf

from openclaw_client.runs.phases import Inquiry

TRIES = 6
"""How often a run that is over is looked for in the history before it is lost."""
PAUSE = 0.5
"""Seconds between these tries: observed gateways write the rows of a run within a second of its end."""
LOOKS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between two looks for an answer that is given elsewhere: it may come at once, and may take an hour."""


class InquiryClock:
    """state, the number of the page that is read, and when the next one is due.

    silent: the question came out of a silence.
    """

    __slots__ = ("_looks", "_number", "_once_more", "due", "silent", "state", "tries_left")

    def __init__(self) -> None:
        self.state = Inquiry.NONE
        self.silent = False
        self.due = inf
        self.tries_left = TRIES
        self._number = 0
        self._once_more = False
        self._looks = 0

    def ask(self, *, silent: bool = False) -> int | None:
        """Ask, unless a question is under way. Returns the number of the page to be read; None for none."""
        if self.state is Inquiry.RESTING:
            self._once_more = True
        if self.state in (Inquiry.READING, Inquiry.RESTING):
            self.silent = silent
        if self.state is not Inquiry.NONE:
            return None
        self.silent = silent
        return self._begin()

    def doubt(self) -> int | None:
        """Events were lost: ask, and once more where an answer that is on its way may be older than that."""
        if self.state is Inquiry.NONE:
            return self._begin()
        self._once_more = True
        return None

    def accepts(self, number: int) -> bool:
        """Whether the page of this number is awaited; one from before a cut is not."""
        return self.state is Inquiry.READING and number == self._number

    def pause(self, now: float) -> None:
        """The page did not tell."""
        self.state, self.due = Inquiry.PAUSING, now + PAUSE
        self.tries_left -= 1

    def look_later(self, now: float) -> None:
        """The page did not show the answer that is given elsewhere."""
        self.state, self.due = Inquiry.PAUSING, now + LOOKS[min(self._looks, len(LOOKS) - 1)]
        self._looks += 1

    def look_soon(self, now: float) -> None:
        """Something of the session ended: the answer may be there."""
        self._looks = 0
        if self.state is Inquiry.READING:
            self._once_more = True
        else:
            self.state, self.due = Inquiry.PAUSING, min(self.due, now + LOOKS[0])

    def confirm(self, now: float) -> None:
        """The page told what the next one has to tell, too."""
        self.state, self.due = Inquiry.PAUSING, now + LOOKS[0]

    def rest(self, now: float) -> None:
        """The page told, or cannot be had."""
        self.state, self.due, self.silent = Inquiry.RESTING, now + PAUSE, False

    def handle_deadline(self, now: float) -> int | None:
        """What is due at this time: the number of the page to be read, or None."""
        if now < self.due:
            return None
        if self.state is Inquiry.PAUSING:
            return self._read()
        self.state, self.due = Inquiry.NONE, inf
        return self._begin() if self._once_more else None

    def stop(self) -> None:
        """The connection is gone, and what was asked over it; or nothing needs to be asked."""
        self.state, self.due, self._once_more, self.silent = Inquiry.NONE, inf, False, False

    def _begin(self) -> int:
        self.tries_left = TRIES
        return self._read()

    def _read(self) -> int:
        self.state, self.due, self._once_more = Inquiry.READING, inf, False
        self._number += 1
        return self._number
