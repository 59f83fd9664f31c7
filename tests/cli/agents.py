"""What the gateway of these tests says: the message decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from openclaw_client.testing import Turn

MARKDOWN = "# Heading\n\nSome **bold** words.\n\n- one\n- two\n\nThe end\nof it."

DRINK = {
    "questionId": "drink",
    "header": "Drink",
    "question": "What may it be?",
    "options": [{"label": "Tea"}, {"label": "Coffee", "description": "from\x1b[2J yesterday"}],
    "isOther": True,
}
EXTRAS = {
    "questionId": "extras",
    "header": "Extras",
    "question": "And with it?",
    "options": [{"label": "Milk"}, {"label": "Sugar"}, {"label": "Lemon"}],
    "multiSelect": True,
}
CODE = {"questionId": "code", "header": "Code", "question": "The code of the machine?", "isSecret": True}

SNOW = "snow ☃ \N{GRINNING FACE}"


async def agent(turn: Turn) -> AsyncIterator[str]:
    """Echoes, but for a few words."""
    speak = _SPEAKERS.get(turn.message)
    if speak is None:
        yield f"echo: {turn.message}"
        return
    async for piece in speak(turn):
        yield piece


async def _endless(turn: Turn) -> AsyncIterator[str]:
    yield "working"
    await asyncio.Event().wait()


async def _gated(turn: Turn) -> AsyncIterator[str]:
    yield "before the gate"
    await turn.gate.wait()
    yield ", behind the gate"


async def _quiet(turn: Turn) -> AsyncIterator[str]:
    """A run of which nothing is heard until it ends."""
    await turn.gate.wait()
    yield "behind the gate"


async def _silent(turn: Turn) -> AsyncIterator[str]:
    turn.final_without_message()
    for nothing in ():
        yield nothing


async def _tool(turn: Turn) -> AsyncIterator[str]:
    turn.thinking("which one?")
    call = turn.tool_start("web_search", {"query": "weather"})
    await turn.gate.wait()
    turn.tool_finish(call, "web_search", "found")
    yield "sunny"


async def _rewrite(turn: Turn) -> AsyncIterator[str]:
    yield "a first draft"
    await turn.gate.wait()
    turn.replace("the better answer")


async def _fail(turn: Turn) -> AsyncIterator[str]:
    yield "so far so good"
    turn.fail("the model is gone")


async def _markdown(turn: Turn) -> AsyncIterator[str]:
    for piece in MARKDOWN.split(" "):
        yield piece if piece == "#" else f" {piece}"


async def _escape(turn: Turn) -> AsyncIterator[str]:
    yield "harm\x1b]0;title\x07less \x1b[2Jtext"


async def _long(turn: Turn) -> AsyncIterator[str]:
    yield "```\n"
    for number in range(100):
        yield f"line {number}\n"
        await asyncio.sleep(0)
    yield "```\n"


async def _snow(turn: Turn) -> AsyncIterator[str]:
    yield SNOW


async def _command(turn: Turn) -> AsyncIterator[str]:
    decision = await turn.ask_approval("rm -r build\n# \x1b[2Jthen", cwd="/srv/app", warning="it removes\nfiles")
    yield f"decided: {decision}"


async def _late_command(turn: Turn) -> AsyncIterator[str]:
    yield "before the gate. "
    await turn.gate.wait()
    yield f"decided: {await turn.ask_approval('ls')}"


async def _two_commands(turn: Turn) -> AsyncIterator[str]:
    yield f"{await turn.ask_approval('ls')}, {await turn.ask_approval('pwd')}"


async def _on_miss(turn: Turn) -> AsyncIterator[str]:
    yield f"decided: {await turn.ask_approval('make install', ask='on-miss')}"


async def _question(turn: Turn) -> AsyncIterator[str]:
    yield f"answers: {await turn.ask_question([DRINK])}"


async def _questions(turn: Turn) -> AsyncIterator[str]:
    yield "before. "
    yield f"answers: {await turn.ask_question([DRINK, EXTRAS, CODE])}"


async def _soon(turn: Turn) -> AsyncIterator[str]:
    yield f"answers: {await turn.ask_question([DRINK], expires_in=1)}"


async def _wishes(turn: Turn) -> AsyncIterator[str]:
    """Says what went with the message."""
    yield f"prompt: {turn.system_prompt}, model: {turn.model}"


_SPEAKERS = {
    "wishes": _wishes,
    "command": _command,
    "command behind a gate": _late_command,
    "two commands": _two_commands,
    "on miss": _on_miss,
    "question": _question,
    "questions": _questions,
    "question that expires": _soon,
    "endless": _endless,
    "gated": _gated,
    "quiet": _quiet,
    "silent": _silent,
    "tool": _tool,
    "rewrite": _rewrite,
    "fail": _fail,
    "markdown": _markdown,
    "long": _long,
    "snow": _snow,
    "escape sequences": _escape,
}
