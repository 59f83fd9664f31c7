"""What is said, and by which words everybody finds it again: of each text every word names whose it is.

Knows the stub model's `stub:spell`. The reply to a message is made of the message alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

SESSIONS = ("crash-a", "crash-b")
"""Where the application asks."""
NEWS = "crash-news"
"""Where others ask: a run that meets one of the application's would be answered within it."""
ALL = (*SESSIONS, NEWS)

OWN, INJECTED, OTHERS = "n", "i", "r"
"""What the application asks; what is injected; what others ask."""

_NAME = re.compile(rf"\b([{OWN}{INJECTED}{OTHERS}]\d+)\.\d+\b")
_ASKED = re.compile(rf"stub:spell \d+ ([{OWN}{OTHERS}]\d+)\.0\b")


def text_of(name: str, pieces: int) -> str:
    """So many words."""
    return " ".join(f"{name}.{at}" for at in range(pieces))


def message_of(name: str, pieces: int, pace: int) -> str:
    """What makes the agent say this text, with a word each `pace` milliseconds."""
    return f"stub:spell {pace} {text_of(name, pieces)}"


def own_message(name: str, seed: str) -> str:
    """What the application asks under this name: the same in each of its lives. Every fifth run takes seconds, so that
    it still speaks when the next life hears it."""
    rng = random.Random(f"{seed} {name}")
    if rng.random() < 0.2:
        return message_of(name, rng.randint(40, 60), rng.randint(50, 70))
    return message_of(name, rng.randint(2, 25), rng.randint(5, 40))


def session_of(name: str) -> str:
    """Where the application asks what has this name."""
    return SESSIONS[int(name[1:]) % len(SESSIONS)]


def reply_to(message: str) -> str:
    """The whole reply to a message."""
    return message.split(" ", 2)[2]


def name_of(text: str) -> str | None:
    """Whose words these are."""
    found = _NAME.search(text)
    return found[1] if found else None


def asked_in(texts: Iterable[str]) -> list[str]:
    """The names of what a model was asked in these messages; of one that holds several, each."""
    return [name for text in texts for name in _ASKED.findall(text)]
