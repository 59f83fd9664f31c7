"""How the embedded gateway stops listening."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def stop_accepting(server: asyncio.Server) -> None:
    """Return when `server` may be closed: it accepts no more, and what it has accepted has its transport.

    asyncio hands a socket that it has accepted to a task. Where the server is closed before that task has begun, the
    socket is left open until it is collected, with a ResourceWarning in whatever runs then (seen on 3.11 to 3.13).
    """
    loop = asyncio.get_running_loop()
    # Loops that watch no descriptors, as the one of Windows, accept in another way.
    with suppress(NotImplementedError):
        for listening in server.sockets:
            loop.remove_reader(listening.fileno())
    # The tasks that are there begin in the next turn of the loop.
    await asyncio.sleep(0)
