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
DRINK = {
    "questionId": "drink",
    "header": "Drink",
    "question": "Which <b>drink</b>?",
    "options": [{"label": "Tea", "description": "Green"}, {"label": "<i>Coffee</i>"}],
    "isOther": True,
}
EXTRAS = {
    "questionId": "extras",
    "header": "Extras",
    "question": "With what?",
    "options": [{"label": "Milk"}, {"label": "Sugar"}],
    "multiSelect": True,
}
PIN = {"questionId": "pin", "header": "PIN", "question": "Your PIN?", "options": [], "isSecret": True, "isOther": True}
REPORT = b"<script>document.title='pwned'</script>"
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
        case "command":
            wish = turn.message.partition(" ")[2]
            warning, folder = "Deletes <b>files</b>.", "/srv/<i>project</i>"
            yield f"decided: {await turn.ask_approval(wish, cwd=folder, warning=warning, ask='on-miss')}"
        case "brief":
            yield f"decided: {await turn.ask_approval('ls', expires_in=0.5)}"
        case "question":
            answers = await turn.ask_question([DRINK, EXTRAS])
            yield f"answered: {answers and [answers['drink'], sorted(answers['extras'])]}"
        case "secret":
            yield f"got it: {await turn.ask_question([PIN]) is not None}"
        case "file":
            turn.send_file("<b>report</b>.html", REPORT, "text/plain", way="reply")
            # White space is no word: a reply of "file" has none.
            yield turn.message.removeprefix("file").strip()
        case said:
            yield {"hostile": HOSTILE, "markdown": MARKDOWN}.get(said, f"echo: {turn.message}")
