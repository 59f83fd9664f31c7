"""A bot that asks in a chat room before its agent runs a command.

    OPENCLAW_GATEWAY_URL=… OPENCLAW_GATEWAY_TOKEN=… python -m examples.ask_first "tidy up the build folder"

The room is standard input and output here. Put your chat room's own calls in their place: whoever answers, the gateway
counts the first answer, and this program learns of it.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable

from openclaw_client import Approval, AsyncGatewayClient

SECONDS = 300
"""After five minutes without an answer the command is refused; the gateway would wait for half an hour."""


class Room:
    """What people write, line by line; "" when nobody is left."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        put: Callable[..., object] = asyncio.get_running_loop().call_soon_threadsafe
        threading.Thread(target=self._read, args=(put,), daemon=True).start()

    def _read(self, put: Callable[..., object]) -> None:
        for line in sys.stdin:
            put(self.lines.put_nowait, line.strip().lower())
        put(self.lines.put_nowait, "")

    async def ask(self, approval: Approval) -> str:
        """Show the whole command, and take the first yes or no. Cancelled when somebody has answered elsewhere."""
        print(f"The agent wants to run, in {approval.cwd or 'its folder'}:", approval.command, sep="\n    ")
        print(*(f"  ! {warning}" for warning in approval.warnings), "yes or no?", sep="\n", flush=True)
        try:
            async with asyncio.timeout(SECONDS):
                while (answer := await self.lines.get()) not in ("yes", "no", ""):
                    print("yes or no?", flush=True)
        except TimeoutError:
            return "deny"
        return "allow-once" if answer == "yes" else "deny"


async def main(message: str) -> None:
    async with AsyncGatewayClient(on_approval=Room().ask) as client:
        reply = await client.chat_send(session_key="ask-first", message=message)
        print(reply.text)


if __name__ == "__main__":
    asyncio.run(main(" ".join(sys.argv[1:])))
