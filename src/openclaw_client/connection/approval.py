"""Who waits for a device to be approved, and what ends a pause between two tries. On the loop's thread."""

from __future__ import annotations

import asyncio

from openclaw_client.errors import PairingRequired


class ApprovalWait:
    """waiters: callers that go on trying. suppressed_error: a PairingRequired that was kept from on_fatal_close,
    because someone waits for the approval."""

    def __init__(self) -> None:
        self.waiters = 0
        self.suppressed_error: PairingRequired | None = None
        self._pauses: list[asyncio.Future[None]] = []

    async def pause(self, seconds: float) -> None:
        """Wait, unless `wake` ends it."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pauses.append(over)
        try:
            await asyncio.wait((over,), timeout=seconds)
        finally:
            self._pauses.remove(over)

    def wake(self) -> bool:
        """End all pauses; whether there was one."""
        for over in self._pauses:
            if not over.done():
                over.set_result(None)
        return bool(self._pauses)
