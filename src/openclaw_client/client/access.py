"""How a client is let in, for coroutines: its device approved, what is wrong found, the certificate looked at."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from openclaw_client.client.diagnosis import Certificate, Diagnosis, OnStage, StageReport, look_at_certificate
from openclaw_client.client.engine import Engine
from openclaw_client.client.pairing import POLL, OnPending, Pairing
from openclaw_client.connection.settings import Settings


class AsyncAccess:
    """On the loop's thread."""

    # Of the client.
    _engine: Engine
    _settings: Settings
    _bind: Callable[[], None]

    async def pair(self, *, wait: bool = True, on_pending: OnPending | None = None, poll: float = POLL) -> None:
        """Connect, and wait until somebody has approved this device at the gateway; the connection stays open.

        on_pending(error) is called once for every new request, in this task; it may be `async def`, and what it raises
        ends the call. The PairingRequired that it gets has the command that approves. poll: seconds to the next try,
        growing to 60; always with the same identity. wait=False raises the PairingRequired instead of waiting.
        A gateway that restarts meanwhile does not end the wait, and `retry_now()` tries at once. Raises whatever else
        `connect()` raises, ClientClosed when disconnect() is called, and UsageError. Cancelling ends the wait; the
        request stays at the gateway. The state is "paused" while it waits; on_fatal_close hears of it when the wait
        ends without an approval.
        """
        self._bind()
        pairing = Pairing(self._engine, wait=wait, poll=poll)
        try:
            while (request := await pairing.next_request()) is not None:
                if on_pending is not None:
                    result = on_pending(request)
                    if inspect.isawaitable(result):
                        await result
        finally:
            await pairing.close()

    async def diagnose(self, *, chat: str | None = None, on_stage: OnStage | None = None) -> tuple[StageReport, ...]:
        """Go to the gateway step by step; the steps in order, the last of them the one that failed, if one did.

        Over a connection of its own: this client stays as it is. chat: a message for a test chat, in a session of its
        own. on_stage(report) is called after each step, in this task; it may be `async def`, and what it raises ends
        the call. Raises nothing for a gateway that cannot be reached or used: the error is in the report, and what to
        do in its remedy. Cancelling ends it.
        """
        self._bind()
        diagnosis, reports = Diagnosis(self._settings, chat), list[StageReport]()
        try:
            while (report := await diagnosis.next_report()) is not None:
                reports.append(report)
                if on_stage is not None:
                    result = on_stage(report)
                    if inspect.isawaitable(result):
                        await result
        finally:
            await diagnosis.close()
        return tuple(reports)

    async def certificate(self) -> Certificate:
        """The certificate that the gateway's TLS server presents, whoever made it: for pinning it after a look at it.

        Nothing is sent but the greeting of TLS, and no proxy is used. Raises Unreachable, and UsageError for ws://.
        """
        self._bind()
        return await look_at_certificate(self._settings)
