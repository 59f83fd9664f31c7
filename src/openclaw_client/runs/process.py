"""Whether the gateway process that answers is the one that got the message, and whether it still knows its key.

Knows both clocks of this machine. Refuses to know what follows from it.
"""

from __future__ import annotations

from dataclasses import replace

from openclaw_client.runs.peer import Peer, restarted
from openclaw_client.runs.recovery import KEY_LIVES
from openclaw_client.runs.state import RunState

SLEPT = 0.5
"""Seconds by which the wall clock may be ahead of the monotonic one before the machine is taken to have slept, and
behind it before it is taken to have been set back."""


class RunProcess(RunState):
    """A run that knows its gateway's process."""

    __slots__ = ()

    def _restarted(self, peer: Peer) -> bool | None:
        if self._sent is None or peer is self._peer:
            return False
        # The process that got the message last is the one whose memory counts.
        found = restarted(replace(self._sent, sent_at=self._sent_wall), peer)
        by_clock = not (self._sent.boot_id and peer.boot_id)
        # A clock that is behind makes a new process look older than the message.
        return None if found is False and by_clock and self._was_set_back(peer) else found

    def _was_set_back(self, peer: Peer) -> bool:
        """Whether the wall clock was set back between the last sending and the hello, as far as this process knows."""
        if self._written_now is None or peer.greeted_now is None:
            return False
        return peer.greeted_now - self._written_now - (peer.greeted_at - self._sent_wall) > SLEPT

    def _key_lives(self, now: float, wall: float) -> bool:
        """Whether the run was alive so lately that the gateway knows its key, even if it has ended since."""
        # The monotonic clock stands still while a laptop sleeps; the gateway's does not.
        sent_at = self._sent.sent_at if self._sent is not None else wall
        slept = wall - sent_at - (now - self._sent_now)
        return self._silence(now) < KEY_LIVES and slept < SLEPT

    def _silence(self, now: float) -> float:
        """Seconds since something showed that the gateway has the run."""
        return now - max(self._clock.last_sign, self._acked_at, self._sent_now)
