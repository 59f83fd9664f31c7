"""How a client is let in, for threads: its device approved, what is wrong found, the certificate looked at."""

from __future__ import annotations

from collections.abc import Callable

from openclaw_client.client.callbacks import check_optional
from openclaw_client.client.diagnosis import Certificate, Diagnosis, OnStage, StageReport, look_at_certificate
from openclaw_client.client.engine import Engine
from openclaw_client.client.options import Settings
from openclaw_client.client.pairing import POLL, OnPending, Pairing
from openclaw_client.sync.loop_thread import LoopThread


class BlockingAccess:
    """From any thread."""

    # Of the client.
    _engine: Engine
    _settings: Settings
    _loop_thread: Callable[[], LoopThread]

    def pair(self, *, wait: bool = True, on_pending: OnPending | None = None, poll: float = POLL) -> None:
        """Connect, and wait until somebody has approved this device at the gateway; the connection stays open.

        on_pending(error) is called once for every new request, in this thread; what it raises ends the call. The
        PairingRequired that it gets has the command that approves. poll: seconds to the next try, growing to 60; always
        with the same identity. wait=False raises the PairingRequired instead of waiting. A gateway that restarts
        meanwhile does not end the wait, and `retry_now()` tries at once. Raises whatever else `connect()` raises,
        ClientClosed when disconnect() is called, and UsageError. Ctrl-C ends the wait; the request stays at the
        gateway. The state is "paused" while it waits; on_fatal_close hears of it when the wait ends without an
        approval.
        """
        check_optional(on_pending, "on_pending", coroutines=False)
        thread = self._loop_thread()
        pairing = Pairing(self._engine, wait=wait, poll=poll)
        try:
            while (request := thread.call(pairing.next_request, "pair")) is not None:
                if on_pending is not None:
                    on_pending(request)
        finally:
            thread.call(pairing.close, "pair")

    def diagnose(self, *, chat: str | None = None, on_stage: OnStage | None = None) -> tuple[StageReport, ...]:
        """Go to the gateway step by step; the steps in order, the last of them the one that failed, if one did.

        Over a connection of its own: this client stays as it is. chat: a message for a test chat, in a session of its
        own. on_stage(report) is called after each step, in this thread; what it raises ends the call. Raises nothing
        for a gateway that cannot be reached or used: the error is in the report, and what to do in its remedy.
        Ctrl-C ends it.
        """
        check_optional(on_stage, "on_stage", coroutines=False)
        thread = self._loop_thread()
        diagnosis, reports = Diagnosis(self._settings, chat), list[StageReport]()
        try:
            while (report := thread.call(diagnosis.next_report, "diagnose")) is not None:
                reports.append(report)
                if on_stage is not None:
                    on_stage(report)
        finally:
            thread.call(diagnosis.close, "diagnose")
        return tuple(reports)

    def certificate(self) -> Certificate:
        """The certificate that the gateway's TLS server presents, whoever made it: for pinning it after a look at it.

        Nothing is sent but the greeting of TLS, and no proxy is used. Raises Unreachable, and UsageError for ws://.
        """
        return self._loop_thread().call(lambda: look_at_certificate(self._settings), "certificate")
