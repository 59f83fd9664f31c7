"""Something to talk to where there is no gateway: an agent for the embedded one that shows what a page can show."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final

from openclaw_client.testing import EmbeddedGateway, Turn

HINTS: Final = (
    "What can you do?",
    "Look up the weather in Lisbon",
    "Delete the build folder",
    "Ask me something",
    "Remind me in 5 seconds",
    "Tell me a long story",
    "Restart the gateway",
)

PACE: Final = 0.03
"""Seconds between two words: about as fast as a model writes."""
WORKING: Final = 1.2
"""Seconds that a tool takes: long enough to be seen."""
DRAIN: Final = 10.0
"""Seconds that a restart leaves to the replies under way."""

_HELP = """\
I am the **demo agent** of the embedded gateway: no model, no key, no network. Try this:

- *Look up the weather in Lisbon*: a tool runs while you watch
- *Delete the build folder*: a command that you must allow
- *Ask me something*: a question with choices
- *Remind me in 5 seconds*: a message that nobody asked for
- *Tell me a long story*: long enough to stop it
- *Restart the gateway*: in the middle of the reply, which comes all the same

The page gets everything over one stream of events. On the server it is this:

```python
async with client.chat_stream(session_key=key, message=text) as run:
    async for event in run:
        show(event)
```

Open a second window as somebody else: you won't see each other's messages."""

_WEATHER = """\
In **{place}** it is 22 °C with a light breeze from the west.

| | morning | noon | evening |
|---|---|---|---|
| sky | clear | clouds | clear |
| °C | 17 | 22 | 19 |

A jacket for the evening is enough. (Made up: nobody was asked.)"""

_STORY = (
    "Once upon a time a lobster kept a gateway at the bottom of the sea.",
    "Every message that passed it got a number, and every number a shell to sleep in.",
    "One night the current tore the cable, and the replies drifted about in the dark.",
    "“No reply is lost,” said the lobster, “as long as somebody remembers how it began.”",
    "So it asked each one for its number, and sent it home, once, and whole.",
)

_LAST_WORDS = "The gateway goes away now, with this reply half written. "
_REST = (
    "The connection is cut, the gateway refuses everybody, finishes what it has begun, and starts again. "
    "The client comes back by itself, asks the history how this reply ended, and the page shows the rest: "
    "**whole, and once**."
)


def demo_gateway() -> EmbeddedGateway:
    """The embedded gateway with the demo agent. Not started."""
    agent = DemoAgent()
    agent.gateway = EmbeddedGateway(agent.answer, throttle=0.05)
    return agent.gateway


class DemoAgent:
    """Answers by what a message mentions. gateway: the one that it answers for."""

    gateway: EmbeddedGateway

    def __init__(self) -> None:
        self._restart: asyncio.Task[None] | None = None

    async def answer(self, turn: Turn) -> AsyncIterator[str]:
        async for piece in self._answer(turn):
            yield piece

    def _answer(self, turn: Turn) -> AsyncIterator[str]:
        text = turn.message.lower()
        if "weather" in text:
            return _weather(turn)
        if "delete" in text:
            return _delete(turn)
        if "ask me" in text:
            return _ask(turn)
        if "remind" in text:
            return self._remind(turn)
        if "story" in text:
            return _words(" ".join(_STORY * 6), 2 * PACE)
        if "restart" in text:
            return self._go_away()
        if "what can you" in text or "help" in text or text.startswith(("hi", "hello")):
            return _words(_HELP, PACE)
        quoted = turn.message.replace("\n", "\n> ")
        return _words(f"You said:\n\n> {quoted}", PACE)

    async def _remind(self, turn: Turn) -> AsyncIterator[str]:
        found = re.search(r"\d+", turn.message)
        seconds = min(int(found[0][:4]), 3600) if found else 5
        asyncio.get_running_loop().call_later(seconds, self._say, turn.session_key)
        async for word in _words(f"I'll write to you in {seconds} s. You need not keep this page open.", PACE):
            yield word

    def _say(self, session_key: str) -> None:
        if self.gateway.running:
            self.gateway.say(session_key, "**Time is up.** You asked me to remind you.")

    async def _go_away(self) -> AsyncIterator[str]:
        async for word in _words(_LAST_WORDS, PACE):
            yield word
        self._restart = asyncio.create_task(self.gateway.restart(drain=DRAIN))
        self.gateway.faults.disconnect(1012, "service restart")
        async for word in _words(_REST, PACE):
            yield word


_ITEMS: Final = (
    {
        "questionId": "drink",
        "header": "Drink",
        "question": "What would you like to drink?",
        "options": [
            {"label": "Tea", "description": "Green, from Japan"},
            {"label": "Coffee", "description": "Black"},
            {"label": "Water"},
        ],
        "isOther": True,
    },
    {
        "questionId": "with",
        "header": "With it",
        "question": "And with it?",
        "options": [{"label": "A biscuit"}, {"label": "A slice of lemon"}],
        "multiSelect": True,
    },
)


async def _words(text: str, pace: float) -> AsyncIterator[str]:
    for word in re.findall(r"\S+\s*", text):
        yield word
        await asyncio.sleep(pace)


async def _weather(turn: Turn) -> AsyncIterator[str]:
    found = re.search(r"\bin ([^?.!,]+)", turn.message)
    place = found[1].strip() if found else "Lisbon"
    turn.thinking(f"A question about the weather. I should look up {place} before I say anything.")
    call = turn.tool_start("weather", {"place": place, "unit": "celsius"})
    await asyncio.sleep(WORKING)
    turn.tool_finish(call, "weather", f"{place}: 22 °C, wind west 12 km/h, no rain")
    async for word in _words(_WEATHER.format(place=place), PACE):
        yield word


async def _delete(turn: Turn) -> AsyncIterator[str]:
    warning = "Deletes files for good."
    decision = await turn.ask_approval("rm -rf build/ dist/", cwd="/srv/project", warning=warning, ask="on-miss")
    if decision in ("allow-once", "allow-always"):
        text = "Both folders are gone. (There were none: this is a demonstration.)"
    else:
        text = "Then I leave them where they are."
    async for word in _words(text, PACE):
        yield word


async def _ask(turn: Turn) -> AsyncIterator[str]:
    answers = await turn.ask_question(_ITEMS)
    if answers is None:
        text = "Maybe another time."
    else:
        text = f"{' and '.join(answers['drink'])}, with {' and '.join(answers['with'])}: coming."
    async for word in _words(text, PACE):
        yield word
