"""Which runs there are: those that are performed or wait, by session, and those that are over and remembered.

Knows for how long a session stays busy behind a run. Refuses to know how a run is performed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from openclaw_client.testing.run import Run
from openclaw_client.testing.traits import Profile

REMEMBERED: Final = 1000
"""Finished runs whose keys are still answered from memory: the gateways' own number."""


class Roster:
    """The runs of one gateway.

    Attributes:
        live: Runs that are not over, by id.
        finished: Runs that are over, by id; the newest of them.
        by_session: The live runs of each session, in the order of their turns.
        settle_time: Seconds for which a session stays busy behind a run that ended by itself.
    """

    def __init__(self, profile: Profile, settle_time: float) -> None:
        self._profile = profile
        self.settle_time = settle_time
        self.live: dict[str, Run] = {}
        self.finished: dict[str, Run] = {}
        self.by_session: dict[str, list[Run]] = {}
        self._settling: dict[str, asyncio.TimerHandle] = {}

    def add(self, run: Run) -> None:
        """A run whose turn comes behind those of its session that are there."""
        self.live[run.id] = run
        self.by_session.setdefault(run.key, []).append(run)

    def retire(self, run: Run) -> None:
        """Take a run that is over from the queue of its session, at once: the next message must not meet it."""
        if self.live.get(run.id) is not run:
            return
        del self.live[run.id]
        queue = self.by_session[run.key]
        queue.remove(run)
        if not queue:
            del self.by_session[run.key]
        if run.over:
            self.finished[run.id] = run
            if len(self.finished) > REMEMBERED:
                del self.finished[next(iter(self.finished))]

    def settle(self, key: str, then: Callable[[str], None]) -> None:
        """Keep a session busy for the time that it takes behind a run; `then` is called with its key at the end."""
        if not self.settle_time:
            return
        if (running := self._settling.pop(key, None)) is not None:
            running.cancel()

        def free() -> None:
            del self._settling[key]
            then(key)

        self._settling[key] = asyncio.get_running_loop().call_later(self.settle_time, free)

    def settles(self, key: str) -> bool:
        """Whether a session is busy although none of its runs is performed."""
        return key in self._settling

    def close(self) -> None:
        """End all timers."""
        for timer in self._settling.values():
            timer.cancel()
        self._settling.clear()

    def find(self, run_id: str) -> Run | None:
        """A run that is live or remembered."""
        return self.live.get(run_id) or self.finished.get(run_id)

    def last(self, key: str) -> Run | None:
        """The run of a session that ended last, while it is remembered."""
        return next((run for run in reversed(self.finished.values()) if run.key == key), None)

    def ahead(self, key: str) -> list[Run]:
        """The runs of a session that a new message comes behind.

        A run that has ended is retired one step later; whoever has read its final may send in between.
        """
        return [run for run in self.by_session.get(key, ()) if not run.over]

    def in_flight(self, key: str) -> Run | None:
        """The run that chat.history shows: the newest that somebody asked for, on some releases else the one that is
        performed."""
        others = self._profile.in_flight_others
        runs = [run for run in self.ahead(key) if self._profile.agent_in_flight or not run.by_agent]
        shown = [run for run in runs if not run.follow_up or (others and run.state == "running")]
        return shown[-1] if shown else None

    def activity(self, key: str) -> dict[str, Any]:
        """What a release says about the runs of a session, as fields of `sessionInfo`."""
        runs = self.ahead(key)
        active = bool(runs) or self.settles(key)
        info: dict[str, Any] = {"hasActiveRun": active}
        if self._profile.active_run_ids == "asked":
            info["activeRunIds"] = [run.id for run in runs if not run.follow_up]
        elif self._profile.active_run_ids == "idle" and not active:
            info["activeRunIds"] = []
        return info
