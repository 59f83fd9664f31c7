"""What becomes of a run whose connection goes, comes back, or stays away.

Knows what may be said of a run that nobody hears. Refuses to know why a connection went.
"""

from __future__ import annotations

from openclaw_client.errors import ConnectionLost, GatewayError
from openclaw_client.runs.answers import SILENT, RunAnswers
from openclaw_client.runs.phases import Contact


class RunAbsence(RunAnswers):
    """A run that outlives its connection."""

    __slots__ = ()

    def lost(self, error: ConnectionLost, now: float) -> None:
        """The connection is gone; the run goes on at the gateway, and the client will be back."""
        if self.ended:
            return
        self._away, self.contact, self._missed = error, Contact.AWAY, True
        # Of a run that only its id is known of nothing tells whether the next process is the same.
        self._elsewhere = self._elsewhere and self._sent is not None
        self._at_last, self._clock.unanswered = None, False
        self._inquiry.stop()
        self._clock.lost(now)
        self._tell_lost()
        self._settle_flag()

    def back(self) -> None:
        """There is a connection again."""
        if self.ended:
            return
        self.contact, self._refusals = Contact.TOLD, 0
        self._clock.back()
        self._inquiry.stop()
        self._ask(self._inquiry.ask())

    def gone(self, error: GatewayError) -> None:
        """The connection is gone for good."""
        if self.ended:
            return
        self._away = error if isinstance(error, ConnectionLost) else self._away
        if self._was_silent:
            self._finish_empty(SILENT)
        elif self.acknowledged or self._sought:
            self._lose(f"{error.message or 'the connection was lost'}; the run may go on at the gateway", error)
        else:
            self._leave_unknown(error)

    # Inside.

    def _on_away_too_long(self) -> None:
        self._clock.back()
        if self.acknowledged or self._sought:
            self._lose("the gateway could not be reached again in time; the run may have gone on there")
        else:
            self._leave_unknown()
