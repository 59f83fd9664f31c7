"""What the gateway of these tests says: the message decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from openclaw_client.testing import Turn

HOSTILE = (
    "<img src=x onerror=\"document.title='pwned'\"> <script>document.title='pwned'</script>\n\n"
    "[click](javascript:document.title='pwned') [home](https://example.org/?a=1&b=2)\n\n"
    "```<b>\n</code><img src=x onerror=\"document.title='pwned'\">\n```\n"
)
MARKDOWN = (
    "## Heading\n\nSome **bold**, *slanted* and `plain` words.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
)


async def agent(turn: Turn) -> AsyncIterator[str]:
    """Echoes, but for a few words."""
    match turn.message.split(" ")[0]:
        case "gated":
            # White space between the halves: a lost or doubled piece shows.
            yield f"{turn.message}: first half, "
            await turn.gate.wait()
            yield "second half."
        case "tool":
            turn.thinking("which one?")
            call = turn.tool_start("weather", {"place": "Lisbon"})
            await turn.gate.wait()
            turn.tool_finish(call, "weather", "22 degrees")
            yield "It is warm."
        case "endless":
            yield "working"
            await asyncio.Event().wait()
        case "fail":
            yield "so far so good"
            turn.fail("the model is gone")
        case "hostile":
            yield HOSTILE
        case "markdown":
            yield MARKDOWN
        case _:
            yield f"echo: {turn.message}"
